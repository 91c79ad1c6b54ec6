package engine

import "encoding/json"

// SystemScript is shell that sets the variable system to what tells a host from others that
// may share its files, such as a home folder on a file server.
const SystemScript = `system=$({ cat /etc/machine-id; uname -n; } 2>/dev/null | tr '\n' ' ')
`

// Claim says whose a machine's folder is, in a file in it: before its machine is defined, and
// when that is gone, nothing else on the host says so.
type Claim struct {
	Owner Owner  `json:"owner"`
	URI   string `json:"uri"` // of the daemon that the machine is defined on
}

// The files of a claim in a machine's folder: the Claim as JSON, and what SystemScript says.
const (
	ClaimFile  = "claim.json"
	SystemFile = "system"
)

const claimScript = SystemScript + `mkdir -p -m 700 -- "$1" && cd -- "$1" && umask 077 || exit
printf %s "$system" >` + SystemFile + ` && printf %s "$2" >` + ClaimFile + `.new && mv -f ` + ClaimFile + `.new ` + ClaimFile

// Cmd is the command that makes the folder c.Owner.Dir with its claim, or renews that.
func (c Claim) Cmd() Cmd {
	text, err := json.Marshal(c)
	if err != nil {
		panic(err) // strings, a bool and a time; a year above 9999 is a bug
	}
	return Cmd{Argv: []string{"/bin/sh", "-c", claimScript, "farm", c.Owner.Dir, string(text)}, Dir: "/"}
}

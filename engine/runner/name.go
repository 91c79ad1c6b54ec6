package runner

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"
)

// machineName is unique on every hypervisor: it holds the VM's id and the run's.
func machineName(vm, run string) string {
	return "farm-" + FileName(vm) + "-" + run
}

// plainID is an id that can be read back from its name: a platform, a target without "-"
// that is no number, and perhaps a number. What follows the last "-" is the number if it is all
// digits, what precedes is the target, and the rest the platform.
var plainID = regexp.MustCompile(`^[A-Za-z0-9._]+(-[A-Za-z0-9._]+)*/[0-9]*[A-Za-z._][A-Za-z0-9._]*(#[0-9]+)?$`)

// longestPlain bounds plain ids, as a file's name has at most 255 bytes.
const longestPlain = 160

// namePart bounds what a name shows of an id that cannot be read back from it, in bytes.
const namePart = 80

// FileName is the name of a VM's folder in a run's folder, and part of its machine's
// name; no two ids share one. Characters other than letters, digits, ".", "_" and "-" become "-";
// where the id could not be told from the result, "--" and a hash of the id follow. No
// plain name has "--" in it.
func FileName(id string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '_', r == '-':
			return r
		}
		return '-'
	}, id)
	if len(id) <= longestPlain && plainID.MatchString(id) {
		return name
	}
	sum := sha256.Sum256([]byte(id))
	return name[:min(len(name), namePart)] + "--" + hex.EncodeToString(sum[:5])
}

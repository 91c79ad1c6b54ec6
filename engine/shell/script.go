package shell

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"farm/engine"
)

// The functions that a shell gets when it starts. farm_run TOKEN MODE TEXT runs TEXT in
// a forked shell, waits for it and prints the frames. Its parts:
//
//   - the script comes on descriptor 0, so commands read /dev/null, or 8 (the same
//     stream) in mode s, for which the sender waits until the r frame says that
//     the shell has read all that is its own;
//   - 9 is the real standard error: the shell's own is closed, since shells print notes
//     there about jobs that a signal ended;
//   - USR1 and USR2 end the command's process group. Where job control works without a
//     terminal (bash, ksh) or in mode b (with setsid) the command has a group of its own;
//     else it is the shell's, which outlives TERM by its trap. On a terminal job control
//     is left off: a job in the background must not read the terminal;
//   - wait returns early after a trap, hence the loop;
//   - the e frame says whether something of the group is left; such a shell is not used again.
const prelude = `
exec 8<&0
%s
unset farm_b
%s
trap : TERM
trap 'kill -TERM $farm_g' USR1
trap 'kill -KILL $farm_g' USR2
farm_g=0
%s
case $- in
*m*) farm_m=1 farm_b= ;;
*) farm_m= farm_b=$(command -v setsid) ;;
esac
farm_run() {
	case $2 in
	*s*)
		printf '%%s r\n' "$1"
		( set +m; eval "$3" ) <&8 2>&9 7<&- 8<&- 9>&- & ;;
	*) ( set +m; eval "$3" ) </dev/null 2>&9 7<&- 8<&- 9>&- & ;;
	esac
	farm_p=$!
	case $farm_m:$2:$farm_b in
	1:* | :*b:?*) farm_g=-$farm_p ;;
	esac
	wait $farm_p
	farm_s=$?
	while kill -0 $farm_p; do
		wait $farm_p
		farm_s=$?
	done
	farm_l=0
	[ $farm_g = 0 ] || ! kill -0 $farm_g || farm_l=1
	farm_g=0
	farm_end "$1" $farm_s $farm_l
}
farm_end %s h $$
`

// With pipes standard error has a stream of its own; a terminal has one for both, so
// errors wait in a nameless file until the command is over.
const (
	pipeEnds = `exec 9>&2 2>/dev/null
farm_end() {
	printf '%s e %s %s\n' "$1" "$2" "$3"
	printf '%s e\n' "$1" >&9
}`
	ptyEnds = `farm_f=${TMPDIR:-/tmp}/.farm-%s
(umask 077; set -C; : >"$farm_f")
exec 9>>"$farm_f" 7<"$farm_f" 2>/dev/null
rm -f "$farm_f"
farm_end() {
	printf '%%s e %%s %%s\n' "$1" "$2" "$3"
	cat <&7
	printf '%%s e\n' "$1"
}`
)

func preludeText(token string, pty, stay bool) string {
	where := "cd 2>/dev/null || cd /"
	if stay {
		where = ":"
	}
	ends, jobs := pipeEnds, "set -m 2>/dev/null"
	if pty {
		ends, jobs = fmt.Sprintf(ptyEnds, newToken()), "set +m"
	}
	return fmt.Sprintf(prelude, ends, where, jobs, token)
}

var (
	envName  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	bareWord = regexp.MustCompile(`^[A-Za-z0-9_./:=@%+,-]+$`)
	homeOf   = regexp.MustCompile(`^~[A-Za-z0-9_.-]*$`)
)

// ownProcess finds scripts that can tell a forked shell from one of their own: $$, $0,
// $PPID, $BASHPID. By hand, as is background: regular expressions took longer for a
// module's script than the guest did to run it.
func ownProcess(script string) bool {
	for {
		_, after, found := strings.Cut(script, "$")
		if !found {
			return false
		}
		if strings.HasPrefix(after, "$") {
			return true
		}
		name := strings.TrimPrefix(after, "{")
		for _, own := range []string{"PPID", "BASHPID", "0"} {
			if rest, ok := strings.CutPrefix(name, own); ok && (rest == "" || !isWord(rest[0])) {
				return true
			}
		}
		script = after
	}
}

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// background finds a lone &: the script may leave something running.
func background(script string) bool {
	before := byte(' ')
	for {
		i := strings.IndexByte(script, '&')
		if i < 0 {
			return false
		}
		if i > 0 {
			before = script[i-1]
		}
		script = script[i+1:]
		lone := strings.IndexByte(`&<>|\`, before) < 0
		if lone && (script == "" || strings.IndexByte("&>0123456789", script[0]) < 0) {
			return true
		}
		before = '&'
	}
}

// Quote makes s one word for a POSIX shell.
func Quote(s string) string {
	if bareWord.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// Join quotes argv to one line.
func Join(argv []string) string {
	words := make([]string, len(argv))
	for i, a := range argv {
		words[i] = Quote(a)
	}
	return strings.Join(words, " ")
}

// check refuses commands that no shell can run as they are meant.
func check(cmd engine.Cmd) error {
	switch {
	case len(cmd.Argv) == 0 && cmd.Script == "":
		return errors.New("a command needs Argv or Script")
	case len(cmd.Argv) > 0 && (cmd.Script != "" || cmd.Shell != "" || cmd.Functions != ""):
		return errors.New("a command has Argv or Script, not both")
	}
	for _, s := range append(slices.Clone(cmd.Argv), cmd.Script, cmd.Functions, cmd.Shell, cmd.Dir) {
		if strings.ContainsRune(s, 0) {
			return engine.Blamef(engine.UserFault, "a command cannot hold a zero byte")
		}
	}
	for k, v := range cmd.Env {
		if !envName.MatchString(k) {
			return engine.Blamef(engine.UserFault, "environment variable %q: a name is letters, digits and _", k)
		}
		if strings.ContainsRune(v, 0) {
			return engine.Blamef(engine.UserFault, "environment variable %q cannot hold a zero byte", k)
		}
	}
	return nil
}

// callText is the line that runs cmd: data is its input where it is short, streamed
// says that input follows the r frame.
func callText(token string, cmd engine.Cmd, data []byte, streamed bool) string {
	mode := "-"
	body, own := bodyText(cmd)
	if streamed {
		mode += "s"
	}
	if own {
		mode += "b"
	}
	var t strings.Builder
	t.WriteString("set --\n")
	t.WriteString(settingText(cmd))
	if len(data) > 0 {
		t.WriteString("printf '" + printfText(data) + "' | ( eval " + alwaysQuote(body) + " )")
	} else {
		t.WriteString(body)
	}
	return "farm_run " + token + " " + mode + " " + alwaysQuote(t.String()) + "\n"
}

func alwaysQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// settingText changes to the folder and sets the environment.
func settingText(cmd engine.Cmd) string {
	var t strings.Builder
	for _, k := range sortedKeys(cmd.Env) {
		t.WriteString("export " + k + "=" + alwaysQuote(cmd.Env[k]) + "\n")
	}
	if cmd.Dir != "" {
		t.WriteString("cd -P " + dirWord(cmd.Dir) + " || exit\n")
	}
	return t.String()
}

func dirWord(dir string) string {
	first, rest, more := strings.Cut(dir, "/")
	if !homeOf.MatchString(first) {
		if strings.HasPrefix(dir, "-") {
			dir = "./" + dir
		}
		return Quote(dir)
	}
	if first == "~" {
		first = `"$HOME"` // which a task's environment may change, as in a login shell
	}
	if !more {
		return first
	}
	return first + "/" + Quote(rest)
}

// bodyText is the command itself; own says that it runs in a session of its own.
func bodyText(cmd engine.Cmd) (text string, own bool) {
	if len(cmd.Argv) > 0 {
		return "exec " + Join(cmd.Argv), false
	}
	own = background(cmd.Script)
	if cmd.Shell == "" && !own && !ownProcess(cmd.Script) {
		return cmd.Script, false
	}
	sh := cmd.Shell
	if sh == "" {
		sh = "/bin/sh"
	}
	text = Join([]string{sh, "-c", cmd.Script})
	if own {
		return "exec ${farm_b:-} " + text, true
	}
	return "exec " + text, false
}

// printfText is a format for printf that prints data.
func printfText(data []byte) string {
	var t strings.Builder
	for i, c := range data {
		switch {
		case c == '-' && i == 0: // printf would read options
			t.WriteString(`\055`)
		case c == '%':
			t.WriteString("%%")
		case c >= ' ' && c < 0x7f && c != '\'' && c != '\\', c == '\n':
			t.WriteByte(c)
		default:
			fmt.Fprintf(&t, "\\%03o", c)
		}
	}
	return t.String()
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

package modules

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"farm/engine"
	"farm/inventory/value"
)

// basics are the functions that every script of a module may call:
//
//	say KEY VALUE    puts KEY into the reply; other output on descriptor 1 goes to Stdout
//	tell KEY CMD...  puts KEY into the reply with what CMD prints; cheaper than say with $(CMD)
//	die TEXT...      ends the script as a failure with that message
//	has PROGRAM      is true if the program is installed
//	need PROGRAM...  dies naming the first program that is missing
//	untilde PATH     prints PATH with $NAME and ${NAME} of the environment put in and a leading ~
//	                 or ~user made a home folder; names in small letters are farm's own, and stay
const basics = `say() { printf '\036%s=%s\0' "$1" "$2"; }
tell() {
	printf '\036%s=' "$1"
	shift
	"$@" 2>/dev/null
	printf '\0'
}
die() { printf '%s\n' "$*" >&2; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }
need() { for farm_n; do has "$farm_n" || die "the program \"$farm_n\" is missing on this host"; done; }
unvar() {
	farm_p=$1
	while :; do
		printf %s "${farm_p%%'$'*}"
		case $farm_p in
		*'$'*) farm_p=${farm_p#*'$'} ;;
		*) return ;;
		esac
		case $farm_p in
		'{'[A-Z_]*'}'*) farm_n=${farm_p#'{'} farm_n=${farm_n%%'}'*} farm_e=${farm_p#*'}'} ;;
		[A-Z_]*) farm_n=${farm_p%%[!A-Za-z0-9_]*} farm_e=${farm_p#"${farm_p%%[!A-Za-z0-9_]*}"} ;;
		*) farm_n=- ;;
		esac
		case $farm_n in
		*[!A-Za-z0-9_]*) printf '$' ;;
		*) if eval "[ -n \"\${$farm_n+x}\" ]"; then eval "printf %s \"\$$farm_n\""; farm_p=$farm_e; else printf '$'; fi ;;
		esac
	done
}
untilde() {
	case $1 in
	*'$'*) set -- "$(unvar "$1")" ;;
	esac
	case $1 in
	'~' | '~/'*) printf '%s%s' "$HOME" "${1#'~'}" ;;
	'~'*)
		farm_u=${1%%/*}
		case ${farm_u#'~'} in
		*[!A-Za-z0-9_.-]*) printf %s "$1" ;;
		*) eval "printf %s $farm_u"; printf %s "${1#"$farm_u"}" ;;
		esac ;;
	*) printf %s "$1" ;;
	esac
}
`

// maxReply is how many bytes of a script's own output are kept, unless it asks for more.
const maxReply = 1 << 20

// script is a program of a module's own for the guest's POSIX sh: dash, busybox ash, ksh, bash.
// A script that has a lone & or $$ in its text runs in a shell of its own and shows in the
// process list; its values never do.
type script struct {
	Text string
	// Functions defines functions for Text; basics are there too. A shell reads it once, so
	// it is for what is long, the same in each run, and run often.
	Functions string
	// Vars are set before Text runs, and exported; at most 128 KiB each: larger values go by
	// Stdin, and so do secrets that a started program should not inherit. Names that
	// programs know (PATH, HOME) change what they do.
	Vars  map[string]string
	Args  []string // "$1", "$2", ...
	Stdin io.Reader
	// Stdout gets the output as it comes, if set.
	Stdout io.Writer
	Keep   int64 // bytes kept of each stream; 0 = 1 MiB
	Dir    string
	// OwnLocale leaves the locale as the user has it.
	OwnLocale bool
}

// reply is what a script left.
type reply struct {
	engine.Output                   // Stdout without what was said
	said          map[string]string // by say; the last one of a key wins
	mask          engine.Mask       // nil = no secrets
}

// run runs s as the task's user, in the C locale unless it says otherwise. A script that ends with another status
// than 0 is no error: see ok. An error is the transport's or ctx's, for Module.Run to return.
func (s script) run(ctx context.Context, t *engine.Task) (reply, error) {
	env := map[string]string{}
	if !s.OwnLocale {
		env["LC_ALL"] = "C"
	}
	for k, v := range s.Vars {
		env[k] = v
	}
	var set strings.Builder
	if len(s.Args) > 0 {
		set.WriteString("set --")
		for i, a := range s.Args {
			name := "farm_" + strconv.Itoa(i+1)
			env[name] = a
			set.WriteString(` "$` + name + `"`)
		}
		set.WriteString("\n")
	}
	keep := s.Keep
	if keep == 0 {
		keep = maxReply
	}
	functions, text := basics+s.Functions, set.String()+s.Text
	if s.Functions == "" {
		functions, text = "", basics+text
	}
	out, err := t.Exec(ctx, engine.Cmd{
		Functions: functions, Script: text, Env: env, Dir: s.Dir,
		Stdin: s.Stdin, Stdout: s.Stdout, Keep: keep,
	})
	var exit *engine.ExitError
	if err != nil && !errors.As(err, &exit) {
		return reply{Output: out}, err
	}
	r := reply{Output: out, mask: t.Mask}
	r.said, r.Stdout = heard(out.Stdout)
	return r, nil
}

// run runs text with variables and arguments; see script.
func run(ctx context.Context, t *engine.Task, text string, vars map[string]string, args ...string) (reply, error) {
	return script{Text: text, Vars: vars, Args: args}.run(ctx, t)
}

// heard takes what was said out of a script's output.
func heard(out []byte) (said map[string]string, rest []byte) {
	said = map[string]string{}
	for text := string(out); text != ""; {
		plain, more, found := strings.Cut(text, "\x1e")
		rest = append(rest, plain...)
		if !found {
			break
		}
		record, after, whole := strings.Cut(more, "\x00")
		k, v, pair := strings.Cut(record, "=")
		if !whole || !pair || strings.ContainsAny(k, " \n") {
			rest = append(rest, '\x1e')
			text = more
			continue
		}
		said[k] = v
		text = after
	}
	return said, rest
}

// ok reports whether the script ended with status 0.
func (r reply) ok() bool { return r.Status == 0 }

// has reports whether KEY was said.
func (r reply) has(key string) bool { _, ok := r.said[key]; return ok }

// get is what was said of key; "" if nothing was.
func (r reply) get(key string) string { return r.said[key] }

// is reports whether key was said to be 1.
func (r reply) is(key string) bool { return r.said[key] == "1" }

// number is what was said of key as a number in the given base; 0 if it is none.
func (r reply) number(key string, base int) int64 {
	n, _ := strconv.ParseInt(strings.TrimSpace(r.said[key]), base, 64)
	return n
}

// stdout and stderr are the streams without the newlines at their ends.
func (r reply) stdout() string { return strings.TrimRight(string(r.Stdout), "\r\n") }
func (r reply) stderr() string { return strings.TrimRight(string(r.Stderr), "\r\n") }

// failure is the result of a script that did not end well. what is what it was to do
// ("install \"gcc\""); "" where the script's own message says it.
func (r reply) failure(what string) engine.Result {
	why := strings.TrimSpace(string(r.Stderr))
	if why == "" {
		why = strings.TrimSpace(r.stdout())
	}
	if len(why) > maxMessage {
		if r.mask != nil {
			why = r.mask.Text(why)
		}
	}
	if len(why) > maxMessage {
		why = "..." + strings.ToValidUTF8(why[len(why)-maxMessage:], "")
	}
	if why == "" {
		why = (&engine.ExitError{Status: r.Status}).Error()
	}
	if what != "" {
		why = what + ": " + why
	}
	return engine.Result{Failed: true, Msg: why, Values: value.NewDict(
		"rc", int64(r.Status), "stdout", text(r.stdout()), "stderr", text(r.stderr()))}
}

// maxMessage bounds the part of a command's output that becomes a message, in bytes.
const maxMessage = 4 << 10

// failed is a result that says why a task failed.
func failed(format string, args ...any) engine.Result {
	return engine.Result{Failed: true, Msg: fmt.Sprintf(format, args...)}
}

// text is bytes from a guest as a value: what is no UTF-8 is replaced.
func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// lines is a command's output as Ansible splits it: without the newlines, never nil.
func lines(s string) []any {
	list := []any{}
	if s == "" {
		return list
	}
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(s)
	for line := range strings.SplitSeq(strings.TrimSuffix(s, "\n"), "\n") {
		list = append(list, line)
	}
	return list
}

// quote makes s one word for a POSIX shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// flag is a boolean for a script: "1" or "".
func flag(b bool) string {
	if b {
		return "1"
	}
	return ""
}

// cautioned is res with a warning among what is registered; the user is told it, too.
func cautioned(t *engine.Task, res engine.Result, format string, args ...any) engine.Result {
	warn(t, format, args...)
	res.Values = res.Values.Copy()
	list, _ := res.Values.Get("warnings")
	before, _ := list.([]any)
	res.Values.Set("warnings", append(slices.Clone(before), fmt.Sprintf(format, args...)))
	return res
}

// warn tells the user something that is no failure.
func warn(t *engine.Task, format string, args ...any) {
	if t.Emit != nil {
		t.Emit(engine.Event{Kind: engine.Warning, Task: t.Name, Text: fmt.Sprintf(format, args...)})
	}
}

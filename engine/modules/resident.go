package modules

import (
	"context"
	_ "embed"
	"encoding/hex"
	"errors"
	"path"
	"strings"

	"farm/engine"
)

// residentText is the program that does what scripts about files do, where the machine has
// Perl: such a script starts several programs, which is most of what it costs.
//
//go:embed resident.pl
var residentText string

// residentCommand runs it; nothing of the user's environment changes how Perl reads it.
var residentCommand = []string{"env", "PERL5OPT=", "PERL5LIB=", "PERL_UNICODE=0", "LC_ALL=C", "perl", "-e", residentText}

// residentAfter is how many scripts run before the program is started: its start costs as much as some of them.
const residentAfter = 2

// resident is what the tasks of one user on one connection know of the program.
type resident struct {
	asked int  // times that it could have been used
	able  bool // it has answered
}

// errNoAnswer says that the program may have done what it was asked, or not.
var errNoAnswer = errors.New("the program in the guest has not answered")

// askResident has the running program do what the script of that function would with vars.
// ok is false where the script has to; the error wraps errNoAnswer, and ok is false too.
func askResident(ctx context.Context, t *engine.Task, function, file string, vars map[string]string) (r reply, ok bool, err error) {
	keeper, can := t.Conn.(engine.Keeper)
	if !can || t.State == nil || len(t.Env) > 0 || !path.IsAbs(file) {
		return reply{}, false, nil
	}
	key := "resident"
	if b := t.Become; b != nil {
		key += " as " + b.User + " by " + b.Method
	}
	known, seen := t.State[key].(*resident)
	if !seen {
		known = &resident{}
		t.State[key] = known
	}
	if known.asked++; known.asked <= residentAfter {
		return reply{}, false, nil
	}
	kept, running := keeper.Keep(ctx, t.Become, residentCommand)
	if !running {
		return reply{}, false, nil
	}
	defer kept.Release()
	if !known.able { // a machine without Perl is none that has not answered
		if _, err := ask(ctx, kept, "hello", nil); err != nil {
			return reply{}, false, nil
		}
		known.able = true
	}
	out, err := ask(ctx, kept, function, vars)
	if err != nil {
		return reply{}, false, errors.Join(errNoAnswer, err)
	}
	r.mask = t.Mask
	r.said, r.Stdout = heard([]byte(out))
	return r, !r.is("pass"), nil
}

// ask puts a question as resident.pl reads it.
func ask(ctx context.Context, kept engine.Kept, function string, vars map[string]string) (string, error) {
	end := "end-" + token() + token()
	var line strings.Builder
	line.WriteString(hex.EncodeToString([]byte(end)) + " " + hex.EncodeToString([]byte(function)))
	for k, v := range vars {
		line.WriteString(" " + hex.EncodeToString([]byte(k)) + " " + hex.EncodeToString([]byte(v)))
	}
	line.WriteByte('\n')
	return kept.Ask(ctx, line.String(), end)
}

package modules

import (
	"context"
	_ "embed"
	"encoding/hex"
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

// askResident has the running program do what the script of that function would with vars. ok is
// false where the script has to: lost says then that the program may have done it, as no answer has come.
func askResident(ctx context.Context, t *engine.Task, function, file string, vars map[string]string) (r reply, ok, lost bool) {
	keeper, can := t.Conn.(engine.Keeper)
	if !can || t.State == nil || len(t.Env) > 0 || !path.IsAbs(file) || strings.ContainsAny(file, "\x00$") {
		return reply{}, false, false
	}
	key := "asked of the resident program"
	if b := t.Become; b != nil {
		key += " as " + b.User + " by " + b.Method
	}
	times, _ := t.State[key].(int)
	t.State[key] = times + 1
	if times < residentAfter {
		return reply{}, false, false
	}
	kept, running := keeper.Keep(ctx, t.Become, residentCommand)
	if !running {
		return reply{}, false, false
	}
	defer kept.Release()
	out, err := ask(ctx, kept, function, vars)
	if err != nil {
		return reply{}, false, true
	}
	r.mask = t.Mask
	r.said, r.Stdout = heard([]byte(out))
	return r, !r.is("pass"), false
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

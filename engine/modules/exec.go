package modules

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"farm/engine"
	"farm/inventory/value"
)

// execution is a command of the user's, as command, shell and script run it.
type execution struct {
	cmd              engine.Cmd
	shown            any // "cmd" of the result: text, or a list of words
	creates, removes string
	keepEnds         bool
}

// input is the standard input that the arguments stdin and stdin_add_newline mean.
func input(stdin *string, newline bool) io.Reader {
	if stdin == nil {
		return nil
	}
	text := *stdin
	if newline {
		text += "\n"
	}
	return strings.NewReader(text)
}

// run runs e as Ansible does: it is skipped in check mode, unless creates or removes say
// what it would do.
func (e execution) run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	why, err := e.needless(ctx, t)
	if err != nil {
		return engine.Result{}, err
	}
	if why != "" {
		verb := "Did not run"
		if t.Check {
			verb = "Would not run"
		}
		name, what, _ := strings.Cut(why, " ")
		return e.idle("skipped, since "+why, fmt.Sprintf("%s command since '%s' %s", verb, name, what)), nil
	}
	if t.Check {
		if e.creates == "" && e.removes == "" {
			r := e.idle("", "Command would have run if not in check mode")
			r.Skipped = true
			return r, nil
		}
		r := e.idle("", "Command would have run if not in check mode")
		r.Changed = true
		return r, nil
	}
	live := newLive(t)
	live.attach(&e.cmd)
	began := time.Now()
	out, err := t.Exec(ctx, e.cmd)
	live.end()
	var exit *engine.ExitError
	if err != nil && !errors.As(err, &exit) {
		return engine.Result{}, err
	}
	if out.Status != 0 && e.cmd.Dir != "" {
		r, err := script{Text: ":", Dir: e.cmd.Dir}.run(ctx, t)
		if err != nil {
			return engine.Result{}, err
		}
		if !r.ok() {
			return e.nowhere(r), nil
		}
	}
	return e.result(out, began, time.Now()), nil
}

// nowhere is the result of a command whose folder cannot be entered; r is what the shell says of that.
func (e execution) nowhere(r reply) engine.Result {
	return engine.Result{Failed: true, Msg: fmt.Sprintf("Unable to change directory to %q: %s", e.cmd.Dir, r.stderr()), Values: value.NewDict(
		"cmd", e.shown, "rc", nil, "stdout", "", "stderr", "", "stdout_lines", []any{}, "stderr_lines", []any{}, "start", nil, "end", nil, "delta", nil)}
}

// needless says why the command need not run; "" if it must.
func (e execution) needless(ctx context.Context, t *engine.Task) (string, error) {
	if e.creates == "" && e.removes == "" {
		return "", nil
	}
	r, err := script{Text: `there() {
	farm_g=$(untilde "$1")
	IFS=
	for farm_f in $farm_g; do
		if [ -e "$farm_f" ] || [ -L "$farm_f" ]; then return 0; fi
	done
	return 1
}
if [ -n "$creates" ] && there "$creates"; then say why creates; exit; fi
if [ -n "$removes" ] && ! there "$removes"; then say why removes; fi
`, Vars: map[string]string{"creates": e.creates, "removes": e.removes}, Dir: e.cmd.Dir}.run(ctx, t)
	switch {
	case err != nil || !r.ok():
		return "", err // a folder that is missing shows when the command itself runs
	case r.get("why") == "creates":
		return e.creates + " exists", nil
	case r.get("why") == "removes":
		return e.removes + " does not exist", nil
	}
	return "", nil
}

func (e execution) idle(stdout, msg string) engine.Result {
	return engine.Result{Msg: msg, Values: value.NewDict("cmd", e.shown, "rc", int64(0),
		"stdout", stdout, "stderr", "", "stdout_lines", lines(stdout), "stderr_lines", []any{},
		"start", nil, "end", nil, "delta", nil)}
}

func (e execution) result(out engine.Output, began, ended time.Time) engine.Result {
	stdout, stderr := text(string(out.Stdout)), text(string(out.Stderr))
	if !e.keepEnds {
		stdout, stderr = strings.TrimRight(stdout, "\r\n"), strings.TrimRight(stderr, "\r\n")
	}
	r := engine.Result{Changed: true, Values: value.NewDict("cmd", e.shown, "rc", int64(out.Status),
		"stdout", stdout, "stderr", stderr, "stdout_lines", lines(stdout), "stderr_lines", lines(stderr),
		"start", stamp(began), "end", stamp(ended), "delta", delta(ended.Sub(began)), "msg", "")}
	if out.Dropped > 0 {
		r.Values.Set("dropped_bytes", out.Dropped)
	}
	if out.Status != 0 {
		r.Failed, r.Msg = true, "non-zero return code"
	}
	return r
}

// stamp prints a time as Python's str(datetime) does.
func stamp(t time.Time) string { return t.Format("2006-01-02 15:04:05.000000") }

// delta prints a duration as Python's str(timedelta) does.
func delta(d time.Duration) string {
	d = d.Truncate(time.Microsecond)
	days, s := "", ""
	switch n := int(d / (24 * time.Hour)); {
	case n == 1:
		days = "1 day, "
	case n > 1:
		days = fmt.Sprintf("%d days, ", n)
	}
	d %= 24 * time.Hour
	s = fmt.Sprintf("%s%d:%02d:%02d", days, d/time.Hour, d/time.Minute%60, d/time.Second%60)
	if us := d % time.Second / time.Microsecond; us > 0 {
		s += fmt.Sprintf(".%06d", us)
	}
	return s
}

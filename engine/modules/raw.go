package modules

import (
	"context"
	"errors"

	"farm/engine"
	"farm/inventory/value"
)

// Raw runs a line as it stands, also where there is no POSIX shell, such as on a switch.
type Raw struct {
	Cmd        string `yaml:"cmd"`        // the line
	Executable string `yaml:"executable"` // shell to run it with
	freeForm   string
}

func newRaw() engine.Module { return &Raw{} }

// SetFreeForm takes the line.
func (m *Raw) SetFreeForm(text string) { m.freeForm = text }

// Validate wants a line.
func (m *Raw) Validate() error {
	if (m.freeForm == "") == (m.Cmd == "") {
		return errors.New("give the command either as text or as cmd")
	}
	return nil
}

// Run runs the line; check mode skips it.
func (m *Raw) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	if t.Check {
		return engine.Result{Skipped: true}, nil
	}
	cmd := engine.Cmd{Script: m.freeForm + m.Cmd, Shell: m.Executable}
	live := newLive(t)
	live.attach(&cmd)
	out, err := t.Exec(ctx, cmd)
	live.end()
	var exit *engine.ExitError
	if err != nil && !errors.As(err, &exit) {
		return engine.Result{}, err
	}
	stdout, stderr := text(string(out.Stdout)), text(string(out.Stderr))
	r := engine.Result{Changed: true, Values: value.NewDict("rc", int64(out.Status), "stdout", stdout,
		"stderr", stderr, "stdout_lines", lines(stdout), "stderr_lines", lines(stderr))}
	if out.Status != 0 {
		r.Failed, r.Msg = true, "non-zero return code"
	}
	return r, nil
}

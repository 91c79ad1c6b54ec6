package modules

import (
	"context"

	"farm/engine"
	"farm/inventory/value"
)

// Ping logs in, runs nothing much and answers.
type Ping struct {
	Data string `yaml:"data"` // the answer; "crash" fails
}

func newPing() engine.Module { return &Ping{Data: "pong"} }

// Run asks the host's shell for a word.
func (m *Ping) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	if m.Data == "crash" {
		r := failed("boom")
		r.Values = value.NewDict("module_stdout", "", "module_stderr", "Exception: boom")
		return r, nil
	}
	r, err := run(ctx, t, "say ping 1", nil)
	if err != nil {
		return engine.Result{}, err
	}
	if !r.ok() || !r.is("ping") {
		return r.failure("the shell gives no sensible answer"), nil
	}
	return engine.Result{Values: value.NewDict("ping", m.Data)}, nil
}

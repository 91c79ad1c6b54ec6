package modules

import (
	"context"

	"farm/engine"
)

// Fail fails with a message.
type Fail struct {
	Msg string `yaml:"msg"` // what to say
}

func newFail() engine.Module { return &Fail{Msg: "Failed as requested from task"} }

// Run fails.
func (m *Fail) Run(context.Context, *engine.Task) (engine.Result, error) {
	return failed("%s", m.Msg), nil
}

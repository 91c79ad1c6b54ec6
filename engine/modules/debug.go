package modules

import (
	"context"
	"errors"
	"fmt"

	"farm/engine"
	"farm/inventory/value"
)

// Debug prints a message or a variable.
type Debug struct {
	Msg       any `yaml:"msg"`       // what to print
	Var       any `yaml:"var"`       // or the name of a variable, or an expression
	Verbosity int `yaml:"verbosity"` // above 0: skipped
}

func newDebug() engine.Module { return &Debug{} }

// Validate wants at most one of msg and var.
func (m *Debug) Validate() error {
	if m.Msg != nil && m.Var != nil {
		return fmt.Errorf("msg and var exclude each other")
	}
	return nil
}

// Run evaluates what is to be shown.
func (m *Debug) Run(_ context.Context, t *engine.Task) (engine.Result, error) {
	switch {
	case m.Verbosity > 0:
		return engine.Result{Skipped: true, Values: value.NewDict("skipped_reason", "Verbosity threshold not met.")}, nil
	case m.Var != nil:
		return m.variable(t)
	case m.Msg == nil:
		return engine.Result{Msg: "Hello world!"}, nil
	}
	v, err := t.Vars.Eval(m.Msg)
	if err != nil {
		return failed("%v", err), nil
	}
	text, _ := v.(string)
	return engine.Result{Msg: text, Values: value.NewDict("msg", v)}, nil
}

func (m *Debug) variable(t *engine.Task) (engine.Result, error) {
	name, ok := m.Var.(string)
	if !ok {
		v, err := t.Vars.Eval(m.Var)
		if err != nil {
			return engine.Result{}, engine.Blame(engine.UserFault, err)
		}
		if name, ok = v.(string); !ok {
			return engine.Result{Values: value.NewDict(value.Text(v), v)}, nil
		}
	}
	v, err := t.Vars.Eval(value.Template{Text: "{{ " + name + " }}", Pos: t.Pos})
	var missing interface{ Undefined() bool }
	switch {
	case errors.As(err, &missing):
		v = "VARIABLE IS NOT DEFINED!"
	case err != nil:
		return engine.Result{}, engine.Blame(engine.UserFault, err)
	}
	return engine.Result{Values: value.NewDict(name, v)}, nil
}

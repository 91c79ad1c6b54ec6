package modules

import (
	"context"
	"errors"
	"fmt"

	"farm/engine"
	"farm/inventory/source"
	"farm/inventory/value"
)

// Assert fails unless every condition holds.
type Assert struct {
	That       []any `yaml:"that,required"` // bare expressions
	FailMsg    any   `yaml:"fail_msg|msg"`  // said when one does not hold; text or a list
	SuccessMsg any   `yaml:"success_msg"`   // said when all hold
	Quiet      bool  `yaml:"quiet"`         // accepted: the result is short anyhow
}

func newAssert() engine.Module { return &Assert{} }

// Run evaluates the conditions in order, up to the first that does not hold.
func (m *Assert) Run(_ context.Context, t *engine.Task) (engine.Result, error) {
	for _, item := range m.That {
		holds, err := condition(t, item)
		if err != nil {
			err = fmt.Errorf("the condition %s: %w", value.Text(item), err)
			var placed *source.Error
			if errors.As(err, &placed) { // it cannot be evaluated
				return engine.Result{}, engine.Blame(engine.UserFault, err)
			}
			return failed("%v", err), nil
		}
		if !holds {
			r := failed("Assertion failed")
			r.Values = value.NewDict("assertion", value.Text(item), "evaluated_to", false)
			return said(t, r, m.FailMsg)
		}
	}
	return said(t, engine.Result{Msg: "All assertions passed"}, m.SuccessMsg)
}

// said gives a result the user's message, if there is one.
func said(t *engine.Task, r engine.Result, msg any) (engine.Result, error) {
	if msg == nil {
		return r, nil
	}
	v, err := t.Vars.Eval(msg)
	if err != nil {
		return failed("%v", err), nil
	}
	r.Msg = value.Text(v)
	if list, ok := v.([]any); ok {
		if r.Values == nil {
			r.Values = value.NewDict()
		}
		r.Values.Set("msg", list)
	}
	return r, nil
}

// condition evaluates a bare expression, or a template, and says whether it is true.
func condition(t *engine.Task, item any) (bool, error) {
	switch c := item.(type) {
	case nil: // an empty item of a list
		return true, nil
	case string:
		return t.Vars.Condition(c, t.Pos)
	case value.Template:
		v, err := t.Vars.Eval(c)
		if err != nil {
			return false, err
		}
		if s, ok := v.(string); ok { // text of a template is not evaluated once more
			b, err := value.ParseBool(s)
			if err != nil {
				return false, fmt.Errorf("it becomes the text %q; leave out the braces, a condition is an expression already", s)
			}
			return b, nil
		}
		return truth(v), nil
	}
	return truth(item), nil
}

// truth is Python's: nothing, false, zero and what is empty are false.
func truth(v any) bool {
	switch x := v.(type) {
	case nil:
		return false
	case bool:
		return x
	case int64:
		return x != 0
	case float64:
		return x != 0
	case string:
		return x != ""
	case []any:
		return len(x) > 0
	case *value.Dict:
		return x.Len() > 0
	}
	return true
}

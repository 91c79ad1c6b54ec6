package task

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"farm/engine"
	"farm/inventory/value"
)

// maxText is how much of one text of a result an event carries, in bytes.
const maxText = 64 << 10

// passed carries the outcome of included tasks through the include, which is no
// failure of its own.
type passed struct{ err error }

func (p passed) Error() string { return fmt.Sprint(p.err) }

// done keeps and reports the result of a task or of a whole loop.
func (p *play) done(ctx context.Context, c *call, res *value.Dict, err error, start time.Time) error {
	var inner passed
	if errors.As(err, &inner) {
		return inner.err
	}
	if errors.Is(err, ErrEndHost) {
		return err
	}
	if res == nil {
		var f *failure
		if errors.As(err, &f) {
			res = f.result
		} else {
			p.report(c, value.NewDict("msg", fmt.Sprint(err)), engine.Interrupted, err, start)
			return err
		}
	}
	p.register(c.t, res)
	p.last = res
	status := statusOf(res)
	if errors.Is(err, engine.ErrUnreachable) {
		if ignore, ferr := c.flag("ignore_unreachable"); ferr == nil && ignore {
			p.report(c, res, engine.Ignored, err, start)
			return nil
		}
		p.report(c, res, engine.Unreachable, err, start)
		return err
	}
	if err != nil {
		ignore, ferr := c.flag("ignore_errors")
		if ferr == nil && ignore && rescuable(err) && ctx.Err() == nil {
			p.report(c, res, engine.Ignored, err, start)
			return nil
		}
		p.report(c, res, engine.Failed, err, start)
		return err
	}
	p.report(c, res, status, nil, start)
	if changed, _ := res.Get("changed"); changed != true {
		return nil
	}
	if c.items == nil {
		return p.notify(c)
	}
	for _, one := range c.items { // each notifies what its own variables make of the name
		if err := p.notify(one); err != nil {
			return err
		}
	}
	return nil
}

// register keeps a task's result as the variable that it names.
func (p *play) register(t *Task, res *value.Dict) {
	if name, ok := t.Keys.Get("register"); ok {
		set(&p.h.Set, value.NewDict(value.Text(name), res))
	}
}

func statusOf(res *value.Dict) engine.Status {
	if v, _ := res.Get("skipped"); v == true {
		return engine.Skipped
	}
	if v, _ := res.Get("failed"); v == true && !spared(res) {
		return engine.Failed
	}
	if v, _ := res.Get("changed"); v == true {
		return engine.Changed
	}
	return engine.OK
}

// spared reports whether failed_when says that the task did not fail; that counts for more than
// an `until` that was never content.
func spared(res *value.Dict) bool {
	v, _ := res.Get("failed_when_result")
	return v == false
}

// report emits the end of a task.
func (p *play) report(c *call, res *value.Dict, status engine.Status, err error, start time.Time) {
	diff, has := res.Get("diff")
	if has {
		res = res.Copy()
		res.Delete("diff")
	}
	e := engine.Event{
		Kind: engine.TaskEnded, Task: c.title, Module: c.t.Module, File: c.t.Pos.String(), Item: c.shownItem(),
		Status: status, ElapsedMS: time.Since(start).Milliseconds(), Result: bounded(p.o.Mask.Value(res)),
	}
	if err != nil {
		e.Fault, e.Text = engine.FaultOf(err), err.Error()
		var f *failure
		if errors.As(err, &f) {
			e.Text = f.msg
		}
	} else if m, ok := res.Get("msg"); ok {
		e.Text = value.Text(m)
	}
	if has && c.diff && !c.quiet {
		if e.Diff = unified(p.o.Mask.Value(diff)); len(e.Diff) > maxText {
			e.Diff = cut(e.Diff)
		}
	}
	if c.quiet {
		out := value.NewDict("censored", "hidden because of no_log")
		if v, ok := res.Get("changed"); ok {
			out.Set("changed", v)
		}
		e.Result, e.Text = out, ""
		if err != nil {
			e.Text = hiddenFailure
		}
	}
	if e.Text = p.o.Mask.Text(e.Text); len(e.Text) > maxText {
		e.Text = cut(e.Text)
	}
	p.emit(e)
}

// within emits an event of a task that the call's is made of.
func (c *call) within(e engine.Event) {
	e.Within = c.title
	if res, ok := e.Result.(*value.Dict); ok {
		if diff, has := res.Get("diff"); has {
			res = res.Copy()
			res.Delete("diff")
			if c.diff {
				e.Diff = unified(c.o.Mask.Value(diff))
			}
		}
		e.Result = bounded(c.o.Mask.Value(res))
	}
	for _, text := range []*string{&e.Task, &e.Text} {
		*text = c.o.Mask.Text(engine.Printable(*text))
	}
	for _, text := range []*string{&e.Task, &e.Text, &e.Diff} {
		if len(*text) > maxText {
			*text = cut(*text)
		}
	}
	c.emit(e)
}

// bounded is v with every long text cut in its middle.
func bounded(v any) any {
	left := 4 * maxText
	return boundedTo(v, &left)
}

func boundedTo(v any, left *int) any {
	switch t := v.(type) {
	case string:
		if len(t) > maxText {
			t = cut(t)
		}
		if *left -= len(t); *left < 0 {
			return "(left out)"
		}
		return t
	case []any:
		out := make([]any, 0, len(t))
		for _, x := range t {
			if *left < 0 {
				break
			}
			out = append(out, boundedTo(x, left))
		}
		return out
	case *value.Dict:
		out := value.NewDict()
		for k, x := range t.All() {
			if k == "stdout_lines" || k == "stderr_lines" { // said already by stdout
				continue
			}
			out.Set(k, boundedTo(x, left))
		}
		return out
	}
	return v
}

func cut(s string) string {
	const half = maxText/2 - 32
	return strings.ToValidUTF8(s[:half], "") + fmt.Sprintf("\n[%d bytes left out]\n", len(s)-2*half) + strings.ToValidUTF8(s[len(s)-half:], "")
}

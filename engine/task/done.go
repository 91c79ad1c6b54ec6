package task

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"farm/engine"
	"farm/inventory/expr"
	"farm/inventory/source"
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
	if name, ok := c.t.Keys.Get("register"); ok {
		set(&p.h.Set, value.NewDict(value.Text(name), res))
	}
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
	if changed, _ := res.Get("changed"); changed == true {
		return p.notify(c)
	}
	return nil
}

func statusOf(res *value.Dict) engine.Status {
	if v, _ := res.Get("skipped"); v == true {
		return engine.Skipped
	}
	if v, _ := res.Get("failed"); v == true {
		return engine.Failed
	}
	if v, _ := res.Get("changed"); v == true {
		return engine.Changed
	}
	return engine.OK
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

// items evaluates what a task loops over; loops is false where it has no loop.
func (p *play) items(t *Task, vars *expr.Vars) (items []any, loops bool, err error) {
	for k, raw := range t.Keys.All() {
		name := k.(string)
		kind, with := strings.CutPrefix(name, "with_")
		if name != "loop" && !with {
			continue
		}
		pos := t.Keys.KeyPos(k)
		var v any
		if text, ok := raw.(string); ok && with { // with_items: name
			if _, known := vars.Raw(text); known {
				raw = value.Template{Text: "{{ " + text + " }}", Pos: pos}
			}
		}
		if v, err = vars.Eval(raw); err != nil {
			return nil, true, err
		}
		if _, omit := v.(value.Omit); omit {
			return nil, false, nil
		}
		switch {
		case !with:
			list, ok := v.([]any)
			if !ok {
				return nil, true, &source.Error{Pos: pos, What: "loop is " + value.Kind(v) + ", not a list", Hint: "dict2items makes a list of a mapping"}
			}
			return list, true, nil
		case kind == "items" || kind == "list" || kind == "flattened":
			list, ok := v.([]any)
			if !ok {
				return []any{v}, true, nil
			}
			for _, x := range list {
				if sub, ok := x.([]any); ok && kind != "list" {
					items = append(items, sub...)
				} else {
					items = append(items, x)
				}
			}
			return items, true, nil
		}
		return p.lookup(vars, kind, v, pos)
	}
	return nil, false, nil
}

// lookup is with_KIND: what the lookup of that name gives.
func (p *play) lookup(vars *expr.Vars, kind string, v any, pos source.Pos) ([]any, bool, error) {
	call := "{{ query('" + strings.ReplaceAll(kind, "'", "") + "', *farm_terms) }}"
	terms, ok := v.([]any)
	if !ok {
		terms = []any{v}
	}
	if kind == "dict" || kind == "first_found" {
		call = "{{ query('" + kind + "', farm_terms) }}"
		if kind == "dict" {
			return dictItems(v, pos)
		}
	}
	out, err := vars.With(value.NewDict("farm_terms", terms)).Eval(value.Template{Text: call, Pos: pos})
	if err != nil {
		return nil, true, err
	}
	list, ok := out.([]any)
	if !ok {
		list = []any{out}
	}
	return list, true, nil
}

func dictItems(v any, pos source.Pos) ([]any, bool, error) {
	d, ok := v.(*value.Dict)
	if !ok {
		return nil, true, source.Errorf(pos, "with_dict is %s, not a mapping", value.Kind(v))
	}
	var out []any
	for k, x := range d.All() {
		out = append(out, value.NewDict("key", k, "value", x))
	}
	return out, true, nil
}

// loop runs a task for every item and joins the results.
func (p *play) loop(ctx context.Context, t *Task, s *scope, items []any) error {
	control, _ := t.Keys.Get("loop_control")
	lc, _ := control.(*value.Dict)
	name := "item"
	base := p.vars(s, nil)
	get := func(key string) (string, error) {
		raw, ok := lc.Get(key)
		if !ok {
			return "", nil
		}
		v, err := base.Eval(raw)
		return value.Text(v), err
	}
	whole := p.call(t, s, base)
	if v, err := get("loop_var"); err == nil && v != "" {
		name = v
	}
	index, _ := get("index_var")
	pauseText, _ := get("pause")
	pause, _ := value.ParseDuration(pauseText)
	start := time.Now()
	var results []any
	var first error
	changed, failed, skipped := false, false, len(items) > 0
	for i, item := range items {
		if i > 0 && pause > 0 {
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s: task %q: %w", t.Pos, t.Title(), context.Cause(ctx))
		}
		top := value.NewDict(name, item, "ansible_loop_var", name)
		if index != "" {
			top.Set(index, int64(i))
			top.Set("ansible_index_var", index)
		}
		if ext, ok := lc.Get("extended"); ok && ext == true {
			top.Set("ansible_loop", extended(items, i))
		}
		vars := p.vars(s, top)
		c := p.call(t, s, vars)
		c.item = value.Text(item)
		if label, ok := lc.Get("label"); ok {
			if v, err := vars.Eval(label); err == nil {
				c.item = value.Text(v)
			}
		}
		began := time.Now()
		var res *value.Dict
		err := p.in(i, func() (err error) { res, err = p.once(ctx, c); return err })
		whole.quiet = whole.quiet || c.quiet
		var inner passed
		if errors.As(err, &inner) && inner.err == nil {
			continue
		}
		if err != nil && (res == nil || inner.err != nil || !rescuable(err)) {
			return p.done(ctx, c, res, err, began)
		}
		res = res.Copy()
		res.Set(name, item)
		res.Set("ansible_loop_var", name)
		if index != "" {
			res.Set(index, int64(i))
		}
		results = append(results, res)
		status := statusOf(res)
		if err != nil {
			status = engine.Failed
			if ignore, ferr := c.flag("ignore_errors"); ferr == nil && ignore {
				status = engine.Ignored
			}
			failed = true
			if first == nil {
				first = err
			}
		}
		p.report(c, res, status, err, began)
		ch, _ := res.Get("changed")
		changed = changed || ch == true
		skipped = skipped && status == engine.Skipped
	}
	all := value.NewDict("results", listOf(results), "changed", changed, "failed", failed)
	switch {
	case failed:
		all.Set("msg", "One or more items failed")
	case len(items) == 0:
		all.Set("skipped", true)
		all.Set("skipped_reason", "No items in the list")
	case skipped:
		all.Set("skipped", true)
		all.Set("msg", "All items skipped")
	default:
		all.Set("msg", "All items completed")
	}
	if owned[t.Module] != nil && first == nil {
		return nil
	}
	return p.done(ctx, whole, all, first, start)
}

func listOf(l []any) []any {
	if l == nil {
		return []any{}
	}
	return l
}

func extended(items []any, i int) *value.Dict {
	n := len(items)
	d := value.NewDict("allitems", items, "index", int64(i+1), "index0", int64(i), "first", i == 0, "last", i == n-1,
		"length", int64(n), "revindex", int64(n-i), "revindex0", int64(n-i-1))
	if i > 0 {
		d.Set("previtem", items[i-1])
	}
	if i+1 < n {
		d.Set("nextitem", items[i+1])
	}
	return d
}

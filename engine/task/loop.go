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

// items evaluates what a task loops over; loops is false where it has no loop.
func (p *play) items(t *Task, vars *expr.Vars) (items []any, loops bool, err error) {
	for k, raw := range t.Keys.All() {
		name := k.(string)
		kind, with := strings.CutPrefix(name, "with_")
		if name != "loop" && !with {
			continue
		}
		if raw == nil && !with {
			return nil, false, nil
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
		case kind == "items" || kind == "list":
			list, ok := v.([]any)
			if _, isDict := v.(*value.Dict); isDict && kind == "list" {
				return nil, true, source.Errorf(pos, "with_list expects a list, got a mapping")
			}
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
		return p.lookup(vars, t.Module, kind, v, pos)
	}
	return nil, false, nil
}

// lookup is with_KIND: what the lookup of that name gives. Where files are looked up first
// depends on the module.
func (p *play) lookup(vars *expr.Vars, module, kind string, v any, pos source.Pos) ([]any, bool, error) {
	call := "{{ query('" + strings.ReplaceAll(kind, "'", "") + "', *farm_terms) }}"
	terms, ok := v.([]any)
	if !ok {
		terms = []any{v}
	}
	_, isDict := v.(*value.Dict)
	switch {
	case kind == "dict" && isDict:
		return dictItems(v.(*value.Dict))
	case kind == "indexed_items" && isDict:
		return nil, true, source.Errorf(pos, "with_indexed_items expects a list")
	case kind == "first_found" && strings.Contains(module, "template"):
		call = "{{ query('first_found', farm_terms, kind='templates') }}"
	case kind == "first_found" && strings.Contains(module, "var"):
		call = "{{ query('first_found', farm_terms, kind='vars') }}"
	case kind == "first_found":
		call = "{{ query('first_found', farm_terms) }}"
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

func dictItems(d *value.Dict) ([]any, bool, error) {
	var out []any
	for k, x := range d.All() {
		out = append(out, value.NewDict("key", k, "value", x))
	}
	return out, true, nil
}

// control is a task's loop_control, evaluated.
type control struct {
	name     string // of the item's variable
	index    string // of the index's; "" = none
	pause    time.Duration
	extended bool
	all      bool // ansible_loop has allitems
	label    any  // template of what is shown of an item; nil = the item
}

// control evaluates loop_control with the variables outside the loop.
func (p *play) control(t *Task, vars *expr.Vars) (control, error) {
	c := control{name: "item", all: true}
	raw, _ := t.Keys.Get("loop_control")
	if _, templated := raw.(value.Template); templated {
		return c, source.Errorf(t.Keys.KeyPos("loop_control"), "loop_control is text, not a mapping")
	}
	d, _ := raw.(*value.Dict)
	c.label, _ = d.Get("label")
	for k, raw := range d.All() {
		if k == "label" {
			continue
		}
		v, err := vars.Eval(raw)
		if err == nil {
			err = c.set(value.Text(k), v)
		}
		if err != nil {
			return c, &source.Error{Pos: d.KeyPos(k), What: "loop_control: " + value.Text(k), Err: err}
		}
	}
	return c, nil
}

func (c *control) set(key string, v any) (err error) {
	switch key {
	case "loop_var", "index_var":
		if name := value.Text(v); !isName(name) {
			return fmt.Errorf("%q is no name of a variable", name)
		} else if key == "loop_var" {
			c.name = name
		} else {
			c.index = name
		}
	case "pause":
		c.pause, err = value.ParseDuration(v)
	case "extended":
		c.extended, err = value.ParseBool(v)
	case "extended_allitems":
		c.all, err = value.ParseBool(v)
	}
	return err
}

// vars are the loop's variables for the i-th item; the result has them too.
func (c *control) vars(items []any, i int) *value.Dict {
	top := value.NewDict(c.name, items[i], "ansible_loop_var", c.name)
	if c.index != "" {
		top.Set(c.index, int64(i))
		top.Set("ansible_index_var", c.index)
	}
	if c.extended {
		d := extended(items, i)
		if !c.all {
			d.Delete("allitems")
		}
		top.Set("ansible_loop", d)
	}
	return top
}

// maxLabel bounds what is shown of an item, in bytes.
const maxLabel = 1 << 10

// label is what is shown of an item, secrets masked.
func (c *call) label(template, item any) string {
	if template != nil {
		if v, err := c.vars.Eval(template); err == nil {
			item = v
		}
	}
	text := c.o.Mask.Text(value.Text(item))
	if len(text) > maxLabel {
		text = strings.ToValidUTF8(text[:maxLabel], "") + "..."
	}
	return text
}

// loop runs a task for every item and joins the results.
func (p *play) loop(ctx context.Context, t *Task, s *scope, items []any) error {
	base := p.vars(s, nil)
	whole := p.call(t, s, base)
	start := time.Now()
	how, err := p.control(t, base)
	if err != nil {
		res, ferr := whole.failed(engine.UserFault, err)
		return p.done(ctx, whole, res, ferr, start)
	}
	var all joined
	for i, item := range items {
		if i > 0 && how.pause > 0 {
			select {
			case <-ctx.Done():
			case <-time.After(how.pause):
			}
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s: task %q: %w", t.Pos, t.Title(), context.Cause(ctx))
		}
		top := how.vars(items, i)
		c := p.call(t, s, p.vars(s, top))
		c.item = c.label(how.label, item)
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
		for k, v := range top.All() {
			res.Set(k, v)
		}
		status := all.add(c, res, err)
		if status != engine.Skipped {
			whole.items = append(whole.items, c)
		}
		p.report(c, res, status, err, began)
	}
	if owned[t.Module] != nil && all.first == nil && t.Module != "include_vars" {
		return nil
	}
	res := all.result()
	return p.done(ctx, whole, res, all.failure(res), start)
}

// joined is what the items of a loop came to.
type joined struct {
	results          []any
	first            error // of the first item that failed
	changed, skipped bool  // any; all
}

// add takes an item's result in and gives its status.
func (j *joined) add(c *call, res *value.Dict, err error) engine.Status {
	status := statusOf(res)
	if err != nil {
		status = engine.Failed
		if ignore, ferr := c.flag("ignore_errors"); ferr == nil && ignore {
			status = engine.Ignored
		}
		if j.first == nil {
			j.first = err
		}
	}
	j.skipped = (j.skipped || len(j.results) == 0) && status == engine.Skipped
	j.results = append(j.results, res)
	changed, _ := res.Get("changed")
	j.changed = j.changed || changed == true
	return status
}

// failure is the first item's failure with the loop's result, which rescue shows; nil if none failed.
func (j *joined) failure(res *value.Dict) error {
	var f *failure
	if !errors.As(j.first, &f) {
		return j.first
	}
	whole := *f
	whole.result = res
	return &whole
}

// result has the keys that Ansible registers of a loop.
func (j *joined) result() *value.Dict {
	if len(j.results) == 0 {
		return value.NewDict("changed", false, "results", []any{}, "skipped", true, "skipped_reason", "No items in the list")
	}
	all := value.NewDict("results", j.results, "changed", j.changed, "skipped", j.skipped)
	switch {
	case j.first != nil:
		all.Set("failed", true)
		all.Set("msg", "One or more items failed")
	case j.skipped:
		all.Set("msg", "All items skipped")
	default:
		all.Set("msg", "All items completed")
	}
	return all
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

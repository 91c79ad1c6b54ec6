package task

import (
	"strings"

	"farm/engine"
	"farm/inventory/value"
)

// judge turns a module's result into the registered one: changed_when, failed_when.
func (c *call) judge(out engine.Result) (*value.Dict, error) {
	if out.AddHost != nil && c.o.AddHost != nil {
		out.Changed = c.o.AddHost(*out.AddHost)
	}
	res := resultOf(out)
	switch { // as Ansible's own have it
	case c.t.Module == "pause":
		res.Delete("stdout_lines")
	case c.t.Module == "fetch" && out.Skipped:
		res.Delete("failed")
	}
	if out.Facts != nil && !out.Failed {
		c.facts(out.Facts)
	}
	vars := c.vars.With(c.registered(res))
	if cond, ok := c.t.Keys.Get("changed_when"); ok {
		changed, err := all(vars, cond, c.t.Keys.KeyPos("changed_when"))
		if err != nil {
			return c.unjudged(res, "changed_when_result", err)
		}
		res.Set("changed", changed)
	}
	if cond, ok := c.t.Keys.Get("failed_when"); ok {
		failed, err := all(vars, cond, c.t.Keys.KeyPos("failed_when"))
		if err != nil {
			return c.unjudged(res, "failed_when_result", err)
		}
		res.Set("failed", failed)
		res.Set("failed_when_result", failed)
	}
	if bad, _ := res.Get("failed"); bad == true {
		msg := out.Msg
		if msg == "" {
			msg = "failed_when: the condition holds"
		}
		return res, c.failure(engine.TestFault, msg, res, nil)
	}
	return res, nil
}

// unjudged fails a task that ran because a condition about its result cannot be evaluated.
func (c *call) unjudged(res *value.Dict, key string, err error) (*value.Dict, error) {
	res.Set("failed", true)
	res.Set(key, err.Error())
	return res, c.failure(engine.UserFault, err.Error(), res, err)
}

// resultOf is a module's result under the names that are registered.
func resultOf(out engine.Result) *value.Dict {
	res := value.NewDict("changed", out.Changed)
	for k, v := range out.Values.All() {
		res.Set(k, v)
	}
	res.Set("changed", out.Changed)
	if out.Msg != "" {
		res.Set("msg", out.Msg)
	}
	if out.Skipped {
		res.Set("skipped", true)
	}
	if out.Diff != nil {
		res.Set("diff", out.Diff)
	}
	if out.Facts != nil {
		res.Set("ansible_facts", out.Facts)
	}
	res.Set("failed", out.Failed)
	if lines, ok := res.Get("stdout"); ok && !res.Has("stdout_lines") {
		res.Set("stdout_lines", splitLines(value.Text(lines)))
	}
	return res
}

func splitLines(s string) []any {
	out := []any{}
	if s == "" {
		return out
	}
	for l := range strings.SplitSeq(strings.TrimSuffix(s, "\n"), "\n") {
		out = append(out, strings.TrimSuffix(l, "\r"))
	}
	return out
}

// facts keeps the variables that a task set; with delegate_facts they are the other host's.
func (c *call) facts(d *value.Dict) {
	if other, err := c.flag("delegate_facts"); err == nil && other && c.to != "" {
		if c.h.elsewhere == nil {
			c.h.elsewhere = map[string]*value.Dict{}
		}
		all := c.h.elsewhere[c.to]
		set(&all, d)
		c.h.elsewhere[c.to] = all
		return
	}
	switch c.t.Module {
	case "set_fact":
		set(&c.h.Set, d)
	default:
		set(&c.h.Facts, d)
	}
}

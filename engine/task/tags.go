package task

import (
	"slices"
	"strings"

	"farm/inventory/expr"
	"farm/inventory/value"
)

// selected reports whether --tags and --skip-tags let a task run.
func (p *play) selected(s *scope, vars *expr.Vars) (bool, error) {
	if p.handling > 0 {
		return true, nil // whoever notified it was selected
	}
	var tags []string
	var err error
	s.outermost(func(c *scope) {
		raw, ok := c.keys.Get("tags")
		if !ok || err != nil {
			return
		}
		var v any
		if v, err = vars.Eval(raw); err != nil {
			return
		}
		list, isList := v.([]any)
		if !isList {
			list = []any{v}
		}
		for _, x := range list {
			for one := range strings.SplitSeq(value.Text(x), ",") {
				tags = append(tags, strings.TrimSpace(one))
			}
		}
	})
	return err == nil && wanted(tags, p.o.Tags, p.o.SkipTags), err
}

// wanted is Ansible's rule for tags, with always, never, tagged, untagged and all.
func wanted(tags, only, skip []string) bool {
	has := func(list []string, t string) bool { return slices.Contains(list, t) }
	match := func(list []string, tagged bool) bool {
		for _, t := range list {
			if has(tags, t) || t == "tagged" && tagged || t == "untagged" && len(tags) == 0 {
				return true
			}
		}
		return false
	}
	run := false
	switch never := has(tags, "never"); {
	case has(tags, "always"), (len(only) == 0 || has(only, "all")) && !never:
		run = true
	default:
		run = match(only, len(tags) > 0 && !never)
	}
	if has(skip, "all") {
		return run && has(tags, "always") && !has(skip, "always")
	}
	return run && !match(skip, len(tags) > 0)
}

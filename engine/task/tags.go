package task

import (
	"slices"
	"strings"

	"farm/inventory/expr"
	"farm/inventory/value"
)

// selected reports whether --tags and --skip-tags let a task run.
func (p *play) selected(s *scope, vars *expr.Vars) (bool, error) {
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
	match := func(list []string) bool {
		for _, t := range list {
			if has(tags, t) || t == "tagged" && len(tags) > 0 || t == "untagged" && len(tags) == 0 {
				return true
			}
		}
		return false
	}
	run := false
	switch {
	case len(only) == 0 || has(only, "all"):
		run = !has(tags, "never") || match(only)
	default:
		run = has(tags, "always") || match(only)
	}
	if run && len(skip) > 0 {
		switch {
		case match(skip):
			run = false
		case has(skip, "all"):
			run = has(tags, "always")
		}
	}
	return run
}

package task

import (
	"farm/inventory/source"
	"farm/inventory/value"
)

// moduleDefaults are the arguments that the keyword module_defaults gives the task's module.
func (c *call) moduleDefaults() (*value.Dict, error) {
	out := value.NewDict()
	var err error
	c.s.outermost(func(s *scope) {
		raw, ok := s.keys.Get("module_defaults")
		if !ok || err != nil {
			return
		}
		list, isList := raw.([]any)
		if !isList {
			list = []any{raw}
		}
		for _, one := range list {
			var d *value.Dict
			if d, err = c.defaultsIn(one, s.keys.KeyPos("module_defaults")); err != nil {
				return
			}
			if d != nil { // an inner entry takes the place of an outer one
				out = d
			}
		}
	})
	return out, err
}

// defaultsIn finds the task's module in one mapping of module_defaults; nil = it is not there.
func (c *call) defaultsIn(v any, pos source.Pos) (*value.Dict, error) {
	if tmpl, ok := v.(value.Template); ok {
		var err error
		if v, err = c.vars.Eval(tmpl); err != nil {
			return nil, err
		}
	}
	all, ok := v.(*value.Dict)
	if !ok {
		if _, omit := v.(value.Omit); omit || v == nil {
			return nil, nil
		}
		return nil, source.Errorf(pos, "module_defaults is %s, not a mapping", value.Kind(v))
	}
	for k, raw := range all.All() {
		if name, known := c.parser.module(value.Text(k)); !known || name != c.t.Module {
			continue
		}
		ev, err := c.vars.Eval(raw)
		if err != nil {
			return nil, err
		}
		d, ok := ev.(*value.Dict)
		if !ok {
			return nil, source.Errorf(all.KeyPos(k), "module_defaults of %s are %s, not a mapping", c.t.Module, value.Kind(ev))
		}
		return d, nil
	}
	return nil, nil
}

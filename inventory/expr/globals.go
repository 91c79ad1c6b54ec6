package expr

import (
	"slices"

	"farm/inventory/value"
)

func globalFuncs() map[string]function {
	return map[string]function{
		"lookup":    func(c *call) any { return lookupCall(c, false) },
		"query":     func(c *call) any { return lookupCall(c, true) },
		"q":         func(c *call) any { return lookupCall(c, true) },
		"range":     rangeFunc,
		"dict":      dictFunc,
		"namespace": func(c *call) any { return &namespace{dictFunc(c).(*value.Dict)} },
		"now": func(c *call) any {
			t := moment{t: c.m.now()}
			if c.bool(0, "utc", false) {
				t.t = t.t.UTC()
			}
			if f := c.str(1, "fmt", ""); f != "" {
				return t.method("strftime", []any{f})
			}
			return t
		},
		"undef": func(c *call) any {
			hint := c.str(0, "hint", "")
			return &undefined{name: "undef()", err: &UndefinedError{Name: hint, Why: hint}}
		},
		"cycler": func(c *call) any {
			if len(c.args) == 0 {
				throw("cycler without items")
			}
			return &cycler{items: slices.Clone(c.args)}
		},
		"joiner": func(c *call) any {
			sep, first := c.str(0, "sep", ", "), true
			return func([]any) any {
				if first {
					first = false
					return ""
				}
				return sep
			}
		},
	}
}

// cycler hands out its items in turn.
type cycler struct {
	items []any
	i     int
}

func (t *cycler) method(name string) any {
	switch name {
	case "next":
		t.i++
		return t.items[(t.i-1)%len(t.items)]
	case "reset":
		t.i = 0
		return nil
	}
	throwHint("next or reset", "a cycler has no method %q", name)
	return nil
}

func rangeFunc(c *call) any {
	low, high, step := int64(0), intArg(c.need(0, "stop"), "stop"), int64(1)
	if len(c.args) > 1 {
		low, high = high, intArg(c.need(1, "stop"), "stop")
	}
	if len(c.args) > 2 {
		step = intArg(c.args[2], "step")
	}
	if step == 0 {
		throw("range with step 0")
	}
	out := []any{}
	for i := low; step > 0 && i < high || step < 0 && i > high; i += step {
		if len(out) >= maxItems {
			throw("a range of more than %d numbers", maxItems)
		}
		out = append(out, i)
	}
	c.m.run.step(len(out))
	return out
}

func dictFunc(c *call) any {
	c.open = true
	d := value.NewDict()
	for _, a := range c.args {
		switch t := a.(type) {
		case []any:
			for _, p := range t {
				kv := c.m.items(p)
				if len(kv) != 2 {
					throw("dict of a list takes pairs")
				}
				d.Set(dictKey(kv[0]), kv[1])
			}
		default:
			for k, v := range c.m.dict(a).All() {
				d.Set(k, v)
			}
		}
	}
	for _, k := range c.order {
		d.Set(k, c.named[k])
	}
	return d
}

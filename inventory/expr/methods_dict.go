package expr

import "farm/inventory/value"

func dictMethods() map[string]function {
	return map[string]function{
		"get": func(c *call) any {
			key := c.need(0, "key")
			def, _ := c.get(1, "default")
			if v := c.m.index(c.in, key); !isUndefined(v) {
				return v
			}
			return def
		},
		"keys": func(c *call) any { return c.items() },
		"values": func(c *call) any {
			list := []any{}
			for _, v := range c.m.dict(c.in).All() {
				list = append(list, v)
			}
			return list
		},
		"items":   func(c *call) any { return pairs(c.m.dict(c.in)) },
		"copy":    func(c *call) any { return c.m.dict(c.in) },
		"has_key": func(c *call) any { return c.m.contains(c.in, c.need(0, "key")) },
	}
}

func pairs(d *value.Dict) []any {
	list := make([]any, 0, d.Len())
	for k, v := range d.All() {
		list = append(list, tuple{k, v})
	}
	return list
}

// dictChanges change a copy of the mapping and return the method's value.
type dictChange = func(m *machine, d *value.Dict, args []any, named map[string]any, order []string) any

func dictChanges() map[string]dictChange {
	return map[string]dictChange{
		"update": func(m *machine, d *value.Dict, args []any, named map[string]any, order []string) any {
			for _, a := range args {
				if list, ok := a.([]any); ok {
					for _, p := range list {
						kv := m.items(p)
						if len(kv) != 2 {
							throw("update takes a mapping or pairs")
						}
						d.Set(dictKey(kv[0]), kv[1])
					}
					continue
				}
				for k, v := range m.dict(a).All() {
					d.Set(k, v)
				}
			}
			for _, k := range order {
				d.Set(k, named[k])
			}
			return nil
		},
		"pop": func(m *machine, d *value.Dict, args []any, _ map[string]any, _ []string) any {
			if len(args) == 0 {
				throw("pop takes a key")
			}
			k := dictKey(args[0])
			if v, ok := d.Get(k); ok {
				d.Delete(k)
				return v
			}
			if len(args) > 1 {
				return args[1]
			}
			throw("no key %s", repr(k))
			return nil
		},
		"setdefault": func(m *machine, d *value.Dict, args []any, _ map[string]any, _ []string) any {
			if len(args) == 0 {
				throw("setdefault takes a key")
			}
			k := dictKey(args[0])
			if v, ok := d.Get(k); ok {
				return v
			}
			var v any
			if len(args) > 1 {
				v = args[1]
			}
			d.Set(k, v)
			return v
		},
		"clear": func(_ *machine, d *value.Dict, _ []any, _ map[string]any, _ []string) any {
			*d = *value.NewDict()
			return nil
		},
	}
}

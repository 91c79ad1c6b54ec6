package expr

import "slices"

func listMethods() map[string]function {
	return map[string]function{
		"index": func(c *call) any {
			x := c.need(0, "x")
			for i, item := range c.items() {
				if equal(item, x) {
					return int64(i)
				}
			}
			throw("%s is not in the list", repr(x))
			return nil
		},
		"count": func(c *call) any {
			x, n := c.need(0, "x"), int64(0)
			for _, item := range c.items() {
				if equal(item, x) {
					n++
				}
			}
			return n
		},
		"copy": func(c *call) any { return c.in },
	}
}

// listChanges get a copy of the list and return the method's value and the changed list.
type listChange = func(m *machine, list, args []any, named map[string]any) (any, []any)

func listChanges() map[string]listChange {
	return map[string]listChange{
		"append": func(m *machine, list, args []any, _ map[string]any) (any, []any) {
			m.run.step(len(list))
			return nil, append(list, args...)
		},
		"extend": func(m *machine, list, args []any, _ map[string]any) (any, []any) {
			for _, a := range args {
				list = append(list, m.items(a)...)
			}
			m.size(len(list))
			return nil, list
		},
		"insert": func(m *machine, list, args []any, _ map[string]any) (any, []any) {
			if len(args) != 2 {
				throw("insert takes a place and an item")
			}
			i := intArg(args[0], "place")
			if i < 0 {
				i += int64(len(list))
			}
			return nil, slices.Insert(list, int(min(max(i, 0), int64(len(list)))), args[1])
		},
		"pop": func(m *machine, list, args []any, _ map[string]any) (any, []any) {
			i := int64(-1)
			if len(args) > 0 {
				i = intArg(args[0], "place")
			}
			if i < 0 {
				i += int64(len(list))
			}
			if i < 0 || i >= int64(len(list)) {
				throw("pop from a list of %d items", len(list))
			}
			return list[i], slices.Delete(list, int(i), int(i)+1)
		},
		"remove": func(m *machine, list, args []any, _ map[string]any) (any, []any) {
			for i, item := range list {
				if len(args) == 1 && equal(item, args[0]) {
					return nil, slices.Delete(list, i, i+1)
				}
			}
			throw("what is to be removed is not in the list")
			return nil, nil
		},
		"clear": func(*machine, []any, []any, map[string]any) (any, []any) { return nil, []any{} },
		"reverse": func(_ *machine, list, _ []any, _ map[string]any) (any, []any) {
			slices.Reverse(list)
			return nil, list
		},
		"sort": func(_ *machine, list, _ []any, named map[string]any) (any, []any) {
			slices.SortStableFunc(list, order)
			if truth(named["reverse"]) {
				slices.Reverse(list)
			}
			return nil, list
		},
	}
}

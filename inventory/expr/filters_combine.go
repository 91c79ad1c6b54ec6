package expr

import (
	"slices"
)

func (c *call) lists() [][]any {
	lists := [][]any{c.items()}
	for _, a := range c.args {
		lists = append(lists, c.m.items(a))
	}
	return lists
}

func zipFilter(c *call) any {
	lists := c.lists()
	n := len(lists[0])
	for _, l := range lists {
		n = min(n, len(l))
	}
	return c.zip(lists, n, nil)
}

func zipLongest(c *call) any {
	fill, _ := c.get(-1, "fillvalue")
	lists := c.lists()
	n := 0
	for _, l := range lists {
		n = max(n, len(l))
	}
	return c.zip(lists, n, fill)
}

func (c *call) zip(lists [][]any, n int, fill any) any {
	c.m.size(n * len(lists))
	out := make([]any, n)
	for i := range out {
		t := make(tuple, len(lists))
		for j, l := range lists {
			t[j] = fill
			if i < len(l) {
				t[j] = l[i]
			}
		}
		out[i] = t
	}
	return out
}

func productFilter(c *call) any {
	repeat := c.int(-1, "repeat", 1)
	lists := c.lists()
	base := lists
	for range min(repeat-1, 64) {
		lists = append(lists, base...)
	}
	out := []tuple{{}}
	for _, l := range lists {
		c.m.size(len(out) * len(l))
		next := make([]tuple, 0, len(out)*len(l))
		for _, t := range out {
			for _, x := range l {
				next = append(next, append(slices.Clone(t), x))
			}
		}
		out = next
	}
	return tuples(out)
}

func tuples(ts []tuple) []any {
	list := make([]any, len(ts))
	for i, t := range ts {
		list[i] = t
	}
	return list
}

func combinations(c *call) any {
	n := int(intArg(c.need(0, "n"), "n"))
	list := c.items()
	out := []any{}
	var pick func(from int, chosen tuple)
	pick = func(from int, chosen tuple) {
		c.m.run.step(1)
		if len(chosen) == n {
			out = append(out, slices.Clone(chosen))
			return
		}
		for i := from; i < len(list); i++ {
			pick(i+1, append(chosen, list[i]))
		}
	}
	if n >= 0 && n <= len(list) {
		pick(0, nil)
	}
	return out
}

func permutations(c *call) any {
	list := c.items()
	n := int(c.int(0, "n", int64(len(list))))
	out := []any{}
	used := make([]bool, len(list))
	var pick func(chosen tuple)
	pick = func(chosen tuple) {
		c.m.run.step(1)
		if len(chosen) == n {
			out = append(out, slices.Clone(chosen))
			return
		}
		for i, x := range list {
			if !used[i] {
				used[i] = true
				pick(append(chosen, x))
				used[i] = false
			}
		}
	}
	if n >= 0 && n <= len(list) {
		pick(nil)
	}
	return out
}

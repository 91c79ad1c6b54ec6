package expr

import (
	"slices"
	"strings"
	"unicode/utf8"

	"farm/inventory/value"
)

func listFilters() map[string]function {
	return map[string]function{
		"length": lengthFilter, "count": lengthFilter,
		"first": firstFilter, "last": lastFilter, "join": joinFilter,
		"list":    func(c *call) any { return append([]any{}, c.items()...) },
		"reverse": reverseFilter, "sort": sortFilter, "unique": uniqueFilter,
		"union": unionFilter, "intersect": setFilter(true), "difference": setFilter(false),
		"symmetric_difference": symmetricDifference,
		"flatten":              flattenFilter, "zip": zipFilter, "zip_longest": zipLongest,
		"product": productFilter, "batch": batchFilter, "slice": sliceFilter,
		"combinations": combinations, "permutations": permutations,
	}
}

func lengthFilter(c *call) any {
	switch t := c.defined().(type) {
	case string:
		return int64(utf8.RuneCountInString(t))
	case *value.Dict:
		return int64(t.Len())
	case Lazy:
		return int64(len(t.Keys()))
	}
	return int64(len(c.items()))
}

func firstFilter(c *call) any {
	list := c.items()
	if len(list) == 0 {
		return &undefined{name: "the first of an empty list", keys: []string{}}
	}
	return list[0]
}

func lastFilter(c *call) any {
	list := c.items()
	if len(list) == 0 {
		return &undefined{name: "the last of an empty list", keys: []string{}}
	}
	return list[len(list)-1]
}

func joinFilter(c *call) any {
	sep, attr := c.str(0, "d", ""), c.value(1, "attribute", nil)
	var b strings.Builder
	for i, x := range c.items() {
		if attr != nil {
			x = c.m.path(x, attr)
		}
		if i > 0 {
			b.WriteString(sep)
		}
		b.WriteString(text(x))
		if b.Len() > maxText {
			throw("text of more than %d bytes", maxText)
		}
	}
	return b.String()
}

func reverseFilter(c *call) any {
	if s, ok := c.in.(string); ok {
		r := []rune(s)
		slices.Reverse(r)
		return string(r)
	}
	list := slices.Clone(c.items())
	slices.Reverse(list)
	return nonNil(list)
}

func nonNil(list []any) []any {
	if list == nil {
		return []any{}
	}
	return list
}

func sortFilter(c *call) any {
	reverse, caseful, attr := c.bool(0, "reverse", false), c.bool(1, "case_sensitive", false), c.value(2, "attribute", nil)
	list := slices.Clone(c.items())
	c.m.sortBy(list, attr, caseful, reverse)
	return nonNil(list)
}

// sortBy sorts stably by attributes, "a.b,c", nil = the items themselves.
func (m *machine) sortBy(list []any, attr any, caseful, reverse bool) {
	key := func(x any) any { return foldKey(x, caseful) }
	if attr != nil {
		paths := []any{attr}
		if s, ok := attr.(string); ok {
			paths = stringList(strings.Split(s, ","))
		}
		key = func(x any) any {
			keys := make([]any, len(paths))
			for i, p := range paths {
				keys[i] = foldKey(m.path(x, p), caseful)
			}
			return keys
		}
	}
	m.run.step(len(list))
	slices.SortStableFunc(list, func(a, b any) int {
		if reverse {
			a, b = b, a
		}
		return order(key(a), key(b))
	})
}

// path follows "a.b.0" into x.
func (m *machine) path(x, attr any) any {
	s, ok := attr.(string)
	if !ok {
		return m.index(x, attr)
	}
	for part := range strings.SplitSeq(s, ".") {
		if part != "" && strings.Trim(part, "0123456789") == "" {
			x = m.index(x, intArg(part, "index"))
		} else {
			x = m.index(x, part)
		}
	}
	if u, ok := x.(*undefined); ok && u.m == nil && u.err == nil {
		u.name = s
	}
	return x
}

func flattenFilter(c *call) any {
	levels, skipNulls := c.int(0, "levels", -1), c.bool(1, "skip_nulls", true)
	out := []any{}
	var walk func(list []any, depth int64)
	walk = func(list []any, depth int64) {
		if depth > 1000 {
			throw("a list nested more than 1000 deep")
		}
		for _, x := range list {
			switch t := x.(type) {
			case []any:
				if levels < 0 || depth < levels {
					walk(t, depth+1)
					continue
				}
			case tuple:
				if levels < 0 || depth < levels {
					walk(t, depth+1)
					continue
				}
			}
			if skipNulls && (x == nil || equal(x, "None") || equal(x, "null")) {
				continue
			}
			out = append(out, x)
		}
	}
	walk(c.items(), 0)
	return out
}

func batchFilter(c *call) any {
	n := int(max(1, intArg(c.need(0, "linecount"), "linecount")))
	fill := c.value(1, "fill_with", nil)
	list, out := c.items(), []any{}
	for len(list) > 0 {
		row := slices.Clone(list[:min(n, len(list))])
		list = list[len(row):]
		for fill != nil && len(row) < n && n <= maxItems {
			row = append(row, fill)
		}
		out = append(out, row)
	}
	return out
}

func sliceFilter(c *call) any {
	n := int(intArg(c.need(0, "slices"), "slices"))
	fill := c.value(1, "fill_with", nil)
	list, out := c.items(), []any{}
	if n <= 0 {
		throw("slice into %d parts", n)
	}
	c.m.size(n)
	each, extra := len(list)/n, len(list)%n
	at := 0
	for i := range n {
		size := each
		if i < extra {
			size++
		}
		part := append([]any{}, list[at:at+size]...)
		at += size
		if fill != nil && i >= extra && extra > 0 {
			part = append(part, fill)
		}
		out = append(out, part)
	}
	return out
}

package expr

import (
	"math"
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

// seen remembers values; those that can be map keys are found at once.
type seen struct {
	keys map[any]bool
	rest []any
}

// add reports whether x is new.
func (s *seen) add(x any) bool {
	if s.has(x) {
		return false
	}
	if k, ok := hashKey(x); ok {
		if s.keys == nil {
			s.keys = map[any]bool{}
		}
		s.keys[k] = true
	} else {
		s.rest = append(s.rest, x)
	}
	return true
}

func (s *seen) has(x any) bool {
	if k, ok := hashKey(x); ok {
		return s.keys[k]
	}
	for _, y := range s.rest {
		if equal(x, y) {
			return true
		}
	}
	return false
}

// hashKey is a map key that is equal for equal values.
func hashKey(x any) (any, bool) {
	switch t := x.(type) {
	case string:
		return t, true
	case nil:
		return struct{}{}, true
	}
	if n, ok := number(x); ok {
		if f, isFloat := n.(float64); isFloat && f == math.Trunc(f) && !math.IsInf(f, 0) {
			return truncate(f), true
		}
		return n, true
	}
	return nil, false
}

func setOf(list []any) *seen {
	s := &seen{}
	for _, x := range list {
		s.add(x)
	}
	return s
}

func uniqueFilter(c *call) any {
	caseful := c.bool(0, "case_sensitive", false)
	attr := c.value(1, "attribute", nil)
	s, out := &seen{}, []any{}
	list := c.items()
	c.m.run.step(len(list))
	for _, x := range list {
		key := x
		if attr != nil {
			key = c.m.path(x, attr)
		}
		if s.add(foldKey(key, caseful)) {
			out = append(out, x)
		}
	}
	return out
}

func unionFilter(c *call) any {
	c.joinable()
	s, out := &seen{}, []any{}
	for _, list := range [][]any{c.items(), c.m.items(c.need(0, "b"))} {
		for _, x := range list {
			if s.add(x) {
				out = append(out, x)
			}
		}
	}
	return out
}

// joinable refuses a list and something else, as Python does, which joins the two with +.
func (c *call) joinable() {
	_, a := c.in.([]any)
	_, b := c.need(0, "b").([]any)
	if a != b {
		throwHint("convert it with | list", "%q of %s and %s", c.name, kindOf(c.in), kindOf(c.args[0]))
	}
}

// setFilter keeps the distinct items that are, or are not, in the other list.
func setFilter(in bool) function {
	return func(c *call) any {
		other, s, out := setOf(c.m.items(c.need(0, "b"))), &seen{}, []any{}
		for _, x := range c.items() {
			if other.has(x) == in && s.add(x) {
				out = append(out, x)
			}
		}
		return out
	}
}

func symmetricDifference(c *call) any {
	c.joinable()
	a, b := c.items(), c.m.items(c.need(0, "b"))
	inA, inB, s, out := setOf(a), setOf(b), &seen{}, []any{}
	for _, x := range append(slices.Clone(a), b...) {
		if inA.has(x) != inB.has(x) && s.add(x) {
			out = append(out, x)
		}
	}
	return out
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

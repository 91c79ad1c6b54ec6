package expr

import (
	"math"
	"slices"
)

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
	list, ok := c.m.iterable(c.defined())
	if !ok {
		throw("'%s' object is not iterable", typeName(c.in))
	}
	c.m.run.step(len(list))
	_, given := c.get(0, "case_sensitive")
	for _, x := range list {
		key := x
		if attr != nil {
			key = c.m.path(x, attr)
		}
		if !hashable(key) && (given && !caseful || attr != nil) {
			throw("unique cannot fall back on comparing %s: attribute and case_sensitive=False are for what is plain", kindOf(key))
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

package expr

import (
	"cmp"
	"math"
	"strings"

	"farm/inventory/value"
)

// compare applies a comparison operator.
func (m *machine) compare(op string, x, y any) bool {
	for _, v := range []any{x, y} {
		if u, ok := v.(*undefined); ok && !u.soft {
			u.fail()
		}
	}
	switch op {
	case "==":
		return equal(x, y)
	case "!=":
		return !equal(x, y)
	case "in":
		return m.contains(y, x)
	case "not in":
		return !m.contains(y, x)
	}
	if isNaN(x) || isNaN(y) {
		return false
	}
	c := order(x, y)
	switch op {
	case "<":
		return c < 0
	case "<=":
		return c <= 0
	case ">":
		return c > 0
	}
	return c >= 0
}

func isNaN(x any) bool { f, ok := x.(float64); return ok && math.IsNaN(f) }

// Equal reports whether two values are, as Python's == has it.
func Equal(x, y any) bool { return equal(x, y) }

// equal is Python's ==.
func equal(x, y any) bool {
	if u, ok := x.(*undefined); ok && u.soft {
		return isUndefined(y)
	}
	if u, ok := y.(*undefined); ok && u.soft {
		x, y = y, x // u is equal to nothing else, but x may be one that fails
		return isUndefined(y) && equal(y, x)
	}
	if a, ok := number(x); ok {
		b, ok := number(y)
		if !ok {
			return false
		}
		c, unordered := compareNumbers(a, b)
		return c == 0 && !unordered
	}
	switch a := x.(type) {
	case nil:
		return y == nil
	case string:
		b, ok := y.(string)
		return ok && a == b
	case []any:
		b, ok := y.([]any)
		return ok && equalItems(a, b)
	case tuple:
		b, ok := y.(tuple)
		return ok && equalItems(a, b)
	case *value.Dict:
		return equalDicts(a, y)
	case moment:
		b, ok := y.(moment)
		return ok && a.t.Equal(b.t)
	case span:
		b, ok := y.(span)
		return ok && a == b
	case value.Omit:
		_, ok := y.(value.Omit)
		return ok
	case *namespace:
		b, ok := y.(*namespace)
		return ok && a == b
	}
	return false
}

func equalItems(a, b []any) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

func equalDicts(a *value.Dict, y any) bool {
	b, ok := y.(*value.Dict)
	if !ok || a.Len() != b.Len() {
		return false
	}
	for k, v := range a.All() {
		w, ok := b.Get(k)
		if !ok || !equal(v, w) {
			return false
		}
	}
	return true
}

// order is negative if x sorts before y; values of different kinds cannot be ordered.
func order(x, y any) int {
	a, aok := number(x)
	b, bok := number(y)
	if aok && bok {
		c, _ := compareNumbers(a, b)
		return c
	}
	switch s := x.(type) {
	case string:
		if t, ok := y.(string); ok {
			return strings.Compare(s, t)
		}
	case []any:
		if t, ok := y.([]any); ok {
			return orderItems(s, t)
		}
	case tuple:
		if t, ok := y.(tuple); ok {
			return orderItems(s, t)
		}
	case moment:
		if t, ok := y.(moment); ok {
			return s.t.Compare(t.t)
		}
	case span:
		if t, ok := y.(span); ok {
			return cmp.Compare(s, t)
		}
	}
	hint := ""
	if aok != bok {
		hint = "convert with | int or | float"
	}
	throwHint(hint, "%s and %s cannot be ordered", kindOf(x), kindOf(y))
	return 0
}

func orderItems(a, b []any) int {
	for i := range min(len(a), len(b)) {
		if !equal(a[i], b[i]) {
			return order(a[i], b[i])
		}
	}
	return len(a) - len(b)
}

// contains is Python's `x in in_`.
func (m *machine) contains(in, x any) bool {
	switch t := in.(type) {
	case string:
		s, ok := x.(string)
		if !ok {
			throwHint("convert it with | string", "%s cannot be in text", kindOf(x))
		}
		return strings.Contains(t, s)
	case *value.Dict:
		switch x.(type) {
		case nil, string, int64, value.Big, bool, float64:
			return t.Has(x)
		case tuple:
			return t.Has(dictKey(x))
		}
		throwHint("only text, numbers and booleans are keys", "%s cannot be a key", kindOf(x))
	case Lazy:
		s, ok := x.(string)
		if !ok {
			return false
		}
		return !isUndefined(m.attr(t, s))
	}
	for _, item := range m.items(in) {
		if equal(item, x) {
			return true
		}
	}
	return false
}

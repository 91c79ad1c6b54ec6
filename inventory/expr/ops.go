package expr

import (
	"math"
	"strings"
	"time"

	"farm/inventory/value"
)

// number is x as a number: int64 or float64, a boolean as 0 or 1.
func number(x any) (any, bool) {
	switch t := x.(type) {
	case int64, float64:
		return x, true
	case bool:
		if t {
			return int64(1), true
		}
		return int64(0), true
	case *undefined:
		t.fail()
	}
	return nil, false
}

func toFloat(x any) float64 {
	if i, ok := x.(int64); ok {
		return float64(i)
	}
	return x.(float64)
}

func negate(x any) any {
	n, ok := number(x)
	if !ok {
		throw("%s has no sign", kindOf(x))
	}
	if i, ok := n.(int64); ok {
		if i == math.MinInt64 {
			tooBig()
		}
		return -i
	}
	return -n.(float64)
}

func tooBig() { throw("a whole number of more than 64 bits") }

// operate applies an arithmetic operator.
func (m *machine) operate(op string, x, y any) any {
	if u, ok := x.(*undefined); ok {
		u.fail()
	}
	if u, ok := y.(*undefined); ok {
		u.fail()
	}
	if op == "~" {
		return m.made(text(x) + text(y))
	}
	if s, ok := x.(string); ok && op == "%" {
		return percent(s, y)
	}
	a, aok := number(x)
	b, bok := number(y)
	if aok && bok {
		i, iok := a.(int64)
		j, jok := b.(int64)
		if iok && jok {
			return integers(op, i, j)
		}
		return floats(op, toFloat(a), toFloat(b))
	}
	switch op {
	case "+":
		if v, ok := m.add(x, y); ok {
			return v
		}
	case "-":
		if v, ok := subtract(x, y); ok {
			return v
		}
	case "*":
		if n, ok := b.(int64); ok && bok {
			if v, ok := m.repeat(x, n); ok {
				return v
			}
		}
		if n, ok := a.(int64); ok && aok {
			if v, ok := m.repeat(y, n); ok {
				return v
			}
		}
	}
	hint := ""
	if _, isText := x.(string); isText != (kindOf(y) == "text") && op != "*" {
		hint = "convert with | int, | float or | string"
	}
	throwHint(hint, "%s %s %s is not possible", kindOf(x), op, kindOf(y))
	return nil
}

func bounded(s string) string {
	if len(s) > maxText {
		throw("text of more than %d bytes", maxText)
	}
	return s
}

// made bounds a new text and spends its length from the budget.
func (m *machine) made(s string) string {
	m.run.step(len(s) / 100)
	return bounded(s)
}

func (m *machine) add(x, y any) (any, bool) {
	switch a := x.(type) {
	case string:
		if b, ok := y.(string); ok {
			return m.made(a + b), true
		}
	case []any:
		if b, ok := y.([]any); ok {
			m.size(len(a) + len(b))
			return append(append(make([]any, 0, len(a)+len(b)), a...), b...), true
		}
	case tuple:
		if b, ok := y.(tuple); ok {
			m.size(len(a) + len(b))
			return append(append(make(tuple, 0, len(a)+len(b)), a...), b...), true
		}
	case moment:
		if d, ok := y.(span); ok {
			return moment{a.t.Add(time.Duration(d)), a.zone}, true
		}
	case span:
		switch b := y.(type) {
		case span:
			return a + b, true
		case moment:
			return moment{b.t.Add(time.Duration(a)), b.zone}, true
		}
	}
	return nil, false
}

func subtract(x, y any) (any, bool) {
	switch a := x.(type) {
	case moment:
		switch b := y.(type) {
		case moment:
			return span(a.t.Sub(b.t)), true
		case span:
			return moment{a.t.Add(-time.Duration(b)), a.zone}, true
		}
	case span:
		if b, ok := y.(span); ok {
			return a - b, true
		}
	}
	return nil, false
}

// size spends n items of the budget and bounds one list.
func (m *machine) size(n int) {
	if n > maxItems {
		throw("a list of more than %d items", maxItems)
	}
	m.run.step(n)
}

func (m *machine) repeat(x any, n int64) (any, bool) {
	n = max(0, n)
	switch t := x.(type) {
	case string:
		if len(t) > 0 && n > int64(maxText/len(t)) {
			throw("text of more than %d bytes", maxText)
		}
		return m.made(strings.Repeat(t, int(n))), true
	case []any:
		return m.repeatItems(t, n), true
	case tuple:
		return tuple(m.repeatItems(t, n)), true
	}
	return nil, false
}

func (m *machine) repeatItems(list []any, n int64) []any {
	if len(list) == 0 {
		return list
	}
	if n > int64(maxItems/len(list)) {
		throw("a list of more than %d items", maxItems)
	}
	m.size(len(list) * int(n))
	out := make([]any, 0, len(list)*int(n))
	for range n {
		out = append(out, list...)
	}
	return out
}

func integers(op string, a, b int64) any {
	switch op {
	case "+":
		if c := a + b; (c > a) == (b > 0) {
			return c
		}
	case "-":
		if c := a - b; (c < a) == (b > 0) {
			return c
		}
	case "*":
		if c, ok := multiply(a, b); ok {
			return c
		}
	case "/":
		if b == 0 {
			throw("division by zero")
		}
		return float64(a) / float64(b)
	case "//":
		q, _ := divide(a, b)
		return q
	case "%":
		_, r := divide(a, b)
		return r
	case "**":
		return power(a, b)
	}
	tooBig()
	return nil
}

func multiply(a, b int64) (int64, bool) {
	if a == 0 || b == 0 {
		return 0, true
	}
	c := a * b
	return c, c/b == a && !(a == -1 && b == math.MinInt64) && !(b == -1 && a == math.MinInt64)
}

// divide rounds down, as Python does.
func divide(a, b int64) (q, r int64) {
	if b == 0 {
		throw("division by zero")
	}
	if a == math.MinInt64 && b == -1 {
		tooBig()
	}
	q, r = a/b, a%b
	if r != 0 && (r < 0) != (b < 0) {
		q, r = q-1, r+b
	}
	return q, r
}

func power(a, b int64) any {
	if b < 0 {
		if a == 0 {
			throw("division by zero")
		}
		return math.Pow(float64(a), float64(b))
	}
	out := int64(1)
	for base, ok := a, true; b > 0; b >>= 1 {
		if b&1 == 1 {
			if !ok {
				tooBig()
			}
			var fits bool
			if out, fits = multiply(out, base); !fits {
				tooBig()
			}
		}
		var fits bool
		base, fits = multiply(base, base)
		ok = ok && fits
	}
	return out
}

func floats(op string, a, b float64) any {
	switch op {
	case "+":
		return a + b
	case "-":
		return a - b
	case "*":
		return a * b
	case "**":
		return math.Pow(a, b)
	}
	if b == 0 {
		throw("division by zero")
	}
	switch op {
	case "/":
		return a / b
	case "//":
		return math.Floor(a / b)
	}
	r := math.Mod(a, b)
	if r != 0 && (r < 0) != (b < 0) {
		r += b
	}
	return r
}

// compare applies a comparison operator.
func (m *machine) compare(op string, x, y any) bool {
	if u, ok := x.(*undefined); ok {
		u.fail()
	}
	if u, ok := y.(*undefined); ok {
		u.fail()
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

// equal is Python's ==.
func equal(x, y any) bool {
	if a, ok := number(x); ok {
		b, ok := number(y)
		if !ok {
			return false
		}
		i, iok := a.(int64)
		j, jok := b.(int64)
		if iok && jok {
			return i == j
		}
		return toFloat(a) == toFloat(b)
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
		i, iok := a.(int64)
		j, jok := b.(int64)
		if iok && jok {
			return sign(i < j, i > j)
		}
		f, g := toFloat(a), toFloat(b)
		return sign(f < g, f > g)
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
			return sign(s < t, s > t)
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

func sign(less, more bool) int {
	switch {
	case less:
		return -1
	case more:
		return 1
	}
	return 0
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
		case string, int64, bool, float64:
			return t.Has(x)
		}
		return false
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

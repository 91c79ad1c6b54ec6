package expr

import (
	"strings"
	"time"
)

// operate applies an arithmetic operator.
func (m *machine) operate(op string, x, y any) any {
	if op == "~" {
		return m.made(text(x) + text(y))
	}
	for _, v := range []any{x, y} {
		if u, ok := v.(*undefined); ok {
			u.fail()
		}
	}
	if s, ok := x.(string); ok && op == "%" {
		return percent(s, y)
	}
	a, aok := number(x)
	b, bok := number(y)
	if aok && bok {
		return arithmetic(op, a, b)
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

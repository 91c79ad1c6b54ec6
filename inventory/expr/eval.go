package expr

import (
	"fmt"
	"strings"

	"farm/inventory/source"
	"farm/inventory/value"
)

func (m *machine) eval(x expression) any {
	if m.run.steps++; m.run.steps > maxSteps {
		m.run.step(0)
	}
	switch n := x.(type) {
	case *constant:
		return n.v
	case *name:
		m.at = n.at
		return m.met(m.variable(n.id), x, n.at)
	case *attribute:
		o := m.eval(n.x)
		m.at = n.at
		return m.met(m.attr(o, n.name), n, n.at)
	case *subscript:
		o, key := m.eval(n.x), m.eval(n.key)
		m.at = n.at
		return m.met(m.index(o, key), n, n.at)
	case *slicing:
		return m.slicing(n)
	case *invocation:
		return m.invoke(n)
	case *filtering:
		return m.filtering(n, m.eval(n.x))
	case *examination:
		return m.examine(n)
	case *unary:
		return m.unary(n)
	case *binary:
		return m.binary(n)
	case *comparison:
		return m.comparison(n)
	case *conditional:
		if m.truth(m.eval(n.cond)) {
			return m.eval(n.x)
		}
		if n.y == nil {
			m.at = n.at
			return &undefined{name: "the else of an inline if", keys: []string{}, soft: true}
		}
		return m.eval(n.y)
	case *listing:
		return m.evalAll(n.items)
	case *tupling:
		return tuple(m.evalAll(n.items))
	case *mapping:
		d := value.NewDict()
		for i := range n.keys {
			d.Set(dictKey(m.eval(n.keys[i])), m.eval(n.vals[i]))
		}
		return d
	}
	panic(fmt.Sprintf("no evaluation for %T", x))
}

// met gives something undefined the path that was asked for and its place, once.
func (m *machine) met(v any, x expression, at int) any {
	u, ok := v.(*undefined)
	if !ok || u.in != nil {
		return v
	}
	u.in, u.at = m.prog, at
	if p := written(x); p != "" && !strings.HasPrefix(u.name, "item ") {
		u.name = p
	}
	return u
}

func (m *machine) evalAll(xs []expression) []any {
	list := make([]any, len(xs))
	for i, x := range xs {
		list[i] = m.eval(x)
	}
	return list
}

func (m *machine) unary(n *unary) any {
	x := m.eval(n.x)
	m.at = n.at
	switch n.op {
	case "not":
		return !m.truth(x)
	case "-":
		return negate(x)
	}
	v, ok := number(x)
	if !ok {
		throw("%s has no sign", kindOf(x))
	}
	return v
}

func (m *machine) binary(n *binary) any {
	x := m.eval(n.x)
	m.at = n.at
	switch n.op {
	case "and":
		if !m.truth(x) {
			return x
		}
		return m.eval(n.y)
	case "or":
		if m.truth(x) {
			return x
		}
		return m.eval(n.y)
	}
	y := m.eval(n.y)
	m.at = n.at
	return m.operate(n.op, x, y)
}

func (m *machine) comparison(n *comparison) any {
	x := m.eval(n.x)
	for i, op := range n.ops {
		y := m.eval(n.ys[i])
		m.at = n.at
		if !m.compare(op, x, y) {
			return false
		}
		x = y
	}
	return true
}

func (m *machine) slicing(n *slicing) any {
	x := m.eval(n.x)
	var bounds [3]any
	for i, b := range []expression{n.low, n.high, n.step} {
		if b != nil {
			bounds[i] = m.eval(b)
		}
	}
	m.at = n.at
	return slice(x, bounds)
}

// arguments evaluates a call's arguments.
func (m *machine) arguments(args []argument) (list []any, named map[string]any, order []string) {
	for _, a := range args {
		v := m.eval(a.x)
		switch {
		case a.stars == 1:
			list = append(list, m.items(v)...)
		case a.stars == 2:
			d := m.dict(v)
			for k, item := range d.All() {
				named, order = setNamed(named, order, text(k), item)
			}
		case a.name != "":
			named, order = setNamed(named, order, a.name, v)
		default:
			list = append(list, v)
		}
	}
	return list, named, order
}

func setNamed(named map[string]any, order []string, name string, v any) (map[string]any, []string) {
	if named == nil {
		named = map[string]any{}
	}
	if _, ok := named[name]; !ok {
		order = append(order, name)
	}
	named[name] = v
	return named, order
}

func (m *machine) filtering(n *filtering, in any) any {
	f, ok := m.vars.e.filter(n.name)
	if !ok {
		m.at = n.at
		throwHint(suggest(n.name, keysOf(m.vars.e.filters)), "unknown filter %q", n.name)
	}
	list, named, order := m.arguments(n.args)
	m.at = n.at
	return m.call(f, n.name, in, list, named, order)
}

func (m *machine) examine(n *examination) any {
	t, ok := m.vars.e.test(n.name)
	if !ok {
		m.at = n.at
		throwHint(suggest(n.name, keysOf(m.vars.e.tests)), "unknown test %q", n.name)
	}
	x := m.eval(n.x)
	list, named, order := m.arguments(n.args)
	m.at = n.at
	return m.truth(m.call(t, n.name, x, list, named, order)) != n.not
}

// invoke calls a method, a macro or a global.
func (m *machine) invoke(n *invocation) any {
	if a, ok := n.f.(*attribute); ok {
		o := m.eval(a.x)
		if list, named, order := m.arguments(n.args); true {
			m.at = a.at
			return m.method(a, o, a.name, list, named, order)
		}
	}
	f := m.eval(n.f)
	list, named, order := m.arguments(n.args)
	m.at = n.at
	return m.apply(f, list, named, order)
}

// apply calls a value.
func (m *machine) apply(f any, list []any, named map[string]any, order []string) any {
	switch t := f.(type) {
	case *undefined:
		t.fail()
	case builtin:
		return m.call(t.f, t.name, nil, list, named, order)
	case *macro:
		return m.callMacro(t, list, named)
	case *loop:
		if t.again == nil || len(list) != 1 {
			throw("loop can be called only in a recursive loop, with one list")
		}
		return t.again(list[0])
	case func(list []any) any:
		return t(list)
	}
	throw("%s cannot be called", kindOf(f))
	return nil
}

func suggest(word string, known []string) string {
	if i := strings.LastIndexByte(word, '.'); i >= 0 {
		word = word[i+1:]
	}
	return source.DidYouMean(word, known)
}

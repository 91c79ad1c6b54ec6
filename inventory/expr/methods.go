package expr

import (
	"math"
	"slices"

	"farm/inventory/source"
	"farm/inventory/value"
)

// method calls x.name(args) as Python would. A method that changes a list or mapping
// works on variables of the template itself: the variable gets a changed copy, since
// values are shared.
func (m *machine) method(a *attribute, x any, name string, list []any, named map[string]any, order []string) any {
	var known []string
	tab := m.vars.e.tables
	switch t := x.(type) {
	case *undefined:
		t.fail()
	case string:
		if f, ok := tab.stringMethods[name]; ok {
			return m.call(f, name, x, list, named, order)
		}
		known = keysOf(tab.stringMethods)
	case []any:
		if f, ok := tab.listMethods[name]; ok {
			return m.call(f, name, x, list, named, order)
		}
		if f, ok := tab.listChanges[name]; ok {
			out, changed := f(m, slices.Clone(t), list, named)
			m.rebind(a.x, changed)
			return out
		}
		known = append(keysOf(tab.listMethods), keysOf(tab.listChanges)...)
	case tuple:
		if f, ok := tab.listMethods[name]; ok {
			return m.call(f, name, []any(t), list, named, order)
		}
		known = keysOf(tab.listMethods)
	case *value.Dict, Lazy, *namespace:
		if _, lazy := x.(Lazy); !lazy {
			switch v := m.attr(x, name).(type) {
			case *macro, builtin:
				return m.apply(v, list, named, order)
			}
		}
		if f, ok := tab.dictMethods[name]; ok {
			return m.call(f, name, x, list, named, order)
		}
		if f, ok := tab.dictChanges[name]; ok {
			d := m.dict(x).Copy()
			out := f(m, d, list, named, order)
			if ns, ok := x.(*namespace); ok {
				ns.d = d
			} else {
				m.rebind(a.x, d)
			}
			return out
		}
		known = append(keysOf(tab.dictMethods), keysOf(tab.dictChanges)...)
	case int64, value.Big:
		if name == "bit_length" {
			return int64(toBig(t).BitLen())
		}
	case float64:
		if name == "is_integer" {
			return t == math.Trunc(t) && !math.IsInf(t, 0)
		}
	case moment:
		return t.method(name, list)
	case span:
		if name == "total_seconds" {
			return t.seconds()
		}
	case *cycler:
		return t.method(name)
	case *loop:
		return m.apply(t.attr(name), list, named, order)
	}
	throwHint(source.DidYouMean(name, known), "%s has no method %q", kindOf(x), name)
	return nil
}

func keysOf[V any](table map[string]V) []string {
	names := make([]string, 0, len(table))
	for n := range table {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// rebind stores a changed copy where x was read from, if that is the template's own.
func (m *machine) rebind(x expression, v any) {
	switch n := x.(type) {
	case *name:
		if f := m.frame.holder(n.id); f != nil {
			f.names[n.id] = v
			return
		}
	case *attribute:
		if ns, ok := m.eval(n.x).(*namespace); ok {
			ns.d.Set(n.name, v)
			return
		}
		if d, ok := m.eval(n.x).(*value.Dict); ok {
			c := d.Copy()
			c.Set(n.name, v)
			m.rebind(n.x, c)
			return
		}
	case *subscript:
		key := m.eval(n.key)
		switch t := m.eval(n.x).(type) {
		case *value.Dict:
			c := t.Copy()
			c.Set(dictKey(key), v)
			m.rebind(n.x, c)
			return
		case []any:
			if i, ok := key.(int64); ok && i >= 0 && i < int64(len(t)) {
				c := slices.Clone(t)
				c[i] = v
				m.rebind(n.x, c)
				return
			}
		}
	}
	throwHint("copy it with {% set %} first, or use + and combine()", "only what a template has set itself can be changed")
}

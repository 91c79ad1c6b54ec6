package expr

import (
	"farm/inventory/source"
)

// function is a filter, a test, a lookup or a global. It throws faults.
type function func(c *call) any

// call is one call of a function.
type call struct {
	m     *machine
	name  string
	in    any // what a filter filters and a test tests
	args  []any
	named map[string]any
	order []string // the names in the order in which they were written
	known []string // names that the function asked for
	open  bool     // any name is accepted
}

func (m *machine) call(f function, name string, in any, list []any, named map[string]any, order []string) any {
	c := &call{m: m, name: name, in: in, args: list, named: named, order: order}
	m.depth++
	if m.depth > maxNesting {
		throw("more than %d functions inside each other", maxNesting)
	}
	v := f(c)
	m.depth--
	if !c.open {
		for _, n := range order {
			if !contains(c.known, n) {
				throwHint(source.DidYouMean(n, c.known), "%q takes no argument %q", name, n)
			}
		}
	}
	return v
}

// get returns an argument by place or name; nil and false if it is not given.
func (c *call) get(i int, name string) (any, bool) {
	c.known = append(c.known, name)
	if i >= 0 && i < len(c.args) {
		return c.args[i], true
	}
	v, ok := c.named[name]
	return v, ok
}

// need is get for an argument that must be there and defined.
func (c *call) need(i int, name string) any {
	v, ok := c.get(i, name)
	if !ok {
		throw("%q needs an argument: %s", c.name, name)
	}
	if u, ok := v.(*undefined); ok {
		u.fail()
	}
	return v
}

func (c *call) value(i int, name string, def any) any {
	v, ok := c.get(i, name)
	if !ok {
		return def
	}
	if u, ok := v.(*undefined); ok {
		u.fail()
	}
	return v
}

func (c *call) str(i int, name, def string) string {
	v := c.value(i, name, def)
	if v == nil {
		return def
	}
	return text(v)
}

func (c *call) int(i int, name string, def int64) int64 {
	v := c.value(i, name, def)
	if v == nil {
		return def
	}
	return intArg(v, name)
}

func (c *call) bool(i int, name string, def bool) bool { return truth(c.value(i, name, def)) }

// text is the input as text.
func (c *call) text() string {
	return text(c.in)
}

// needText is the input, which must be text already.
func (c *call) needText() string {
	s, ok := c.defined().(string)
	if !ok {
		throwHint("convert it with | string", "%q of %s", c.name, kindOf(c.in))
	}
	return s
}

// textArg is an argument that must be text.
func (c *call) textArg(i int, name string) string {
	s, ok := c.need(i, name).(string)
	if !ok {
		v, _ := c.get(i, name)
		throwHint("convert it with | string", "%q takes text, not %s", c.name, kindOf(v))
	}
	return s
}

// items is the input as a list.
func (c *call) items() []any { return c.m.items(c.in) }

// defined refuses an undefined input and returns it.
func (c *call) defined() any {
	if u, ok := c.in.(*undefined); ok && !u.soft {
		u.fail()
	}
	return c.in
}

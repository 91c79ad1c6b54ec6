package expr

import (
	"errors"
	"fmt"
	"strings"

	"farm/inventory/source"
	"farm/inventory/value"
)

// machine evaluates one program. It belongs to one goroutine.
type machine struct {
	vars *Vars
	run  *run
	prog *program
	pos  source.Pos
	file bool // the program is a file: offsets give exact positions
	// convert has the text that the program, its macros and its set blocks make read as
	// a literal: the program is a template in a variable or an argument.
	convert bool
	// written counts the texts that the program gave; verbatim says that the last came from
	// a filter whose text stays text.
	written  int
	verbatim bool

	at     int // offset of what is being evaluated, for faults
	frame  *frame
	out    *strings.Builder
	blocks map[string][]*blockNode // overrides by templates that extend this one, the last of them first
	depth  int
}

// frame holds names that a template sets itself.
type frame struct {
	parent *frame
	names  map[string]any
}

func (m *machine) push() *frame {
	m.frame = &frame{parent: m.frame}
	return m.frame
}

func (m *machine) pop() { m.frame = m.frame.parent }

func (f *frame) set(name string, v any) {
	if f.names == nil {
		f.names = map[string]any{}
	}
	f.names[name] = v
}

// holder is the innermost frame that has name.
func (f *frame) holder(name string) *frame {
	for ; f != nil; f = f.parent {
		if _, ok := f.names[name]; ok {
			return f
		}
	}
	return nil
}

// value runs the program for its native value.
func (m *machine) value() (v any, err error) {
	defer guard(&err, m.prog.text, m.pos, m.file, &m.at)
	if m.prog.single == nil {
		s := m.render()
		if m.written != 1 || !m.verbatim {
			v = m.worth(s)
			if _, isText := v.(string); !isText {
				return m.export(v), nil
			}
		}
		return s + m.lost(s), nil
	}
	m.push()
	x, verbatim := m.evalSingle(m.prog.single)
	v = m.export(x)
	if s, ok := v.(string); ok && !verbatim {
		v = m.export(m.worth(s))
	}
	if s, ok := v.(string); ok {
		return s + m.lost(s), nil
	}
	return v, nil
}

// text runs the program for text.
func (m *machine) text() (s string, err error) {
	defer guard(&err, m.prog.text, m.pos, m.file, &m.at)
	s = m.render()
	return s + m.lost(s), nil
}

// lost is the newlines at the end of the program that a block at the end swallowed;
// they come back, as Ansible has it.
func (m *machine) lost(s string) string {
	return strings.Repeat("\n", max(0, trailing(m.prog.text)-trailing(s)))
}

// render gives the program's text.
func (m *machine) render() string {
	m.out = &strings.Builder{}
	m.push()
	m.exec(m.prog.body)
	return m.out.String()
}

func trailing(s string) int { return len(s) - len(strings.TrimRight(s, "\n")) }

func (m *machine) write(s string) {
	if m.out.Len()+len(s) > maxText {
		throw("text of more than %d bytes", maxText)
	}
	m.out.WriteString(s)
	m.written++
	m.verbatim = false
}

// export turns an evaluated value into one of package value, and refuses what is undefined.
func (m *machine) export(x any) any {
	switch t := x.(type) {
	case nil, bool, int64, value.Big, float64, string, value.Omit:
		return x
	case *undefined:
		if !t.soft {
			t.fail()
		}
		return ""
	case tuple:
		return m.export(nonNil([]any(t)))
	case []any:
		var out []any
		for i, item := range t {
			e := m.export(item)
			if out == nil && !same(e, item) || isInternal(item) {
				if out == nil {
					out = append(make([]any, 0, len(t)), t[:i]...)
				}
			}
			if out != nil {
				out = append(out, e)
			}
		}
		if out != nil {
			return out
		}
		return t
	case *value.Dict:
		out := t
		for k, item := range t.All() {
			e := m.export(item)
			if _, omit := e.(value.Omit); omit {
				if out == t {
					out = t.Copy()
				}
				out.Delete(k)
			} else if !same(e, item) || isInternal(item) {
				if out == t {
					out = t.Copy()
				}
				out.Set(k, e)
			}
		}
		return out
	case *namespace:
		return m.export(t.d)
	case value.Template:
		return m.resolve(t)
	case Lazy:
		return t
	}
	return text(x)
}

// isInternal reports whether x is of a type that package value does not have.
func isInternal(x any) bool {
	switch x.(type) {
	case nil, bool, int64, value.Big, float64, string, value.Omit, []any, *value.Dict, Lazy:
		return false
	}
	return true
}

// resolve evaluates templates in a value that came from a Lazy.
func (m *machine) resolve(x any) any {
	v, err := m.vars.eval(m.run, x)
	if err != nil {
		throwErr(err)
	}
	return v
}

// variable reads a name: the template's own, then variables, then globals.
func (m *machine) variable(id string) any {
	if f := m.frame.holder(id); f != nil {
		return f.names[id]
	}
	v, ok, err := m.vars.lookup(m.run, id)
	if ok {
		if err != nil {
			// A variable whose template misses something is itself undefined, so that
			// default() and "is defined" work on it.
			var undef *UndefinedError
			if errors.As(err, &undef) {
				return &undefined{name: id, err: err}
			}
			throwErr(err)
		}
		return v
	}
	if g, ok := m.vars.e.globals[id]; ok {
		return g
	}
	if id == "vars" {
		return lazyVars{m.vars}
	}
	return &undefined{name: id, m: m}
}

// names lists what a name can be, for suggestions.
func (m *machine) names() []string {
	names := m.vars.Names()
	for f := m.frame; f != nil; f = f.parent {
		for n := range f.names {
			names = append(names, n)
		}
	}
	return append(names, keysOf(m.vars.e.globals)...)
}

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

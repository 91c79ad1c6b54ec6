package expr

import (
	"errors"
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
	// inside says that another expression reads what the program gives: a Lazy need not be read as a whole.
	inside bool
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
	if l, ok := x.(Lazy); ok && m.inside {
		return l, nil
	}
	_, variable := m.prog.single.(*name)
	if v = m.export(x); v == nil && m.convert && !variable { // as it prints
		return "", nil
	}
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
		return m.export(m.dict(t))
	}
	return text(x)
}

// isInternal reports whether x is of a type that package value does not have.
func isInternal(x any) bool {
	switch x.(type) {
	case nil, bool, int64, value.Big, float64, string, value.Omit, []any, *value.Dict:
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
				if raw, _ := m.vars.Raw(id); raw != nil {
					if t, ok := raw.(value.Template); ok {
						err = needed(t.Text, err)
					}
				}
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

package expr

import (
	"slices"
	"strings"

	"farm/inventory/source"
	"farm/inventory/value"
)

// signal says how a body ended.
type signal byte

const (
	ran signal = iota
	breaks
	continues
)

func (m *machine) exec(body []statement) signal {
	for _, s := range body {
		if sig := m.statement(s); sig != ran {
			return sig
		}
	}
	return ran
}

func (m *machine) statement(s statement) signal {
	m.run.step(1)
	switch n := s.(type) {
	case *textNode:
		m.write(n.text)
	case *output:
		m.print(m.eval(n.x))
		m.verbatim = keepsText(n.x)
	case *ifNode:
		return m.execIf(n)
	case *forNode:
		m.execFor(n, n.iter, 1)
	case *setNode:
		m.execSet(n)
	case *withNode:
		vals := m.evalAll(n.vals)
		m.push()
		defer m.pop()
		for i, target := range n.names {
			m.assign(target, vals[i])
		}
		return m.exec(n.body)
	case *macroNode:
		m.frame.set(n.name, &macro{node: n, home: m.frame, m: m})
	case *callNode:
		m.execCall(n)
	case *filterNode:
		m.print(m.refilter(n.filter, m.captured(n.body)))
	case *includeNode:
		m.include(n)
	case *importNode:
		m.imports(n)
	case *blockNode:
		return m.execBlock(n.name, append(slices.Clone(m.blocks[n.name]), n))
	case *extendsNode:
		m.extends(n)
		return breaks
	case *doNode:
		m.eval(n.x)
	case *loopNode:
		if n.stop {
			return breaks
		}
		return continues
	}
	return ran
}

// execBlock runs the first of what templates have for a block, the one that extends the others
// first; super() in it is what the next gives.
func (m *machine) execBlock(name string, versions []*blockNode) signal {
	m.push()
	defer m.pop()
	if len(versions) == 1 {
		m.frame.set("super", &undefined{name: "super", keys: []string{}})
	} else {
		m.frame.set("super", builtin{"super", func(*call) any {
			m.run.calls++
			defer func() { m.run.calls-- }()
			return m.captureDo(func() { m.execBlock(name, versions[1:]) })
		}})
	}
	return m.exec(versions[0].body)
}

// print writes a value; nothing prints as nothing, as in Ansible.
func (m *machine) print(v any) {
	if v != nil {
		m.write(text(v))
	}
}

func (m *machine) execIf(n *ifNode) signal {
	for i, c := range n.conds {
		if m.truth(m.eval(c)) {
			return m.exec(n.bodies[i])
		}
	}
	return m.exec(n.orElse)
}

// capture runs body and returns its text instead of writing it.
func (m *machine) capture(body []statement) string {
	return m.captureDo(func() {
		m.push()
		defer m.pop()
		m.exec(body)
	})
}

func (m *machine) captureDo(f func()) string {
	saved := m.out
	m.out = &strings.Builder{}
	defer func() { m.out = saved }()
	f()
	return m.out.String()
}

// refilter applies a chain of filters to in; the innermost filtering has no operand.
func (m *machine) refilter(x expression, in any) any {
	f, ok := x.(*filtering)
	if !ok {
		throw("only filters may stand here")
	}
	if f.x != nil {
		in = m.refilter(f.x, in)
	}
	return m.filtering(f, in)
}

func (m *machine) execSet(n *setNode) {
	var v any
	if n.x != nil {
		v = m.eval(n.x)
	} else {
		v = m.captured(n.body)
		if n.filter != nil {
			v = m.refilter(n.filter, v)
		}
	}
	m.at = n.at
	m.assign(n.targets[0], v)
}

func (m *machine) assign(target expression, v any) {
	switch t := target.(type) {
	case *name:
		m.frame.set(t.id, v)
	case *attribute:
		ns, ok := m.eval(t.x).(*namespace)
		if !ok {
			throwHint("make one with namespace()", "only a namespace's entries can be set")
		}
		ns.d.Set(t.name, v)
	case *tupling:
		items := m.items(v)
		if len(items) != len(t.items) {
			throw("%d names for %d values", len(t.items), len(items))
		}
		for i, one := range t.items {
			m.assign(one, items[i])
		}
	}
}

// macro is a defined macro, or the body of a call block as `caller`.
type macro struct {
	node *macroNode
	home *frame
	m    *machine
}

func (m *machine) callMacro(t *macro, list []any, named map[string]any) any {
	m.run.calls++
	defer func() { m.run.calls-- }()
	if m.run.calls > maxCalls {
		throw("more than %d macros and includes inside each other", maxCalls)
	}
	n := t.node
	in := t.m // a macro that was imported runs in its own template
	savedFrame, savedOut, savedAt := in.frame, in.out, in.at
	defer func() { in.frame, in.out, in.at = savedFrame, savedOut, savedAt }()
	in.frame, in.out = &frame{parent: t.home}, &strings.Builder{}
	for i, p := range n.params {
		def := i - (len(n.params) - len(n.defaults))
		switch v, ok := named[p]; {
		case i < len(list):
			in.frame.set(p, list[i])
		case ok:
			in.frame.set(p, v)
		case def >= 0:
			in.frame.set(p, in.eval(n.defaults[def]))
		default:
			in.frame.set(p, &undefined{name: p, keys: []string{}})
		}
	}
	if c, ok := named["caller"]; ok {
		in.frame.set("caller", c)
	}
	if len(list) > len(n.params) {
		in.frame.set("varargs", tuple(list[len(n.params):]))
	}
	for k := range named {
		if k != "caller" && !contains(n.params, k) {
			throwHint(source.DidYouMean(k, n.params), "the macro %q has no parameter %q", n.name, k)
		}
	}
	return in.counted(func() string {
		in.exec(n.body)
		return in.out.String()
	})
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

func (m *machine) execCall(n *callNode) {
	f := m.eval(n.call.f)
	list, named, order := m.arguments(n.call.args)
	named, order = setNamed(named, order, "caller", &macro{node: n.macro, home: m.frame, m: m})
	m.at = n.at
	m.print(m.apply(f, list, named, order))
}

// load compiles the first of the files that x names.
func (m *machine) load(x any, missingOK bool) (*machine, bool) {
	names := []any{x}
	if list, ok := x.([]any); ok {
		names = list
	}
	m.run.calls++
	if m.run.calls > maxCalls {
		throw("more than %d macros and includes inside each other", maxCalls)
	}
	if m.vars.e.o.ReadFile == nil {
		if missingOK {
			return nil, false
		}
		throw("files cannot be included here")
	}
	var last error
	for _, n := range names {
		file := m.beside("templates", text(n))
		body, err := m.vars.e.o.ReadFile(file)
		if err != nil {
			last = err
			continue
		}
		pos := source.Pos{File: file}
		p, err := m.vars.e.template(string(body), pos, m.prog.syn)
		if err != nil {
			throwErr(err)
		}
		return &machine{vars: m.vars, run: m.run, prog: p, pos: pos, file: true, frame: m.frame, out: m.out, blocks: m.blocks, convert: m.convert}, true
	}
	if !missingOK {
		throwErr(last)
	}
	return nil, false
}

// sub runs f on an included template's machine, with that template's positions in faults.
func (m *machine) sub(in *machine, f func()) {
	defer func() { m.run.calls-- }()
	err := func() (err error) {
		defer guard(&err, in.prog.text, in.pos, true, &in.at)
		f()
		return nil
	}()
	if err != nil {
		throwErr(err)
	}
}

func (m *machine) include(n *includeNode) {
	x := m.eval(n.x)
	m.at = n.at
	in, ok := m.load(x, n.ignoreMissing)
	if !ok {
		m.run.calls--
		return
	}
	if n.noContext {
		in.frame = nil
	}
	in.push()
	m.sub(in, func() { in.exec(in.prog.body) })
}

func (m *machine) imports(n *importNode) {
	x := m.eval(n.x)
	m.at = n.at
	in, _ := m.load(x, false)
	in.frame, in.out = nil, &strings.Builder{}
	top := in.push()
	m.sub(in, func() { in.exec(in.prog.body) })
	if n.as != "" {
		d := value.NewDict()
		for k, v := range top.names {
			d.Set(k, v)
		}
		m.frame.set(n.as, &namespace{d})
		return
	}
	for as, id := range n.names {
		v, ok := top.names[id]
		if !ok {
			throw("%q has no %q", in.pos.File, id)
		}
		m.frame.set(as, v)
	}
}

// extends runs the parent in place of the rest of this template, with its blocks.
func (m *machine) extends(n *extendsNode) {
	x := m.eval(n.x)
	m.at = n.at
	in, _ := m.load(x, false)
	all := map[string][]*blockNode{}
	for k, b := range m.blocks {
		all[k] = slices.Clone(b)
	}
	for k, b := range m.prog.blocks {
		all[k] = append(all[k], b)
	}
	in.blocks = all
	m.sub(in, func() { in.exec(in.prog.body) })
}

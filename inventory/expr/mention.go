package expr

import (
	"regexp"
	"strings"

	"farm/inventory/source"
	"farm/inventory/value"
)

// Mentions collects the variables that templates may read, found by looking at them and not
// by evaluating. The zero value is empty.
type Mentions struct {
	// Paths are the variables, by name, each with what of it is read: "metadata.hostname", or
	// "" for all of it.
	Paths map[string]map[string]bool
	// Any says why every variable may be read; "" = only those of Paths are.
	Any string
}

// Has reports whether a variable is among those that may be read by name.
func (m *Mentions) Has(name string) bool { return m.Paths[name] != nil }

// Name adds a variable, or a part of one by its keys joined with points; "" is all of it.
func (m *Mentions) Name(name, path string) {
	if m.Paths == nil {
		m.Paths = map[string]map[string]bool{}
	}
	if m.Paths[name] == nil {
		m.Paths[name] = map[string]bool{}
	}
	m.Paths[name][path] = true
}

// Join adds all that more has.
func (m *Mentions) Join(more *Mentions) {
	for name, paths := range more.Paths {
		for path := range paths {
			m.Name(name, path)
		}
	}
	if m.Any == "" {
		m.Any = more.Any
	}
}

// Mention adds what the templates in x, at any depth, may read.
func (e *Engine) Mention(m *Mentions, x any) {
	switch t := x.(type) {
	case value.Template:
		p, err := e.template(t.Text, t.Pos, valueSyntax)
		e.mention(m, p, err, t.Text, t.Pos)
	case []any:
		for _, item := range t {
			e.Mention(m, item)
		}
	case *value.Dict:
		for k, item := range t.All() {
			if text, ok := k.(string); ok && strings.Contains(text, "{{") {
				e.Mention(m, value.Template{Text: text, Pos: t.KeyPos(k)})
			}
			e.Mention(m, item)
		}
	}
}

// MentionExpression adds what a bare expression, such as a `when` item, may read.
func (e *Engine) MentionExpression(m *Mentions, text string, pos source.Pos) {
	if strings.Contains(text, "{{") || strings.Contains(text, "{%") {
		e.Mention(m, value.Template{Text: text, Pos: pos})
		return
	}
	p, err := e.bare(text, pos)
	e.mention(m, p, err, text, pos)
}

// MentionFile adds what a file that is a template may read.
func (e *Engine) MentionFile(m *Mentions, name, text string, how value.Syntax) {
	pos := source.Pos{File: name}
	p, err := e.template(text, pos, fileSyntaxOf(how))
	e.mention(m, p, err, text, pos)
}

var mentioned = regexp.MustCompile(`[A-Za-z_][A-Za-z0-9_]*`)

// mention walks a program. Of a text that is none every word counts: it may be read
// by another syntax.
func (e *Engine) mention(m *Mentions, p *program, err error, text string, pos source.Pos) {
	if err != nil {
		for _, word := range mentioned.FindAllString(text, -1) {
			if word == "vars" {
				m.any(pos)
			}
			m.Name(word, "")
		}
		return
	}
	w := &mentioner{m: m, pos: pos}
	p.expressions(w.expr)
}

func (m *Mentions) any(pos source.Pos) {
	if m.Any == "" {
		m.Any = "a name is made up on reading"
		if !pos.IsZero() {
			m.Any = pos.String() + ": " + m.Any
		}
	}
}

// mentioner walks one program. Names that the program sets itself count too: whether
// one stands for a variable may depend on the way through.
type mentioner struct {
	m   *Mentions
	pos source.Pos
}

// path adds x if it is a variable with constant keys behind it.
func (w *mentioner) path(x expression) bool {
	var keys []string
	for {
		switch n := x.(type) {
		case *name:
			for i, j := 0, len(keys)-1; i < j; i, j = i+1, j-1 {
				keys[i], keys[j] = keys[j], keys[i]
			}
			w.name(n.id, keys)
			return true
		case *attribute:
			keys, x = append(keys, n.name), n.x
		case *subscript:
			k, ok := n.key.(*constant)
			text, isText := "", false
			if ok {
				text, isText = k.v.(string)
			}
			if !isText || strings.Contains(text, ".") {
				return false
			}
			keys, x = append(keys, text), n.x
		default:
			return false
		}
	}
}

func (w *mentioner) name(id string, keys []string) {
	if id != "vars" {
		w.m.Name(id, strings.Join(keys, "."))
		return
	}
	if len(keys) == 0 {
		w.m.any(w.pos)
		return
	}
	w.m.Name(keys[0], strings.Join(keys[1:], "."))
}

func (w *mentioner) expr(x expression) {
	switch n := x.(type) {
	case *name:
		w.name(n.id, nil)
	case *attribute, *subscript:
		if !w.path(n) {
			operands(n, w.expr)
		}
	case *invocation:
		w.lookup(n)
		if a, ok := n.f.(*attribute); ok { // a method may read all of its object
			w.expr(a.x)
			arguments(n.args, w.expr)
			return
		}
		operands(n, w.expr)
	default:
		operands(n, w.expr)
	}
}

// lookup adds the variables that lookup('vars', ...) names.
func (w *mentioner) lookup(n *invocation) {
	f, ok := n.f.(*name)
	if !ok || len(n.args) == 0 || f.id != "lookup" && f.id != "query" && f.id != "q" {
		return
	}
	kind, known := n.args[0].x.(*constant)
	if !known {
		w.m.any(w.pos)
		return
	}
	switch id := text(kind.v); id[strings.LastIndexByte(id, '.')+1:] {
	case "varnames":
		w.m.any(w.pos)
	case "vars":
		for _, a := range n.args[1:] {
			if c, ok := a.x.(*constant); ok && a.stars == 0 {
				w.m.Name(text(c.v), "")
			} else if a.name == "" || a.stars > 0 {
				w.m.any(w.pos)
			}
		}
	}
}

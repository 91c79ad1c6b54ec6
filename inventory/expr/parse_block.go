package expr

import (
	"slices"
	"strconv"

	"farm/inventory/source"
)

var statements = []string{"for", "if", "set", "with", "macro", "call", "filter", "include", "import", "from", "block", "extends", "do", "break", "continue", "raw"}

// body parses statements up to one of the end words, which is consumed and returned
// with the parser behind it; end "" stands for the end of the template.
func (p *parser) body(open int, ends ...string) ([]statement, string) {
	defer p.deeper()()
	var out []statement
	for {
		t := p.next()
		p.links = 0
		switch t.kind {
		case tEOF:
			if len(ends) > 0 {
				throwAt(open, strconv.Quote(ends[len(ends)-1])+" is missing", "")
			}
			return out, ""
		case tData:
			out = append(out, &textNode{t.text})
		case tVarBegin:
			if p.peek().kind == tVarEnd {
				throwAt(t.off, "an empty expression", "")
			}
			out = append(out, &output{x: p.commas(), at: t.off})
			p.expect(tVarEnd)
		case tBlockBegin:
			word := p.expectName()
			if slices.Contains(ends, word.text) {
				return out, word.text
			}
			out = append(out, p.statement(word))
		}
	}
}

func (p *parser) expect(k kind) {
	if p.peek().kind != k {
		throwAt(p.peek().off, "expected "+token{kind: k}.String()+", found "+p.peek().String(), "")
	}
	p.next()
}

// block parses "%}", statements, and the end word with its "%}".
func (p *parser) block(open int, end string) []statement {
	p.expect(tBlockEnd)
	b, _ := p.body(open, end)
	if p.peek().kind == tName { // {% endblock NAME %}
		p.next()
	}
	p.expect(tBlockEnd)
	return b
}

func (p *parser) statement(word token) statement {
	at := word.off
	switch word.text {
	case "if":
		return p.ifBlock(at)
	case "for":
		return p.forBlock(at)
	case "set":
		return p.set(at)
	case "with":
		return p.with(at)
	case "macro":
		m := p.signature(p.expectName().text, at)
		m.body = p.block(at, "endmacro")
		return m
	case "call":
		return p.call(at)
	case "filter":
		f := p.filters(p.filter(nil))
		return &filterNode{filter: f, body: p.block(at, "endfilter")}
	case "block":
		b := &blockNode{name: p.expectName().text}
		for p.skipName("scoped") || p.skipName("required") {
		}
		b.body = p.block(at, "endblock")
		return b
	}
	s := p.simple(word)
	p.expect(tBlockEnd)
	return s
}

// simple parses the statements that have no body.
func (p *parser) simple(word token) statement {
	at := word.off
	switch word.text {
	case "include":
		n := &includeNode{x: p.expression(), at: at}
		if p.skipName("ignore") {
			if !p.skipName("missing") {
				throwAt(p.peek().off, `expected "missing" after "ignore"`, "")
			}
			n.ignoreMissing = true
		}
		n.noContext = p.context()
		return n
	case "import":
		n := &importNode{x: p.expression(), at: at}
		if !p.skipName("as") {
			throwAt(p.peek().off, `expected "as"`, "")
		}
		n.as = p.expectName().text
		p.context()
		return n
	case "from":
		return p.from(at)
	case "extends":
		return &extendsNode{x: p.expression(), at: at}
	case "do":
		return &doNode{p.commas()}
	case "break":
		return &loopNode{stop: true}
	case "continue":
		return &loopNode{}
	}
	throwAt(at, "unknown statement "+strconv.Quote(word.text), source.DidYouMean(word.text, statements))
	return nil
}

// context skips "with context" or "without context" and reports the latter.
func (p *parser) context() bool {
	if p.isName("with") || p.isName("without") {
		without := p.next().text == "without"
		if !p.skipName("context") {
			throwAt(p.peek().off, `expected "context"`, "")
		}
		return without
	}
	return false
}

func (p *parser) from(at int) statement {
	n := &importNode{x: p.expression(), names: map[string]string{}, at: at}
	if !p.skipName("import") {
		throwAt(p.peek().off, `expected "import"`, "")
	}
	for p.peek().kind == tName {
		if (p.isName("with") || p.isName("without")) && p.tokens[p.i+1].text == "context" {
			p.context()
			break
		}
		id := p.next().text
		as := id
		if p.skipName("as") {
			as = p.expectName().text
		}
		n.names[as] = id
		p.skipOp(",")
	}
	return n
}

func (p *parser) ifBlock(at int) statement {
	n := &ifNode{}
	word := "if"
	for {
		if word != "else" {
			n.conds = append(n.conds, p.commas())
		}
		p.expect(tBlockEnd)
		if word == "else" {
			n.orElse, word = p.body(at, "endif")
		} else {
			var b []statement
			b, word = p.body(at, "elif", "else", "endif")
			n.bodies = append(n.bodies, b)
		}
		if word == "endif" {
			p.expect(tBlockEnd)
			return n
		}
	}
}

func (p *parser) forBlock(at int) statement {
	n := &forNode{target: p.target(), at: at}
	if !p.skipName("in") {
		throwAt(p.peek().off, `expected "in", found `+p.peek().String(), "")
	}
	n.iter = p.or()
	if p.isOp(",") {
		items := []expression{n.iter}
		for p.skipOp(",") {
			items = append(items, p.or())
		}
		n.iter = &tupling{items}
	}
	if p.skipName("if") {
		n.filter = p.expression()
	}
	n.recursive = p.skipName("recursive")
	p.expect(tBlockEnd)
	var word string
	n.body, word = p.body(at, "else", "endfor")
	if word == "else" {
		p.expect(tBlockEnd)
		n.orElse, _ = p.body(at, "endfor")
	}
	p.expect(tBlockEnd)
	return n
}

// target parses what set and for assign to: names, ns.attr, or a tuple of them.
func (p *parser) target() expression {
	one := func() expression {
		if p.skipOp("(") {
			x := p.target()
			p.expectOp(")")
			return x
		}
		t := p.expectName()
		if p.skipOp(".") {
			return &attribute{x: &name{id: t.text, at: t.off}, name: p.expectName().text, at: t.off}
		}
		return &name{id: t.text, at: t.off}
	}
	x := one()
	if !p.isOp(",") {
		return x
	}
	items := []expression{x}
	for p.skipOp(",") {
		if p.isName("in") || p.isOp("=") {
			break
		}
		items = append(items, one())
	}
	return &tupling{items}
}

func (p *parser) set(at int) statement {
	n := &setNode{targets: []expression{p.target()}, at: at}
	if p.skipOp("=") {
		n.x = p.commas()
		p.expect(tBlockEnd)
		return n
	}
	if p.skipOp("|") {
		n.filter = p.filters(p.filter(nil))
	}
	n.body = p.block(at, "endset")
	return n
}

func (p *parser) with(at int) statement {
	n := &withNode{}
	for p.peek().kind != tBlockEnd {
		if len(n.names) > 0 {
			p.expectOp(",")
		}
		n.names = append(n.names, p.target())
		p.expectOp("=")
		n.vals = append(n.vals, p.expression())
	}
	n.body = p.block(at, "endwith")
	return n
}

// signature parses the parameters of a macro.
func (p *parser) signature(id string, at int) *macroNode {
	m := &macroNode{name: id, at: at}
	p.expectOp("(")
	for !p.skipOp(")") {
		if len(m.params) > 0 {
			p.expectOp(",")
		}
		t := p.expectName()
		m.params = append(m.params, t.text)
		if p.skipOp("=") {
			m.defaults = append(m.defaults, p.expression())
		} else if len(m.defaults) > 0 {
			throwAt(t.off, "a parameter without a default after one with a default", "")
		}
	}
	return m
}

func (p *parser) call(at int) statement {
	m := &macroNode{name: "caller", at: at}
	if p.isOp("(") {
		m = p.signature("caller", at)
	}
	x := p.expression()
	inv, ok := x.(*invocation)
	if !ok {
		throwAt(at, "call takes a macro's call", "")
	}
	m.body = p.block(at, "endcall")
	return &callNode{call: inv, macro: m, at: at}
}

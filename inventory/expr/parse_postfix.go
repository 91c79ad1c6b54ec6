package expr

import (
	"strconv"
)

// postfix parses .name, [key] and (args) after x.
func (p *parser) postfix(x expression) expression {
	for {
		p.link()
		t := p.peek()
		switch {
		case p.skipOp("."):
			n := p.next()
			switch n.kind {
			case tName:
				x = &attribute{x: x, name: n.text, at: n.off}
			case tInt:
				x = &subscript{x: x, key: &constant{n.num}, at: n.off}
			default:
				throwAt(n.off, "expected a name after the dot, found "+n.String(), "")
			}
		case p.skipOp("["):
			x = p.subscript(x, t.off)
		case p.isOp("("):
			x = &invocation{f: x, args: p.arguments(), at: t.off}
		default:
			p.links--
			return x
		}
	}
}

func (p *parser) subscript(x expression, at int) expression {
	defer p.deeper()()
	var parts [3]expression
	colons := 0
	var keys []expression
	for !p.isOp("]") {
		switch {
		case p.skipOp(":"):
			if colons++; colons > 2 {
				throwAt(at, "a slice has at most two colons", "")
			}
		case p.isOp(",") && (parts[0] == nil || colons > 0):
			throwAt(p.peek().off, `unexpected ","`, "")
		case p.skipOp(","):
			keys = append(keys, parts[0])
			parts[0] = nil
		default:
			if parts[colons] != nil {
				p.expectOp("]")
			}
			parts[colons] = p.expression()
		}
	}
	p.next()
	switch {
	case colons > 0:
		return &slicing{x: x, low: parts[0], high: parts[1], step: parts[2], at: at}
	case parts[0] == nil:
		throwAt(at, "an empty subscript", "")
	case keys != nil:
		return &subscript{x: x, key: &tupling{append(keys, parts[0])}, at: at}
	}
	return &subscript{x: x, key: parts[0], at: at}
}

func (p *parser) arguments() []argument {
	defer p.deeper()()
	p.expectOp("(")
	var args []argument
	for !p.skipOp(")") {
		if len(args) > 0 {
			p.expectOp(",")
			if p.skipOp(")") {
				break
			}
		}
		var a argument
		switch {
		case p.skipOp("*"):
			a.stars = 1
		case p.skipOp("**"):
			a.stars = 2
		case p.peek().kind == tName && p.tokens[p.i+1].kind == tOp && p.tokens[p.i+1].text == "=":
			a.name = p.next().text
			p.next()
		}
		if a.stars == 0 && a.name == "" && len(args) > 0 && args[len(args)-1].name != "" {
			throwAt(p.peek().off, "an argument by position after one by name", "")
		}
		a.x = p.expression()
		args = append(args, a)
	}
	return args
}

// filters parses | filter, is test and calls after x.
func (p *parser) filters(x expression) expression {
	for {
		p.link()
		t := p.peek()
		switch {
		case p.skipOp("|"):
			x = p.filter(x)
		case p.skipName("is"):
			x = p.test(x, t.off)
		case p.isOp("("):
			x = &invocation{f: x, args: p.arguments(), at: t.off}
		default:
			p.links--
			return x
		}
	}
}

func (p *parser) filter(x expression) expression {
	n, at := p.dotted()
	f := &filtering{x: x, name: n, at: at}
	if p.isOp("(") {
		f.args = p.arguments()
	}
	return f
}

// dotted is a name of a filter or test, with its collection if one is written.
func (p *parser) dotted() (string, int) {
	t := p.expectName()
	n := t.text
	for p.skipOp(".") {
		n += "." + p.expectName().text
	}
	return n, t.off
}

func (p *parser) test(x expression, at int) expression {
	test := &examination{x: x, not: p.skipName("not"), at: at}
	test.name, test.at = p.dotted()
	t := p.peek()
	switch {
	case p.isOp("("):
		test.args = p.arguments()
	case t.kind == tName && (t.text == "else" || t.text == "or" || t.text == "and"):
	case t.kind == tName && (t.text == "if" || t.text == "not" || t.text == "in"):
		throwAt(t.off, strconv.Quote(t.text)+" after a test is its argument to Jinja2", "put the test in brackets")
	case t.kind == tName && t.text == "is":
		throwAt(t.off, `two tests in a row`, `join them with "and"`)
	case t.kind == tName || t.kind == tString || t.kind == tInt || t.kind == tFloat || p.isOp("[") || p.isOp("{"):
		test.args = []argument{{x: p.postfix(p.primary())}}
	}
	return test
}

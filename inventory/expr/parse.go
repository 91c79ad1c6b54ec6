package expr

import (
	"fmt"
	"strconv"
)

// Bounds on the depth of the tree, which the evaluator walks on the stack.
const (
	maxNesting = 200    // parentheses and blocks inside each other
	maxLinks   = 20_000 // operators, attributes, calls and filters of one statement
)

// parser is a recursive descent parser with Jinja2's precedences
// (https://jinja.palletsprojects.com/en/3.1.x/templates/#expressions). It throws faults.
type parser struct {
	tokens []token
	i      int
	depth  int
	links  int
}

func (p *parser) peek() token { return p.tokens[p.i] }

func (p *parser) next() token {
	t := p.tokens[p.i]
	if p.i < len(p.tokens)-1 {
		p.i++
	}
	return t
}

func (p *parser) isOp(op string) bool { t := p.peek(); return t.kind == tOp && t.text == op }

func (p *parser) isName(word string) bool { t := p.peek(); return t.kind == tName && t.text == word }

func (p *parser) skipOp(op string) bool {
	if p.isOp(op) {
		p.next()
		return true
	}
	return false
}

func (p *parser) skipName(word string) bool {
	if p.isName(word) {
		p.next()
		return true
	}
	return false
}

func (p *parser) expectOp(op string) {
	if !p.skipOp(op) {
		throwAt(p.peek().off, "expected "+strconv.Quote(op)+", found "+p.peek().String(), "")
	}
}

func (p *parser) expectName() token {
	if p.peek().kind != tName {
		throwAt(p.peek().off, "expected a name, found "+p.peek().String(), "")
	}
	return p.next()
}

// String names the token in messages.
func (t token) String() string {
	switch t.kind {
	case tEOF:
		return "end of the expression"
	case tVarEnd:
		return `"}}"`
	case tBlockEnd:
		return `"%}"`
	case tVarBegin:
		return `"{{"`
	case tBlockBegin:
		return `"{%"`
	case tData:
		return "text"
	}
	return strconv.Quote(t.text)
}

func (p *parser) deeper() func() {
	if p.depth++; p.depth > maxNesting {
		throwAt(p.peek().off, fmt.Sprintf("nested more than %d deep", maxNesting), "")
	}
	return func() { p.depth-- }
}

// link counts what makes a statement's tree one deeper.
func (p *parser) link() {
	if p.links++; p.links > maxLinks {
		throwAt(p.peek().off, fmt.Sprintf("more than %d operations in one expression", maxLinks), "")
	}
}

// expression parses a whole expression without commas.
func (p *parser) expression() expression {
	defer p.deeper()()
	x := p.or()
	for p.isName("if") {
		p.link()
		at := p.next().off
		c := &conditional{x: x, cond: p.or(), at: at}
		if p.skipName("else") {
			c.y = p.expression()
		}
		x = c
	}
	return x
}

func (p *parser) or() expression {
	x := p.and()
	for p.isName("or") {
		p.link()
		at := p.next().off
		x = &binary{op: "or", x: x, y: p.and(), at: at}
	}
	return x
}

func (p *parser) and() expression {
	x := p.not()
	for p.isName("and") {
		p.link()
		at := p.next().off
		x = &binary{op: "and", x: x, y: p.not(), at: at}
	}
	return x
}

func (p *parser) not() expression {
	if p.isName("not") {
		defer p.deeper()()
		at := p.next().off
		return &unary{op: "not", x: p.not(), at: at}
	}
	return p.compare()
}

func (p *parser) compare() expression {
	x := p.sum()
	c := &comparison{x: x, at: p.peek().off}
	for {
		t := p.peek()
		op := t.text
		switch {
		case t.kind == tOp && (op == "==" || op == "!=" || op == "<" || op == "<=" || op == ">" || op == ">="):
			p.next()
		case t.kind == tName && op == "in":
			p.next()
		case t.kind == tName && op == "not" && p.tokens[p.i+1].kind == tName && p.tokens[p.i+1].text == "in":
			p.next()
			p.next()
			op = "not in"
		default:
			if len(c.ops) == 0 {
				return x
			}
			return c
		}
		c.ops = append(c.ops, op)
		c.ys = append(c.ys, p.sum())
	}
}

// level parses a left-associative level of operators.
func (p *parser) level(operand func() expression, ops ...string) expression {
	x := operand()
	for {
		t := p.peek()
		found := false
		for _, op := range ops {
			found = found || t.kind == tOp && t.text == op
		}
		if !found {
			return x
		}
		p.link()
		p.next()
		x = &binary{op: t.text, x: x, y: operand(), at: t.off}
	}
}

func (p *parser) sum() expression     { return p.level(p.concat, "+", "-") }
func (p *parser) concat() expression  { return p.level(p.product, "~") }
func (p *parser) product() expression { return p.level(p.power, "*", "/", "//", "%") }
func (p *parser) power() expression {
	return p.level(func() expression { return p.unary(true) }, "**")
}

func (p *parser) unary(filters bool) expression {
	var x expression
	if t := p.peek(); t.kind == tOp && (t.text == "-" || t.text == "+") {
		defer p.deeper()()
		p.next()
		x = &unary{op: t.text, x: p.unary(false), at: t.off}
	} else {
		x = p.postfix(p.primary())
	}
	if filters {
		x = p.filters(x)
	}
	return x
}

func (p *parser) primary() expression {
	t := p.next()
	switch t.kind {
	case tName:
		switch t.text {
		case "true", "True":
			return &constant{true}
		case "false", "False":
			return &constant{false}
		case "none", "None":
			return &constant{nil}
		}
		return &name{id: t.text, at: t.off}
	case tString:
		s := t.text
		for p.peek().kind == tString {
			s += p.next().text
		}
		return &constant{s}
	case tInt, tFloat:
		return &constant{t.num}
	case tOp:
		switch t.text {
		case "(":
			return p.parenthesis()
		case "[":
			return &listing{p.items("]")}
		case "{":
			return p.mapping()
		}
	}
	hint := ""
	if t.text == "{" || t.kind == tVarBegin {
		hint = "inside {{ }} variables are named without braces"
	}
	throwAt(t.off, "unexpected "+t.String(), hint)
	return nil
}

func (p *parser) parenthesis() expression {
	defer p.deeper()()
	if p.skipOp(")") {
		return &tupling{}
	}
	x := p.expression()
	if p.skipOp(")") {
		return x
	}
	p.expectOp(",")
	return &tupling{append([]expression{x}, p.items(")")...)}
}

func (p *parser) items(end string) []expression {
	defer p.deeper()()
	var items []expression
	for !p.skipOp(end) {
		if len(items) > 0 {
			p.expectOp(",")
			if p.skipOp(end) {
				break
			}
		}
		items = append(items, p.expression())
	}
	return items
}

func (p *parser) mapping() expression {
	defer p.deeper()()
	if p.isOp("{") {
		throwAt(p.peek().off, `unexpected "{{" inside an expression`, "inside {{ }} variables are named without braces")
	}
	m := &mapping{}
	for !p.skipOp("}") {
		if len(m.keys) > 0 {
			p.expectOp(",")
			if p.skipOp("}") {
				break
			}
		}
		m.keys = append(m.keys, p.expression())
		p.expectOp(":")
		m.vals = append(m.vals, p.expression())
	}
	return m
}

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

// commas parses an expression in which commas make a tuple.
func (p *parser) commas() expression {
	x := p.expression()
	if !p.isOp(",") {
		return x
	}
	items := []expression{x}
	for p.skipOp(",") {
		if k := p.peek().kind; k == tVarEnd || k == tBlockEnd || k == tEOF || p.isOp("=") || p.isName("in") {
			break
		}
		items = append(items, p.expression())
	}
	return &tupling{items}
}

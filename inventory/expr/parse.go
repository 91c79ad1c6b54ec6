package expr

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

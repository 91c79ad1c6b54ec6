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

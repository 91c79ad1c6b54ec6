package expr

import (
	"farm/inventory/source"
)

// checker walks a program for names of functions that do not exist.
type checker struct {
	e    *Engine
	errs []error
	p    *program
	pos  source.Pos
	file bool
}

func (e *Engine) check(p *program, pos source.Pos, inFile bool) error {
	c := &checker{e: e, p: p, pos: pos, file: inFile}
	p.expressions(c.expr)
	return source.Join(c.errs...)
}

func (c *checker) unknown(at int, what, name string, known []string) {
	f := &fault{at: at, what: "unknown " + what + " \"" + name + "\"", hint: suggest(name, known)}
	c.errs = append(c.errs, f.positioned(c.p.text, c.pos, c.file))
}

func (c *checker) expr(x expression) {
	switch n := x.(type) {
	case *invocation:
		c.lookup(n)
	case *filtering:
		if _, ok := c.e.filter(n.name); !ok {
			c.unknown(n.at, "filter", n.name, keysOf(c.e.filters))
		}
	case *examination:
		if _, ok := c.e.test(n.name); !ok {
			c.unknown(n.at, "test", n.name, keysOf(c.e.tests))
		}
	}
	operands(x, c.expr)
}

// lookup checks the name in lookup('NAME', ...), query and q.
func (c *checker) lookup(n *invocation) {
	f, ok := n.f.(*name)
	if !ok || len(n.args) == 0 || f.id != "lookup" && f.id != "query" && f.id != "q" {
		return
	}
	if k, ok := n.args[0].x.(*constant); ok {
		id := text(k.v)
		if _, ok := c.e.lookup(id); !ok {
			c.unknown(n.at, "lookup", id, keysOf(c.e.lookups))
		}
	}
}

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
	if p.body != nil {
		c.body(p.body)
	} else {
		c.expr(p.single)
	}
	return source.Join(c.errs...)
}

func (c *checker) unknown(at int, what, name string, known []string) {
	f := &fault{at: at, what: "unknown " + what + " \"" + name + "\"", hint: suggest(name, known)}
	c.errs = append(c.errs, f.positioned(c.p.text, c.pos, c.file))
}

func (c *checker) all(xs ...expression) {
	for _, x := range xs {
		c.expr(x)
	}
}

func (c *checker) args(args []argument) {
	for _, a := range args {
		c.expr(a.x)
	}
}

func (c *checker) expr(x expression) {
	switch n := x.(type) {
	case *attribute:
		c.expr(n.x)
	case *subscript:
		c.all(n.x, n.key)
	case *slicing:
		c.all(n.x, n.low, n.high, n.step)
	case *invocation:
		c.lookup(n)
		c.expr(n.f)
		c.args(n.args)
	case *filtering:
		if _, ok := c.e.filter(n.name); !ok {
			c.unknown(n.at, "filter", n.name, keysOf(c.e.filters))
		}
		c.expr(n.x)
		c.args(n.args)
	case *examination:
		if _, ok := c.e.test(n.name); !ok {
			c.unknown(n.at, "test", n.name, keysOf(c.e.tests))
		}
		c.expr(n.x)
		c.args(n.args)
	case *unary:
		c.expr(n.x)
	case *binary:
		c.all(n.x, n.y)
	case *comparison:
		c.expr(n.x)
		c.all(n.ys...)
	case *conditional:
		c.all(n.cond, n.x, n.y)
	case *listing:
		c.all(n.items...)
	case *tupling:
		c.all(n.items...)
	case *mapping:
		c.all(n.keys...)
		c.all(n.vals...)
	}
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

func (c *checker) body(body []statement) {
	for _, s := range body {
		c.statement(s)
	}
}

func (c *checker) statement(s statement) {
	switch n := s.(type) {
	case *output:
		c.expr(n.x)
	case *ifNode:
		c.all(n.conds...)
		for _, b := range n.bodies {
			c.body(b)
		}
		c.body(n.orElse)
	case *forNode:
		c.all(n.iter, n.filter)
		c.body(n.body)
		c.body(n.orElse)
	case *setNode:
		c.all(n.x, n.filter)
		c.body(n.body)
	case *withNode:
		c.all(n.vals...)
		c.body(n.body)
	case *macroNode:
		c.all(n.defaults...)
		c.body(n.body)
	case *callNode:
		c.expr(n.call)
		c.body(n.macro.body)
	case *filterNode:
		c.expr(n.filter)
		c.body(n.body)
	case *includeNode:
		c.expr(n.x)
	case *importNode:
		c.expr(n.x)
	case *extendsNode:
		c.expr(n.x)
	case *blockNode:
		c.body(n.body)
	case *doNode:
		c.expr(n.x)
	}
}

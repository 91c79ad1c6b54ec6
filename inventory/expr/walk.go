package expr

// expressions calls f for the outermost expressions of a program, in the order of the text.
// Some may be nil.
func (p *program) expressions(f func(expression)) {
	if p.body == nil {
		f(p.single)
		return
	}
	for _, s := range p.body {
		within(s, f)
	}
}

// within calls f for the outermost expressions of a statement and of those in it. Some may be nil.
func within(s statement, f func(expression)) {
	body := func(body []statement) {
		for _, s := range body {
			within(s, f)
		}
	}
	switch n := s.(type) {
	case *output:
		f(n.x)
	case *ifNode:
		each(f, n.conds...)
		for _, b := range n.bodies {
			body(b)
		}
		body(n.orElse)
	case *forNode:
		each(f, n.iter, n.filter)
		body(n.body)
		body(n.orElse)
	case *setNode:
		each(f, n.x, n.filter)
		body(n.body)
	case *withNode:
		each(f, n.vals...)
		body(n.body)
	case *macroNode:
		each(f, n.defaults...)
		body(n.body)
	case *callNode:
		f(n.call)
		each(f, n.macro.defaults...)
		body(n.macro.body)
	case *filterNode:
		f(n.filter)
		body(n.body)
	case *includeNode:
		f(n.x)
	case *importNode:
		f(n.x)
	case *extendsNode:
		f(n.x)
	case *blockNode:
		body(n.body)
	case *doNode:
		f(n.x)
	}
}

// operands calls f for the expressions that x is made of. Some may be nil.
func operands(x expression, f func(expression)) {
	switch n := x.(type) {
	case *attribute:
		f(n.x)
	case *subscript:
		each(f, n.x, n.key)
	case *slicing:
		each(f, n.x, n.low, n.high, n.step)
	case *invocation:
		f(n.f)
		arguments(n.args, f)
	case *filtering:
		f(n.x)
		arguments(n.args, f)
	case *examination:
		f(n.x)
		arguments(n.args, f)
	case *unary:
		f(n.x)
	case *binary:
		each(f, n.x, n.y)
	case *comparison:
		f(n.x)
		each(f, n.ys...)
	case *conditional:
		each(f, n.cond, n.x, n.y)
	case *listing:
		each(f, n.items...)
	case *tupling:
		each(f, n.items...)
	case *mapping:
		each(f, n.keys...)
		each(f, n.vals...)
	}
}

func each(f func(expression), xs ...expression) {
	for _, x := range xs {
		f(x)
	}
}

func arguments(args []argument, f func(expression)) {
	for _, a := range args {
		f(a.x)
	}
}

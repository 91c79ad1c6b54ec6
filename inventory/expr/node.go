package expr

// An expression or statement of a parsed template. Positions are byte offsets.
type (
	expression interface{}
	statement  interface{}

	constant struct{ v any }
	name     struct {
		id string
		at int
	}
	attribute struct { // x.name
		x    expression
		name string
		at   int
	}
	subscript struct { // x[key]
		x, key expression
		at     int
	}
	slicing struct { // x[low:high:step]
		x, low, high, step expression
		at                 int
	}
	argument struct {
		name  string // "" = by position
		stars int    // 1 = *x, 2 = **x
		x     expression
	}
	invocation struct { // f(args)
		f    expression
		args []argument
		at   int
	}
	filtering struct { // x | name(args); x is nil at the start of a filter block
		x    expression
		name string
		args []argument
		at   int
	}
	examination struct { // x is [not] name(args)
		x    expression
		name string
		not  bool
		args []argument
		at   int
	}
	unary struct {
		op string
		x  expression
		at int
	}
	binary struct {
		op   string
		x, y expression
		at   int
	}
	comparison struct { // x op y op z ...
		x   expression
		ops []string
		ys  []expression
		at  int
	}
	conditional struct { // x if cond else y; y may be nil
		x, cond, y expression
		at         int
	}
	listing  struct{ items []expression }
	tupling  struct{ items []expression }
	mapping  struct{ keys, vals []expression }
	textNode struct{ text string }

	output struct {
		x  expression
		at int
	}
	ifNode struct {
		conds  []expression
		bodies [][]statement
		orElse []statement
	}
	forNode struct {
		target       expression
		iter, filter expression
		recursive    bool
		body, orElse []statement
		at           int
	}
	setNode struct {
		targets []expression // name, attribute of a namespace, or tupling
		x       expression   // nil: the body's text
		body    []statement
		filter  expression // a chain of filterings over nil, or nil
		at      int
	}
	withNode struct {
		names []expression
		vals  []expression
		body  []statement
	}
	macroNode struct {
		name     string
		params   []string
		defaults []expression // of the last parameters
		body     []statement
		at       int
	}
	callNode struct {
		call  *invocation
		macro *macroNode
		at    int
	}
	filterNode struct {
		filter expression
		body   []statement
	}
	includeNode struct {
		x             expression
		ignoreMissing bool
		noContext     bool
		at            int
	}
	importNode struct {
		x     expression
		as    string            // import x as NAME
		names map[string]string // from x import a as b: b -> a
		at    int
	}
	blockNode struct {
		name string
		body []statement
	}
	extendsNode struct {
		x  expression
		at int
	}
	doNode   struct{ x expression }
	loopNode struct{ stop bool } // break, else continue
)

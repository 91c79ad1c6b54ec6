package expr

// loop is the variable `loop` inside a for block.
type loop struct {
	items   []any
	i       int
	depth   int
	again   func(x any) string // of a recursive loop
	changed *any
}

func (l *loop) attr(name string) any {
	n := len(l.items)
	switch name {
	case "index":
		return int64(l.i + 1)
	case "index0":
		return int64(l.i)
	case "revindex":
		return int64(n - l.i)
	case "revindex0":
		return int64(n - l.i - 1)
	case "first":
		return l.i == 0
	case "last":
		return l.i == n-1
	case "length":
		return int64(n)
	case "depth":
		return int64(l.depth)
	case "depth0":
		return int64(l.depth - 1)
	case "previtem":
		if l.i > 0 {
			return l.items[l.i-1]
		}
	case "nextitem":
		if l.i+1 < n {
			return l.items[l.i+1]
		}
	case "cycle":
		return func(list []any) any {
			if len(list) == 0 {
				throw("cycle without items")
			}
			return list[l.i%len(list)]
		}
	case "changed":
		return func(list []any) any {
			now := any(tuple(list))
			was := l.changed
			l.changed = &now
			return was == nil || !equal(*was, now)
		}
	}
	return &undefined{name: "loop." + name, keys: []string{"index", "index0", "revindex", "revindex0", "first", "last", "length", "cycle", "previtem", "nextitem", "changed", "depth", "depth0"}}
}

func (m *machine) execFor(n *forNode, iter expression, depth int) {
	x := m.eval(iter)
	m.at = n.at
	m.loop(n, x, depth)
}

func (m *machine) loop(n *forNode, x any, depth int) {
	if depth > maxCalls {
		throw("a recursive loop more than %d deep", maxCalls)
	}
	items := m.items(x)
	if n.filter != nil {
		var kept []any
		for _, item := range items {
			m.push()
			m.assign(n.target, item)
			if m.truth(m.eval(n.filter)) {
				kept = append(kept, item)
			}
			m.pop()
		}
		items = kept
	}
	if len(items) == 0 {
		m.push()
		defer m.pop()
		m.exec(n.orElse)
		return
	}
	l := &loop{items: items, depth: depth}
	if n.recursive {
		home := m.frame
		l.again = func(x any) string {
			frame, out := m.frame, m.out
			m.frame = home
			s := m.captureDo(func() { m.loop(n, x, depth+1) })
			m.frame, m.out = frame, out
			return s
		}
	}
	for i, item := range items {
		l.i = i
		m.push()
		m.frame.set("loop", l)
		m.assign(n.target, item)
		sig := m.exec(n.body)
		m.pop()
		if sig == breaks {
			break
		}
	}
}

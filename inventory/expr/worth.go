package expr

// worth is the value of text that a template made.
func (m *machine) worth(s string) any {
	if m.convert {
		return converted(s)
	}
	return s
}

// verbatimFilters make text that stays text, whatever it looks like (Ansible's STRING_TYPE_FILTERS).
var verbatimFilters = []string{"string", "to_json", "to_nice_json", "to_yaml", "to_nice_yaml"}

// evalSingle evaluates a template's only expression. verbatim says that text it gives
// stays text: it is stored as text already, or was made text on purpose.
func (m *machine) evalSingle(x expression) (v any, verbatim bool) {
	switch n := x.(type) {
	case *conditional:
		if m.truth(m.eval(n.cond)) {
			return m.evalSingle(n.x)
		}
		if n.y != nil {
			return m.evalSingle(n.y)
		}
	case *filtering:
		return m.eval(x), contains(verbatimFilters, n.name)
	case *name, *attribute, *subscript:
		return m.eval(x), true
	}
	return m.eval(x), false
}

// captured is what the text of body is worth.
func (m *machine) captured(body []statement) any {
	return m.counted(func() string { return m.capture(body) })
}

// counted is what the text that f makes is worth: the text itself if all of it came from a
// filter whose text stays text.
func (m *machine) counted(f func() string) any {
	written, verbatim := m.written, m.verbatim
	m.written, m.verbatim = 0, false
	s := f()
	keep := m.written == 1 && m.verbatim
	m.written, m.verbatim = written, verbatim
	if keep {
		return s
	}
	return m.worth(s)
}

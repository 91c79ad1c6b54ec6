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
	case *filtering, *invocation:
		return m.eval(x), keepsText(x)
	case *name, *attribute, *subscript:
		return m.eval(x), true
	}
	return m.eval(x), false
}

// keepsText reports whether the text that x gives stays text, whatever it looks like: it comes from
// such a filter, or from the lookup template with convert_data=False.
func keepsText(x expression) bool {
	switch n := x.(type) {
	case *filtering:
		return contains(verbatimFilters, n.name)
	case *invocation:
		if f, ok := n.f.(*name); !ok || f.id != "lookup" || len(n.args) == 0 {
			return false
		}
		of, _ := n.args[0].x.(*constant)
		for _, a := range n.args[1:] {
			if c, ok := a.x.(*constant); ok && a.name == "convert_data" && c.v == false {
				return of != nil && of.v == "template"
			}
		}
	}
	return false
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

package expr

import "sort"

// Names lists, sorted, what expressions can use by name.
type Names struct{ Filters, Tests, Lookups, Functions []string }

// Names lists what e knows. Names that only its Options enable are among them.
func (e *Engine) Names() Names {
	return Names{sorted(e.filters), sorted(e.tests), sorted(e.lookups), sorted(e.globalFuncs)}
}

func sorted(table map[string]function) []string {
	names := make([]string, 0, len(table))
	for name := range table {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

package task

import (
	"maps"
	"slices"
)

// Keyword is a keyword of task files and what it may stand on.
type Keyword struct {
	Name        string
	Task, Block bool
}

// Keywords lists the keywords of tasks and blocks, sorted. Besides, with_NAME loops over a lookup.
func Keywords() []Keyword {
	var list []Keyword
	for _, name := range slices.Sorted(maps.Keys(keywords)) {
		on := keywords[name]
		list = append(list, Keyword{name, on&onTask != 0, on&onBlock != 0})
	}
	return list
}

// Actions are the modules that the runner carries out itself, with the names of their arguments.
func Actions() map[string][]string { return maps.Clone(owned) }

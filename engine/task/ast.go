package task

import (
	"farm/inventory/source"
	"farm/inventory/value"
)

// File is a parsed task file.
type File struct {
	Path  string
	Tasks []*Task

	lost bool // some could not be read
}

// Task is one entry of a task file: a call of a module, or a block.
type Task struct {
	Pos source.Pos
	// Keys are the keywords (name, when, vars, ...) as they stand, templates not evaluated.
	Keys *value.Dict

	// Module is the short name of what is called: "shell", "include_tasks"; "" for a block.
	Module    string
	ModulePos source.Pos
	// Args are the arguments, templates not evaluated; never nil for a call.
	Args *value.Dict
	// Free is the text in place of arguments: a string or a Template; nil if there is none.
	Free any
	// ArgsFrom is a Template that gives the arguments or, with the keyword args, further ones.
	ArgsFrom []any

	Block, Rescue, Always []*Task

	// params are variables of an import that stand over facts that were set, as those of an include do.
	params *value.Dict

	dir  string // folder of the file, for what it includes
	role *role  // the role that it belongs to, if any
	// wrong is what is wrong with the module or its arguments, as far as reading the file tells.
	// It is told by Validation; the task fails with it when it is its turn.
	wrong []error
	// garbled tells that its arguments could not be read at all.
	garbled bool
}

// IsBlock reports whether the task is a block.
func (t *Task) IsBlock() bool { return t.Module == "" }

// Title is the task's name as written, or its module.
func (t *Task) Title() string {
	if n, ok := t.Keys.Get("name"); ok {
		if s := value.Text(n); s != "" {
			return s
		}
	}
	if t.IsBlock() {
		return "block"
	}
	return t.Module
}

// Walk calls f for every task below tasks, blocks before what is in them.
func Walk(tasks []*Task, f func(*Task)) {
	for _, t := range tasks {
		f(t)
		Walk(t.Block, f)
		Walk(t.Rescue, f)
		Walk(t.Always, f)
	}
}

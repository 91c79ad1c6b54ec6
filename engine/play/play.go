// Package play runs playbooks, task files and roles on hosts: it finds each play's hosts, cuts
// them into batches and keeps the hosts of a batch in step, task by task, as Ansible's linear
// strategy does.
package play

import (
	"farm/engine/task"
	"farm/inventory/source"
	"farm/inventory/value"
)

// Play is one play of a playbook. Its templates are not evaluated.
type Play struct {
	Pos  source.Pos
	File string // the playbook, task file or role's folder that it came from, absolute
	Name any    // text or a Template; nil = the hosts

	Hosts any // a host pattern or a list of them
	// Gather are the subsets of facts to gather first; nil = none.
	Gather []any
	// FactPath is the folder of the hosts' local facts; nil = setup's default.
	FactPath any
	// Keys are the keywords that its tasks inherit: become, environment, tags, ...
	Keys      *value.Dict
	Vars      *value.Dict
	VarsFiles []any
	filesPos  []source.Pos // of VarsFiles

	PreTasks, Roles, Tasks, PostTasks, Handlers []*task.Task

	// Serial are the sizes of the batches, numbers or "30%", the last one counting for all
	// that follow; nil = one batch.
	Serial []any
	// MaxFail is the share of a batch in percent that may fail before the play ends; below 0 = any.
	MaxFail       float64
	ForceHandlers bool
	// Strategy is how hosts keep in step, Order how they are sorted: texts or Templates; nil = linear,
	// as the inventory has them.
	Strategy, Order any
}

// Walk calls f for every task of the play, blocks before what is in them.
func (p *Play) Walk(f func(*task.Task)) {
	for _, list := range p.sections() {
		task.Walk(list, f)
	}
	task.Walk(p.Handlers, f)
}

// holds reports whether the task of that name may be one of the play's.
func (p *Play) holds(name string) (found bool) {
	for _, list := range p.sections() {
		task.Walk(list, func(t *task.Task) { found = found || !t.IsBlock() && task.MayStart(name, t) })
	}
	return found
}

// sections are the tasks in order; handlers run after each of the three.
func (p *Play) sections() [][]*task.Task {
	return [][]*task.Task{p.PreTasks, append(append([]*task.Task{}, p.Roles...), p.Tasks...), p.PostTasks}
}

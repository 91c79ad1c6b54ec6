package task

import (
	"strings"

	"farm/inventory/expr"
	"farm/inventory/source"
	"farm/inventory/value"
)

// conditionKeys hold bare expressions.
var conditionKeys = map[string]bool{"when": true, "until": true, "changed_when": true, "failed_when": true}

// Validate checks the task file at path and what it includes by constant names, without
// running anything: syntax, keywords, modules, arguments, expressions. It tells all faults at once.
func (r *Runner) Validate(path string, e *expr.Engine) error {
	v := &validator{r: r, e: e, seen: map[string]bool{}}
	v.file(path, &scope{keys: value.NewDict(), file: path})
	return source.Join(v.errs...)
}

type validator struct {
	r    *Runner
	e    *expr.Engine
	seen map[string]bool
	errs []error
}

func (v *validator) file(path string, s *scope) {
	if v.seen[path] {
		return
	}
	v.seen[path] = true
	// Not r.file: a file with faults is read as far as it goes, and not kept.
	f, err := v.r.parser.ReadFile(path)
	v.errs = append(v.errs, err)
	if f != nil {
		v.tasks(f.Tasks, s)
	}
}

func (v *validator) tasks(tasks []*Task, s *scope) {
	for _, t := range tasks {
		in := s.within(t)
		v.keys(t)
		v.templates(t.Args, t.Module == "assert")
		v.templates(t.Free, false)
		for _, list := range [][]*Task{t.Block, t.Rescue, t.Always} {
			v.tasks(list, in)
		}
		v.included(t, in)
	}
}

// included follows includes with constant names.
func (v *validator) included(t *Task, s *scope) {
	if t.Module != "include_tasks" && t.Module != "import_tasks" {
		return
	}
	raw := t.Free
	if raw == nil {
		raw, _ = t.Args.Get("file")
	}
	name, ok := raw.(string)
	if !ok {
		return
	}
	path, err := Folders(s.dirs(v.r.o.Project)).Find("tasks", name)
	if err != nil {
		v.errs = append(v.errs, &source.Error{Pos: t.ModulePos, What: t.Module, Err: err})
		return
	}
	v.file(path, &scope{parent: s, keys: value.NewDict(), file: path, role: s.role})
}

func (v *validator) keys(t *Task) {
	for k, x := range t.Keys.All() {
		if conditionKeys[k.(string)] {
			v.conditions(x, t.Keys.KeyPos(k))
		} else if k != "args" {
			v.templates(x, false)
		}
	}
}

// conditions checks bare expressions.
func (v *validator) conditions(x any, pos source.Pos) {
	switch t := x.(type) {
	case string:
		if err := v.e.CheckExpression(strings.TrimSpace(t), pos); err != nil {
			v.errs = append(v.errs, err)
		}
	case []any:
		for _, one := range t {
			v.conditions(one, pos)
		}
	case value.Template:
		v.templates(t, false)
	}
}

// templates checks every template in x; with assert the strings under "that" too.
func (v *validator) templates(x any, assert bool) {
	switch t := x.(type) {
	case value.Template:
		if err := v.e.Check(t); err != nil {
			v.errs = append(v.errs, err)
		}
	case []any:
		for _, one := range t {
			v.templates(one, false)
		}
	case *value.Dict:
		for k, one := range t.All() {
			if assert && k == "that" {
				v.conditions(one, t.KeyPos(k))
				continue
			}
			v.templates(one, false)
		}
	}
}

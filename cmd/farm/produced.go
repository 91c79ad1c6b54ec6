package main

import (
	"fmt"
	"strings"

	"farm/engine/task"
	"farm/inventory"
	"farm/inventory/value"
	"farm/phases"
)

// producedNames returns what tells whether a variable can come from a guest or a task
// of the phases, so that an inventory may use it before it exists.
func (a *app) producedNames(inv *inventory.Inventory, vms []inventory.VM) func(string) bool {
	names := map[string]bool{"item": true, "vm": true, "source": true, "task": true}
	all := false // tasks read variables from files or roles: anything may exist
	a.eachTask(inv, vms, func(t *task.Task) { all = produced(t, names) || all })
	return func(name string) bool { return all || names[name] || strings.HasPrefix(name, "ansible_") }
}

// eachTask calls f for every task of the phases of VMs, each file once. Faults of files
// are told elsewhere.
func (a *app) eachTask(inv *inventory.Inventory, vms []inventory.VM, f func(*task.Task)) {
	r := task.New(a.taskOptions(inv))
	seen := map[string]bool{}
	for _, vm := range vms {
		dir, err := phasesDir(inv, vm)
		if err != nil {
			continue
		}
		for _, phase := range phases.Names() {
			path, _ := phases.Find(dir, vm.Platform, vm.Target, phase)
			if path == "" || seen[path] {
				continue
			}
			seen[path] = true
			if file, err := r.Parser().ReadFile(path); err == nil {
				task.Walk(file.Tasks, f)
			}
		}
	}
}

// someTagged is an error where --tags selects no task at all. A file that includes
// others may select anything.
func (s *session) someTagged() error {
	wanted := map[string]bool{}
	for _, tag := range s.flags.tags {
		wanted[tag] = true
	}
	if len(wanted) == 0 || wanted["all"] || wanted["tagged"] || wanted["untagged"] {
		return nil
	}
	found := false
	s.eachTask(s.inv, s.vms, func(t *task.Task) {
		found = found || strings.HasPrefix(t.Module, "include_") || strings.HasPrefix(t.Module, "import_")
		if v, ok := t.Keys.Get("tags"); ok {
			found = found || anyTag(v, wanted)
		}
	})
	if !found {
		return fmt.Errorf("%w: no task has a tag of %s", errNothingSelected, strings.Join(s.flags.tags, ", "))
	}
	return nil
}

func anyTag(v any, wanted map[string]bool) bool {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	for _, item := range list {
		for tag := range strings.SplitSeq(value.Text(item), ",") {
			if tag = strings.TrimSpace(tag); wanted[tag] || tag == "always" {
				return true
			}
		}
	}
	return false
}

// produced adds the names that a task gives values to, and reports whether it may give
// any.
func produced(t *task.Task, names map[string]bool) bool {
	if v, ok := t.Keys.Get("register"); ok {
		names[value.Text(v)] = true
	}
	if v, ok := t.Keys.Get("vars"); ok {
		if d, ok := v.(*value.Dict); ok {
			for _, name := range d.Keys() {
				names[name] = true
			}
		}
	}
	if t.Module == "set_fact" {
		for _, name := range t.Args.Keys() {
			names[name] = true
		}
	}
	return strings.HasPrefix(t.Module, "include_") || strings.HasPrefix(t.Module, "import_")
}

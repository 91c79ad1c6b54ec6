package main

import (
	"strings"

	"farm/engine/task"
	"farm/inventory"
	"farm/inventory/value"
	"farm/phases"
)

// producedNames returns what tells whether a variable can come from a guest or a task
// of the phases, so that an inventory may use it before it exists.
func (a *app) producedNames(inv *inventory.Inventory, vms []inventory.VM) func(string) bool {
	r := task.New(a.taskOptions(inv))
	names := map[string]bool{"item": true, "vm": true, "source": true, "task": true}
	all := false // tasks read variables from files or roles: anything may exist
	seen := map[string]bool{}
	for _, vm := range vms {
		dir, err := phasesDir(inv, vm)
		if err != nil {
			continue // told elsewhere
		}
		for _, phase := range phases.Names() {
			path, _ := phases.Find(dir, vm.Platform, vm.Target, phase)
			if path == "" || seen[path] {
				continue
			}
			seen[path] = true
			f, err := r.Parser().ReadFile(path)
			if err != nil {
				continue // told elsewhere
			}
			task.Walk(f.Tasks, func(t *task.Task) { all = produced(t, names) || all })
		}
	}
	return func(name string) bool { return all || names[name] || strings.HasPrefix(name, "ansible_") }
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

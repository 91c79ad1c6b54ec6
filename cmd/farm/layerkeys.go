package main

import (
	"farm/engine/task"
	"farm/inventory"
	"farm/inventory/expr"
	"farm/phases"
)

// layerInputs finds what the states depend on that are kept of an inventory's VMs.
func (a *app) layerInputs(inv *inventory.Inventory, tags, skip []string) *phases.Inputs {
	return &phases.Inputs{
		Inventory: inv, Closures: task.NewClosures(a.taskOptions(inv)), Tags: tags, SkipTags: skip,
		Vars:   func(vm inventory.VM) *expr.Vars { return inv.VMVars(vm).With(definitionVars(vm)) },
		Seldom: func(name string) bool { return steering[name] && !ofTheVM[name] },
		Secret: mayHoldSecret,
	}
}

// ofTheVM are variables that steer a run, but tell a VM's tasks what it is as well.
var ofTheVM = map[string]bool{"vm": true, "kvm_host": true, "group_names": true}

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"farm/engine"
	"farm/engine/runner"
	"farm/inventory"
	"farm/inventory/value"
	"farm/phases"
)

// settingsOf evaluates the variables that steer a VM's run.
func settingsOf(inv *inventory.Inventory, vm inventory.VM) (runner.Settings, error) {
	s, err := limitsOf(inv, vm)
	if err != nil {
		return s, err
	}
	if s.Template, err = domainTemplate(inv, vm); err != nil {
		return s, err
	}
	s.CacheVars = cacheVars(inv, vm)
	return s, nil
}

// limitsOf is settingsOf without what costs time; errors are the user's fault.
func limitsOf(inv *inventory.Inventory, vm inventory.VM) (runner.Settings, error) {
	get := getter{inv, vm, nil}
	s := runner.Settings{
		User:     loginUser(&get),
		Project:  get.text("project_id", "project"),
		Revision: get.text("project_revision", "0"),
		Cache:    get.text("snapshot_type", "external") != "none",
	}
	allowed := get.value("allowed_phases")
	timeout := get.value("phase_timeout")
	if get.err != nil {
		return s, get.err
	}
	var err error
	if s.Allowed, err = allowedPhases(allowed); err != nil {
		return s, engine.Blame(engine.UserFault, err)
	}
	s.Timeout, err = timeouts(timeout)
	return s, engine.Blame(engine.UserFault, err)
}

// loginUser is the user that farm logs into a VM as.
func loginUser(get *getter) string {
	if user := get.text("ansible_user", get.vm.Def.Metadata.Auth.User); user != "" {
		return user
	}
	return "root"
}

// getter reads variables of one VM and keeps the first error.
type getter struct {
	inv *inventory.Inventory
	vm  inventory.VM
	err error
}

func (g *getter) value(name string) any {
	v, _, err := g.inv.VMVars(g.vm).Get(name)
	if err != nil && g.err == nil {
		g.err = err
	}
	return v
}

func (g *getter) text(name, otherwise string) string {
	if v := g.value(name); v != nil {
		return value.Text(v)
	}
	return otherwise
}

func allowedPhases(v any) (map[string]bool, error) {
	if v == nil {
		return nil, nil
	}
	list, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("allowed_phases is %s, not a list of phases", value.Kind(v))
	}
	names := make([]string, len(list))
	for i, item := range list {
		names[i] = value.Text(item)
	}
	allowed, err := phases.ParseAllowed(names)
	if err != nil {
		return nil, fmt.Errorf("allowed_phases: %w", err)
	}
	return allowed, nil
}

// timeouts reads phase_timeout: a time for every phase, or a mapping from phases to times.
func timeouts(v any) (func(string) time.Duration, error) {
	if v == nil {
		return nil, nil
	}
	d, ok := v.(*value.Dict)
	if !ok {
		all, err := value.ParseDuration(v)
		if err != nil {
			return nil, fmt.Errorf(`phase_timeout is %s, not a time such as "30m" or a mapping from phases to times`, value.Kind(v))
		}
		return func(string) time.Duration { return all }, nil
	}
	by := map[string]time.Duration{}
	for _, phase := range d.Keys() {
		if _, err := phases.ParseAllowed([]string{phase}); err != nil {
			return nil, fmt.Errorf("phase_timeout: %w", err)
		}
		item, _ := d.Get(phase)
		t, err := value.ParseDuration(item)
		if err != nil {
			return nil, fmt.Errorf("phase_timeout of %q: %w", phase, err)
		}
		by[phase] = t
	}
	return func(phase string) time.Duration { return by[phase] }, nil
}

// steering are variables that phases do not see the effect of; they are not part of a
// layer's key. Neither are Ansible's own (how the guest is reached) nor magic ones.
var steering = map[string]bool{
	"allowed_phases": true, "phase_timeout": true, "config": true, "groups": true, "hostvars": true, "group_names": true,
	"playbook_dir": true, "omit": true, "vm": true, "kvm_host": true, "snapshot_type": true,
	"wait_until_reachable": true, "wait_until_port_reachable": true, "connection_timeout": true,
	"retry_count": true, "retry_delay": true, "project_revision": true, "project_id": true,
}

// cacheVars digests every variable that a phase could read, unevaluated.
func cacheVars(inv *inventory.Inventory, vm inventory.VM) []engine.Input {
	vars := inv.VMVars(vm)
	var inputs []engine.Input
	for _, name := range vars.Names() {
		if steering[name] || strings.HasPrefix(name, "ansible_") || strings.HasPrefix(name, "inventory_") {
			continue
		}
		v, _ := vars.Raw(name)
		text, err := json.Marshal(v)
		if err != nil {
			continue // a value made on reading, such as hostvars
		}
		in := engine.Input{Name: "variable " + name, Digest: runner.Digest(text)}
		if len(text) <= 200 && !runner.Secret(name) {
			in.Text = string(text)
		}
		inputs = append(inputs, in)
	}
	return inputs
}

// phasesDir is the folder of a VM's phase files. Where there is none the project would
// pass without a test, so that is the user's fault.
func phasesDir(inv *inventory.Inventory, vm inventory.VM) (string, error) {
	get := getter{inv, vm, nil}
	name := get.text("phases_lookup_dir_path", "provision_phases")
	if get.err != nil {
		return "", get.err
	}
	dir := name
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(inv.Dir(), dir)
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return "", engine.Blamef(engine.UserFault, "no folder %s with the phases of %q: phases_lookup_dir_path is %q", dir, vm.ID, name)
	}
	return dir, nil
}

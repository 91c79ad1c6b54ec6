package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"farm/engine"
	"farm/engine/runner"
	"farm/engine/task"
	"farm/inventory"
	"farm/inventory/expr"
)

// login are the variables that say who runs the tasks and how: every task depends on them.
var login = []string{
	"ansible_user", "ansible_become", "ansible_become_user", "ansible_become_method", "ansible_become_flags", "ansible_become_exe",
	"ansible_async_dir",
}

// layerKeys finds what the layers of VMs depend on. Safe for concurrent use.
type layerKeys struct {
	inv      *inventory.Inventory
	closures *task.Closures
	// tags are those that select tasks: a state is another where some of its tasks did not run.
	tags []engine.Input

	once  sync.Once
	hosts string // digest of the variables of all hosts
}

func (a *app) layerKeys(inv *inventory.Inventory, tags, skip []string) *layerKeys {
	k := &layerKeys{inv: inv, closures: task.NewClosures(a.taskOptions(inv))}
	if len(tags)+len(skip) > 0 {
		text := fmt.Sprintf("%q without %q", tags, skip)
		k.tags = []engine.Input{{Name: "tags", Digest: runner.Digest([]byte(text)), Text: text}}
	}
	return k
}

// inputs are the files that a phase file reads, and the variables that may be read with them.
func (k *layerKeys) inputs(vm inventory.VM, file string, before ...string) ([]engine.Input, error) {
	vars := k.inv.VMVars(vm).With(definitionVars(vm))
	files, reads, err := k.closures.Of(file, vars, before...)
	if err != nil {
		return nil, err
	}
	named := &expr.Mentions{}
	named.Join(reads)
	for _, name := range login {
		named.Name(name, "")
	}
	all, looked := k.closures.Variables(named, vars, func(name string) bool { return seldom[name] })
	inputs := append(slices.Clip(files), looked...)
	inputs = append(inputs, k.variables(vm, vars, all)...)
	return append(inputs, k.tags...), nil
}

// variables are the variables as inputs.
func (k *layerKeys) variables(vm inventory.VM, vars *expr.Vars, all *expr.Mentions) []engine.Input {
	var inputs []engine.Input
	if all.Any != "" {
		inputs = append(inputs, engine.Input{Name: "all variables", Digest: runner.Digest([]byte("all")), Text: all.Any})
	}
	sized := false
	for _, name := range slices.Sorted(maps.Keys(all.Paths)) {
		paths := all.Paths[name]
		sized = sized || aboutSize(name, paths)
		if name == "hostvars" || name == "groups" {
			inputs = append(inputs, k.everyHost())
			continue
		}
		if paths[""] {
			paths = map[string]bool{"": true}
		}
		for _, path := range slices.Sorted(maps.Keys(paths)) {
			if in, ok := variable(vars, name, path); ok {
				inputs = append(inputs, in)
			}
		}
	}
	if sized { // facts tell it
		size := fmt.Sprintf("%d CPUs, %d MiB", vm.Def.VCPUs, vm.Def.RAMMiB)
		inputs = append(inputs, engine.Input{Name: "machine size", Digest: runner.Digest([]byte(size)), Text: size})
	}
	return inputs
}

// aboutSize reports whether facts are read that depend on the size of the machine.
func aboutSize(name string, paths map[string]bool) bool {
	of := func(fact string) bool {
		return fact == "" || strings.HasPrefix(fact, "processor") || strings.HasPrefix(fact, "mem") || strings.HasPrefix(fact, "swap")
	}
	if name != "ansible_facts" {
		fact, ok := strings.CutPrefix(name, "ansible_")
		return ok && fact != "" && of(fact)
	}
	for path := range paths {
		if of(path) {
			return true
		}
	}
	return false
}

// longText bounds the values that are kept as text beside a layer.
const longText = 200

// secretText finds texts that may hold a secret, whatever they are called.
var secretText = regexp.MustCompile(`(?i)passw|secret|token|private|://[^/"]*@`)

// variable is a variable, or a part of one, as an input. A name that stands for no variable is none: it
// becomes one when there is such a variable.
func variable(vars *expr.Vars, name, path string) (engine.Input, bool) {
	raw, ok := task.Part(vars, name, path)
	if !ok {
		return engine.Input{}, false
	}
	digest, ok := task.Digest(raw)
	if !ok {
		return engine.Input{}, false // made on reading, of what counts for itself
	}
	full := name
	if path != "" {
		full += "." + path
	}
	in := engine.Input{Name: "variable " + full, Digest: digest}
	if text, err := json.Marshal(raw); err == nil && len(text) <= longText && !runner.Secret(full) && !holdsSecret(raw) && !secretText.Match(text) {
		in.Text = string(text)
	}
	return in, true
}

// everyHost is what all hosts have for variables, and which hosts there are.
func (k *layerKeys) everyHost() engine.Input {
	k.once.Do(func() {
		h := sha256.New()
		hosts, _ := k.inv.HostVars("localhost").Raw("hostvars")
		lazy, _ := hosts.(expr.Lazy)
		for _, host := range lazy.Keys() {
			vars := k.inv.HostVars(host)
			fmt.Fprintf(h, "%q\n", host)
			for _, name := range vars.Names() {
				raw, _ := vars.Raw(name)
				digest, _ := task.Digest(raw)
				fmt.Fprintf(h, "%q %s\n", name, digest)
			}
		}
		k.hosts = hex.EncodeToString(h.Sum(nil))
	})
	return engine.Input{Name: "variables of all hosts", Digest: k.hosts}
}

// seldom are variables that count only where they are named: they steer farm, or are part of a
// layer's name.
var seldom = func() map[string]bool {
	m := maps.Clone(steering)
	for _, name := range []string{"vm", "kvm_host", "group_names"} {
		delete(m, name)
	}
	return m
}()

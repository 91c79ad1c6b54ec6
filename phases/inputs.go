package phases

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
	"farm/engine/task"
	"farm/inventory"
	"farm/inventory/expr"
)

// login are the variables that say who runs the tasks and how: every task depends on them.
var login = []string{
	"ansible_user", "ansible_become", "ansible_become_user", "ansible_become_method", "ansible_become_flags", "ansible_become_exe",
	"ansible_async_dir",
}

// Inputs finds what the states that are kept of VMs depend on. Safe for concurrent use.
type Inputs struct {
	Inventory *inventory.Inventory
	Closures  *task.Closures
	// Vars are the variables that a VM's tasks see.
	Vars func(vm inventory.VM) *expr.Vars
	// Seldom reports whether a variable counts only where it is named, even if any may be read.
	Seldom func(name string) bool
	// Secret reports whether a variable may hold a secret: then its value is not kept as text.
	Secret func(name string, raw any) bool
	// Tags and SkipTags select tasks: a state is another where some of its tasks did not run.
	Tags, SkipTags []string

	once  sync.Once
	hosts string // digest of the variables of all hosts
}

// Of lists the files that a phase file reads, and the variables that may be read with them, each with
// its digest. before are the files whose tasks have run on the VM by then.
func (k *Inputs) Of(vm inventory.VM, file string, before ...string) ([]engine.Input, error) {
	vars := k.Vars(vm)
	files, reads, err := k.Closures.Of(file, vars, before...)
	if err != nil {
		return nil, err
	}
	named := &expr.Mentions{}
	named.Join(reads)
	for _, name := range login {
		named.Name(name, "")
	}
	all, looked := k.Closures.Variables(named, vars, k.Seldom)
	inputs := append(slices.Clip(files), looked...)
	inputs = append(inputs, k.variables(vm, vars, all)...)
	if len(k.Tags)+len(k.SkipTags) > 0 {
		inputs = append(inputs, plain("tags", fmt.Sprintf("%q without %q", k.Tags, k.SkipTags)))
	}
	return inputs, nil
}

// plain is an input that is a text without secrets.
func plain(name, text string) engine.Input {
	sum := sha256.Sum256([]byte(text))
	return engine.Input{Name: name, Digest: hex.EncodeToString(sum[:]), Text: text}
}

// variables are the variables as inputs.
func (k *Inputs) variables(vm inventory.VM, vars *expr.Vars, all *expr.Mentions) []engine.Input {
	var inputs []engine.Input
	if all.Any != "" {
		inputs = append(inputs, engine.Input{Name: "all variables", Digest: plain("", "all").Digest, Text: all.Any})
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
			if in, ok := k.variable(vars, name, path); ok {
				inputs = append(inputs, in)
			}
		}
	}
	if sized { // facts tell it
		inputs = append(inputs, plain("machine size", fmt.Sprintf("%d CPUs, %d MiB", vm.Def.VCPUs, vm.Def.RAMMiB)))
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
func (k *Inputs) variable(vars *expr.Vars, name, path string) (engine.Input, bool) {
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
	if text, err := json.Marshal(raw); err == nil && len(text) <= longText && !k.Secret(full, raw) && !secretText.Match(text) {
		in.Text = string(text)
	}
	return in, true
}

// everyHost is what all hosts have for variables, and which hosts there are.
func (k *Inputs) everyHost() engine.Input {
	k.once.Do(func() {
		h := sha256.New()
		hosts, _ := k.Inventory.HostVars("localhost").Raw("hostvars")
		lazy, _ := hosts.(expr.Lazy)
		for _, host := range lazy.Keys() {
			vars := k.Inventory.HostVars(host)
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

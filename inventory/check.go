package inventory

import (
	"errors"
	"strings"

	"farm/inventory/expr"
	"farm/inventory/source"
	"farm/inventory/value"
)

// Check finds faults that no VM need meet: in definitions that the inventory holds but
// does not use, and in variables that can never be evaluated because their text is no template or they need
// themselves. An undefined name is one only where known says that it is no fact or
// result of a task, and in what VMs and hosts share only where a VM lacks it: nothing reads
// all of a host's variables, and what reads one of them tells of it. Call it after Expand.
func (inv *Inventory) Check(vms []VM, known func(name string) bool) error {
	dir, err := inv.definitionDir("localhost", inv.HostVars("localhost"))
	errs := []error{err}
	for key, def := range inv.inline {
		kind, name, _ := strings.Cut(key, "/")
		found, err := inv.lookup(kind, name, dir, def.pos)
		if err == nil && found.chain != nil {
			fixed, _ := unevaluated(found.chain).(*value.Dict)
			err = source.Join(found.faults, decodeDefinition(fixed, &Definition{}, true))
		} else {
			err = source.Join(err, definitionRules.Check(def.native))
		}
		errs = append(errs, err)
		eachTemplate(def.native, func(t value.Template) { errs = append(errs, inv.engine.Check(t)) })
	}
	inv.eachVars(func(vars *value.Dict) {
		eachTemplate(vars, func(t value.Template) { errs = append(errs, inv.engine.Check(t)) })
	})
	vms = vms[:min(len(vms), maxChecked)]
	c := &checker{known: known, seen: map[string]bool{}}
	ofVMs := sharedWith(vms)
	for _, name := range inv.HostNames() {
		raw := inv.RawHostVars(name)
		c.look(inv.HostVars(name), func(key string) bool { return len(vms) == 0 || ofVMs[raw.KeyPos(key)] })
	}
	for _, vm := range vms {
		c.look(inv.VMVars(vm), func(string) bool { return false })
	}
	return source.Join(append(errs, c.errs...)...)
}

// eachVars calls f for the variables of every group, host, file and of the command line.
func (inv *Inventory) eachVars(f func(*value.Dict)) {
	for _, gr := range inv.graph.groupOrder {
		f(gr.vars)
	}
	for _, h := range inv.graph.hostOrder {
		f(h.vars)
	}
	inv.vars.each(f)
	f(inv.extra)
}

// unevaluated is v with Omit in place of its templates.
func unevaluated(v any) any {
	switch t := v.(type) {
	case value.Template:
		return value.Omit{}
	case []any:
		out := make([]any, len(t))
		for i, item := range t {
			out[i] = unevaluated(item)
		}
		return out
	case *value.Dict:
		out := t.Copy()
		for k, item := range t.All() {
			out.Set(k, unevaluated(item))
		}
		return out
	}
	return v
}

// sharedWith is where the variables of VMs are written.
func sharedWith(vms []VM) map[source.Pos]bool {
	at := map[source.Pos]bool{}
	done := map[*value.Dict]bool{} // VMs share their variables
	for _, vm := range vms {
		if done[vm.Vars] {
			continue
		}
		done[vm.Vars] = true
		for _, name := range vm.Vars.Keys() {
			at[vm.Vars.KeyPos(name)] = true
		}
	}
	delete(at, source.Pos{})
	return at
}

// checker evaluates variables and keeps the faults that no run can mend, each once.
type checker struct {
	known func(name string) bool
	seen  map[string]bool
	errs  []error
}

// look evaluates all variables of a scope. Of those that lenient names no undefined name is told.
func (c *checker) look(v *expr.Vars, lenient func(name string) bool) {
	for _, name := range v.Names() {
		if name == "config" { // its parts are evaluated for each VM
			continue
		}
		_, _, err := v.Get(name)
		for _, one := range source.Flatten(err) {
			if c.seen[one.Error()] || !c.hopeless(one, lenient(name)) {
				continue
			}
			c.seen[one.Error()] = true
			c.errs = append(c.errs, one)
		}
	}
}

// maxChecked is how many VMs' variables are looked at: they differ little.
const maxChecked = 1000

// hopeless reports whether nothing that comes later can mend a fault.
func (c *checker) hopeless(err error, lenient bool) bool {
	var circular *expr.CircularError
	var undefined *expr.UndefinedError
	switch {
	case errors.As(err, &circular):
		return true
	case errors.As(err, &undefined):
		name, _, _ := strings.Cut(undefined.Name, ".")
		name, _, _ = strings.Cut(name, "[")
		return !lenient && !placed[name] && !c.known(name)
	}
	return false
}

// placed are the variables that a VM has once it has been placed on a hypervisor.
var placed = map[string]bool{"kvm_host": true}

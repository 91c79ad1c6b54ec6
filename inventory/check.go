package inventory

import (
	"errors"
	"strings"

	"farm/inventory/expr"
	"farm/inventory/source"
)

// Check finds faults that no VM need meet: in definitions that the inventory holds but
// does not use, and in variables that can never be evaluated because they need
// themselves. An undefined name is one only where known says that it is no fact or
// result of a task. Call it after Expand.
func (inv *Inventory) Check(vms []VM, known func(name string) bool) error {
	dir, err := inv.definitionDir("localhost", inv.HostVars("localhost"))
	errs := []error{err}
	for key, def := range inv.inline {
		kind, name, _ := strings.Cut(key, "/")
		found, err := inv.lookup(kind, name, dir, def.pos)
		if err == nil && found.fixed && found.chain != nil {
			err = decodeDefinition(found.chain, &Definition{}, true)
		}
		errs = append(errs, err)
	}
	seen := map[string]bool{}
	look := func(v *expr.Vars) {
		for _, name := range v.Names() {
			if name == "config" { // its parts are evaluated for each VM
				continue
			}
			_, _, err := v.Get(name)
			for _, one := range source.Flatten(err) {
				if hopeless(one, known) && !seen[one.Error()] {
					seen[one.Error()] = true
					errs = append(errs, one)
				}
			}
		}
	}
	for _, name := range inv.HostNames() {
		look(inv.HostVars(name))
	}
	for i, vm := range vms {
		if i < maxChecked {
			look(inv.VMVars(vm))
		}
	}
	return source.Join(errs...)
}

// maxChecked is how many VMs' variables are looked at: they differ little.
const maxChecked = 1000

func hopeless(err error, known func(string) bool) bool {
	var circular *expr.CircularError
	var undefined *expr.UndefinedError
	switch {
	case errors.As(err, &circular):
		return true
	case errors.As(err, &undefined):
		name, _, _ := strings.Cut(undefined.Name, ".")
		name, _, _ = strings.Cut(name, "[")
		return !known(name)
	}
	return false
}

package main

import (
	"farm/engine/runner"
	"farm/inventory/value"
)

// hideSecrets has the run's mask know every secret among the variables of its hosts and
// VMs, evaluated where they can be.
func (s *session) hideSecrets() {
	for _, h := range s.hosts {
		s.mask.Add(h.Password)
	}
	evaluated := map[*value.Dict][]string{} // VMs share their variables, but not what these give
	for _, vm := range s.vms {
		auth := vm.Def.Metadata.Auth
		s.mask.Add(auth.Password, auth.BecomePassword)
		vars := s.inv.VMVars(vm)
		names, done := evaluated[vm.Vars]
		if !done {
			names = []string{}
			for _, name := range vars.Names() {
				raw, _ := vars.Raw(name)
				s.mask.AddValue(name, raw)
				if mayHoldSecret(name, raw) {
					names = append(names, name)
				}
			}
			evaluated[vm.Vars] = names
		}
		for _, name := range names {
			if v, ok, err := vars.Get(name); ok && err == nil {
				s.mask.AddValue(name, v)
			}
		}
	}
}

// mayHoldSecret reports whether it is worth evaluating a variable to look for secrets.
func mayHoldSecret(name string, raw any) bool {
	return runner.Secret(name) || holdsSecret(raw)
}

// holdsSecret reports whether a value has a secret name at any depth.
func holdsSecret(v any) bool {
	switch t := v.(type) {
	case []any:
		for _, item := range t {
			if holdsSecret(item) {
				return true
			}
		}
	case *value.Dict:
		for k, item := range t.All() {
			if runner.Secret(value.Text(k)) || holdsSecret(item) {
				return true
			}
		}
	}
	return false
}

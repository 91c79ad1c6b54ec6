// Package modules are the tasks that farm runs itself, one file each. They need nothing in
// the guest but a POSIX shell and the usual programs beside it; no Python.
package modules

import "farm/engine"

// All lists the modules.
func All() []engine.ModuleDef {
	return []engine.ModuleDef{}
}

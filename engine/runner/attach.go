package runner

import (
	"context"
	"fmt"
	"strings"

	"farm/engine"
)

// attaching reports whether the plan works with a machine that runs already.
func (v *vmRun) attaching() bool { return v.Allowed != nil && !v.Allowed["startup"] }

// attach finds the machine of this VM that an earlier run of the same project and
// inventory left running. Where only others' are there, the error names them.
func (v *vmRun) attach(ctx context.Context) error {
	all, err := v.Run.Host.Machines(ctx)
	if err != nil {
		return err
	}
	mine := v.mark()
	var others []string
	for i := len(all) - 1; i >= 0; i-- {
		m, o := all[i], all[i].Owner()
		if o.VM != mine.VM || !o.Keep {
			continue
		}
		if why := foreign(o, mine); why != "" {
			others = append(others, fmt.Sprintf("%q is not taken: %s", m.Name(), why))
			continue
		}
		v.Machine, v.Name, v.HostDir, v.Owner = m, m.Name(), o.Dir, o
		v.Run.Emit(engine.Event{Kind: engine.Progress, Text: fmt.Sprintf("works with %q, which run %s left running", m.Name(), o.Run)})
		return nil
	}
	if len(others) == 0 {
		return nil
	}
	return engine.Blamef(engine.FarmFault, "no machine of %s to attach to on %q, and startup is not among allowed_phases: %s",
		mine.VM, v.Run.Host.Name(), strings.Join(others, "; "))
}

// foreign says why a run that marks its machines with mine must not take over a machine
// that o marks, and what to do; "" if it may.
func foreign(o, mine engine.Owner) string {
	switch {
	case o.User != mine.User:
		return "it is of " + o.User
	case o.Project == "" || o.Inventory == "" || o.Home == "":
		return fmt.Sprintf("its mark does not say what it was made for; end it with `farm down %s` and have one made with --keep always", o.VM)
	case o.Project != mine.Project:
		return fmt.Sprintf("it is of project %q, not %q; allow startup to have a machine made for this one", o.Project, mine.Project)
	case o.Inventory != mine.Inventory:
		return fmt.Sprintf("it was made for %s; run that inventory, or allow startup", o.Inventory)
	case o.Home != mine.Home:
		return fmt.Sprintf("the records in %s have it; set FARM_HOME to that, or allow startup", o.Home)
	}
	return ""
}

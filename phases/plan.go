// Package phases takes a VM through its life, from startup to shutdown: one file a
// phase, and plan.go to put them in order.
package phases

import (
	"fmt"
	"time"

	"farm/engine"
)

// The names that `allowed_phases` takes, in the order in which they can run.
const (
	RestoreInit  = "restore init"
	RestoreClean = "restore clean"
	Startup      = "startup"
	CreateClean  = "create clean"
	Dependencies = "dependencies"
	Init         = "init"
	CreateInit   = "create init"
	Main         = "main"
	Terminate    = "terminate"
	Shutdown     = "shutdown"
)

var names = []string{RestoreInit, RestoreClean, Startup, CreateClean, Dependencies, Init, CreateInit, Main, Terminate, Shutdown}

// Prepare is what comes before the phases: the making of the base disks. It cannot be left out, but has a deadline.
const Prepare = "prepare"

// Names lists all phases in the order in which they can run.
func Names() []string { return append([]string(nil), names...) }

// Query is what a plan depends on.
type Query struct {
	Allowed  map[string]bool                  // nil = all
	Init     bool                             // a valid init layer is there
	Clean    bool                             // a valid clean layer is there
	CanCache bool                             // layers can be made on this VM's disks
	Attach   bool                             // the machine runs already; it is neither restored nor started
	Timeout  func(phase string) time.Duration // nil = the defaults
}

// Plan lists the steps of one VM in the order in which they run. It is pure.
func Plan(q Query) []engine.Step {
	p := &plan{q: q}
	fresh := true // no cached init state: dependencies and init have to run
	switch {
	case q.Attach:
	case q.Init && p.allowed(RestoreInit):
		p.add(restore{RestoreInit}, "the layer is valid")
		fresh = false
	case q.Clean && p.allowed(RestoreClean):
		p.add(restore{RestoreClean}, "the layer is valid")
	}
	p.add(startup{attach: q.Attach}, "")
	if fresh {
		if !q.Clean && q.CanCache && !q.Attach {
			p.add(create{CreateClean}, "no valid layer")
		}
		p.add(tasks{Dependencies}, "")
		p.add(tasks{Init}, "")
		if q.CanCache && !q.Attach {
			p.add(create{CreateInit}, "no valid layer")
		}
	}
	p.add(tasks{Main}, "")
	p.always(tasks{Terminate})
	p.always(shutdown{})
	return p.steps
}

type plan struct {
	q     Query
	steps []engine.Step
}

func (p *plan) allowed(name string) bool { return p.q.Allowed == nil || p.q.Allowed[name] }

func (p *plan) add(ph engine.Phase, why string) {
	// startup stays: without the machine nothing else can run; it then only attaches.
	if !p.allowed(ph.Name()) {
		if ph.Name() != Startup {
			return
		}
		ph, why = startup{attach: true}, "startup is not allowed: the running machine is used"
	}
	p.steps = append(p.steps, engine.Step{Phase: ph, Why: why, Timeout: p.timeout(ph.Name())})
}

func (p *plan) always(ph engine.Phase) {
	if p.allowed(ph.Name()) {
		p.steps = append(p.steps, engine.Step{Phase: ph, Always: true, Timeout: p.timeout(ph.Name())})
	}
}

func (p *plan) timeout(name string) time.Duration {
	if p.q.Timeout != nil {
		if d := p.q.Timeout(name); d > 0 {
			return d
		}
	}
	return DefaultTimeout(name)
}

// DefaultTimeout is a phase's deadline without emulation.
func DefaultTimeout(name string) time.Duration {
	switch name {
	case RestoreInit, RestoreClean, CreateClean, CreateInit:
		return 2 * time.Minute
	case Startup:
		return 2 * time.Minute
	case Shutdown:
		return time.Minute
	case Terminate:
		return 10 * time.Minute
	}
	return time.Hour
}

// ParseAllowed checks a list of phase names; nil gives nil, which allows all.
func ParseAllowed(list []string) (map[string]bool, error) {
	if list == nil {
		return nil, nil
	}
	allowed := map[string]bool{}
	for _, name := range list {
		known := false
		for _, n := range names {
			known = known || n == name
		}
		if !known {
			return nil, fmt.Errorf("unknown phase %q%s", name, hint(name))
		}
		allowed[name] = true
	}
	return allowed, nil
}

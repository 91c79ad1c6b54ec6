package engine

import (
	"context"
	"time"

	"farm/inventory"
)

// Phase is one stage of a VM's life.
type Phase interface {
	Name() string
	// Run carries the phase out. A phase that finds nothing to do returns Skip
	Run(ctx context.Context, r *Run) error
}

// Step is a phase in one VM's plan.
type Step struct {
	Phase   Phase
	Always  bool          // also after a failure and after an interrupt
	Timeout time.Duration // before scaling for emulation; required when Always
	Why     string        // for `farm plan`: "layer vde.0.init is valid"
}

// Run is one VM's way through its plan. One goroutine owns it.
type Run struct {
	ID      string // of the whole run
	VM      inventory.VM
	Host    Host
	Layers  Layers
	Guest   Guest
	Tasks   Tasks
	Emit    Emit
	Local   Conn
	Dir     string // this VM's folder on the controller: task log, console log, artifacts
	HostDir string // this VM's folder on the host
	KVM     bool
	Scale   float64 // multiplies every deadline; over 1 when emulated
	Check   bool

	Layer   Layer // the disk state that the machine starts from
	Machine Machine
	Conn    Conn            // the guest; nil while it is not reached
	Allowed map[string]bool // phases that may run; a phase file may change it (allowed_phases)
	// Restored is the name of the cached state in use: "", "clean" or "init".
	Restored string
}

// Guest opens a connection to the guest of r.Machine: a ladder of port, banner, login
// and `true`, then cloud-init if there is any. Its error says which rung was
// reached and quotes the console's last lines.
type Guest interface {
	Connect(ctx context.Context, r *Run) (Conn, error)
}

// Tasks runs phase files.
type Tasks interface {
	// PhaseFile finds the one file of a phase for a VM; "" if there is none.
	PhaseFile(vm inventory.VM, phase string) (string, error)
	// Inputs is what the phase's outcome depends on: the file and everything it reads.
	Inputs(ctx context.Context, vm inventory.VM, phase string) ([]Input, error)
	// RunPhase runs the file on r.Conn.
	RunPhase(ctx context.Context, r *Run, phase, file string) error
}

type skipped struct{ why string }

func (s skipped) Error() string { return s.why }

// Skip is returned by a phase that has nothing to do, with the reason for people.
func Skip(why string) error { return skipped{why} }

// SkippedWhy returns the reason if err came from Skip.
func SkippedWhy(err error) (why string, ok bool) {
	s, ok := err.(skipped)
	return s.why, ok
}

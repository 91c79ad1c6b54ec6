package engine

import (
	"context"
	"time"

	"farm/inventory"
)

// Phase is one stage of a VM's life.
type Phase interface {
	Name() string
	// Run carries the phase out. A phase that finds nothing to do returns Skip.
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
	Dir     string  // this VM's folder on the controller: task log, console log, artifacts
	HostDir string  // this VM's folder on the host: overlays, console log, NVRAM
	Name    string  // libvirt's name of the machine
	Owner   Owner   // mark of the machine
	KVM     bool    // accelerated
	Scale   float64 // multiplies every deadline; over 1 when emulated

	Memory Memorize // whether guests' memories are kept and used
	// Said is what a phase tells of how it went well, for people; the runner puts it into the
	// phase's event and clears it.
	Said string
	// Slow is whether the guest's boot took so long that resuming from a memory pays.
	Slow bool

	// Template is the user's domain template, rendered; "" = farm builds the domain.
	Template string

	Base    Layer
	States  map[string]CachedState // "clean" and "init"
	Allowed map[string]bool        // phases that may run; a phase file may change it (allowed_phases)

	Layer   Layer         // the disk state that the machine starts from
	Disks   []MachineDisk // the machine's overlays; nil before they are made
	Machine Machine       // nil before startup
	Conn    Conn          // the guest; nil while it is not reached
}

// Memorize is whether guests' memories are kept beside disks and resumed from: the variable snapshot_memory.
type Memorize string

// The ways to keep memories.
const (
	NoMemory   Memorize = ""
	AllMemory  Memorize = "true" // with every state that is kept
	AutoMemory Memorize = "auto" // with init, where it pays
)

// CachedState says what a cached state of a VM is called and what it depends on.
type CachedState struct {
	Key    string // "" = it cannot be cached
	Why    string // why not, for people; "" = it was not asked for
	Name   string // "clean", "vde.0.init"
	Parent string // key
	Inputs []Input
	// NotBefore is when a layer must have been made to be used; zero = at any time.
	NotBefore time.Time
}

// Guest opens connections to guests.
type Guest interface {
	// Dial tries once to log into the guest of r.Machine at addr, as seen from the host.
	// An error that knows how far it came has a method Stage() string: "tcp", "banner",
	// "handshake", "host key" or "auth".
	Dial(ctx context.Context, r *Run, addr string) (Conn, error)
}

// Tasks runs phase files.
type Tasks interface {
	// PhaseFile finds the one file of a phase for a VM; "" if there is none, with the places searched.
	PhaseFile(vm inventory.VM, phase string) (file string, searched []string, err error)
	// Inputs is what the outcome of a phase file depends on: it and every file it reads. Some may be Unknown.
	Inputs(vm inventory.VM, file string) ([]Input, error)
	// Run runs the file's tasks on r.Conn.
	Run(ctx context.Context, r *Run, phase, file string) error
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

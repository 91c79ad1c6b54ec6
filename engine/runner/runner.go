// Package runner is the loop of a run: place VMs, prepare their disks, run their plans,
// emit events. One goroutine owns one VM.
package runner

import (
	"context"
	"sync"
	"time"

	"farm/engine"
	"farm/engine/dispatch"
	"farm/inventory"
)

// Backend is an opened hypervisor with its store of layers.
type Backend struct {
	Host   engine.Host
	Layers engine.Layers
	Dir    string // farm's own folder on the host; machines go below it
}

// Keep says when a machine is left running after its run.
type Keep string

// When machines are kept.
const (
	KeepNever     Keep = "never"
	KeepOnFailure Keep = "on-failure"
	KeepAlways    Keep = "always"
)

// PlanQuery is what the plan of one VM depends on.
type PlanQuery struct {
	Allowed     map[string]bool
	Init, Clean bool // valid layers are there
	CanCache    bool
	Attach      bool
	Timeout     func(phase string) time.Duration
}

// Journal records intents durably before they are carried out.
type Journal interface {
	// Intend records that a machine is about to be made.
	Intend(m MachineRecord) error
	// Settle records what became of it: "gone" or "kept".
	Settle(name, state string, keepUntil time.Time) error
	// Stands records the states of a VM, by "base", "clean" and "init", kept or not.
	Stands(run, vm, host string, states map[string]engine.CachedState) error
}

// Start is a state that a VM starts from whatever its plan would choose, such as one of an earlier run. What follows may not be
// what the VM's keys say, so its run makes no layers but those of Make, and is not recorded with Stands.
type Start struct {
	State string // "base", "clean" or "init"
	// Layer is that state on the VM's host; zero only of a base, which is made then.
	Layer engine.Layer
	// Make are the states to keep on the way, by "clean" and "init".
	Make map[string]engine.CachedState
}

// MachineRecord is a machine as the journal knows it.
type MachineRecord struct {
	Name, Run, VM, Host, Dir string
	SSHUser, KeyFile         string
	HostKeys                 []string
}

// Config is a run. All fields but Parallel, FailFast, Check, Refresh and Start are required.
type Config struct {
	Run      string // id
	VMs      []inventory.VM
	Hosts    []dispatch.Host
	Backends map[string]Backend // by host name; hosts that are down have none
	// Place evaluates a VM's definition for the host it was placed on.
	Place func(ctx context.Context, vm inventory.VM, host string) (inventory.VM, error)
	// Prepare returns what it takes to make the base disks of a VM.
	Prepare func(vm inventory.VM) (engine.Preparation, error)
	// Settings evaluates the variables that steer a VM's run.
	Settings  func(vm inventory.VM) (Settings, error)
	Plan      func(PlanQuery) []engine.Step
	Tasks     engine.Tasks
	Guest     engine.Guest
	Journal   Journal
	Bus       *Bus
	Dir       string // the run's folder on the controller
	User      string // user@controller, for owners' marks
	Inventory string // file on the controller, absolute, for owners' marks
	Home      string // folder of farm's records on the controller, absolute, for the same
	Keep      Keep
	KeepFor   time.Duration
	Parallel  int  // VMs at once; 0 = as many as have room
	FailFast  bool // start nothing new after a failure
	Check     bool // change nothing in guests and make no layers
	// Refresh are phases that run anew though the state that they lead to is kept.
	Refresh map[string]bool
	// Start has VMs start from given states, by VM id; where one cannot be restored the VM ends there.
	Start map[string]Start
}

// Settings are the variables that steer one VM's run.
type Settings struct {
	User     string          // that farm logs in as
	Allowed  map[string]bool // allowed_phases; nil = all
	Project  string          // project_id
	Revision string          // project_revision
	Timeout  func(phase string) time.Duration
	// MaxAge is how long the outcome of a phase may be used; nil or 0 = for ever.
	MaxAge func(phase string) time.Duration
	// Template is the user's domain template, rendered; "" = none.
	Template string
	Cache    bool            // states are kept and used
	Memory   engine.Memorize // guests' memories are kept and used with them
}

// run is the state of Run's loop; the loop's goroutine owns it.
type run struct {
	Config
	queue *dispatch.Queue
	ended chan verdict
	began time.Time
	// live is how many VMs are under way.
	live int
	stop bool
}

type verdict struct {
	id   string
	err  error
	host string
}

// Run runs all VMs and returns when every one of them has ended. When ctx ends
// nothing new starts, and what runs goes on to its `always` phases; these end when
// hard does. The outcome is in the bus's State.
func Run(ctx, hard context.Context, c Config) {
	r := &run{Config: c, queue: dispatch.New(c.Hosts), ended: make(chan verdict), began: time.Now()}
	r.Bus.Emit(engine.Event{Kind: engine.RunStarted})
	r.refuse(r.queue.Add(c.VMs...))
	var wg sync.WaitGroup
	interrupted := ctx.Done()
	for {
		// Not left to the select: a VM's end may be seen there before the interruption.
		if ctx.Err() != nil && interrupted != nil {
			interrupted = nil
			r.halt("interrupted before it started", engine.Interrupted, engine.Cancelled)
		}
		for !r.stop && (r.Parallel == 0 || r.live < r.Parallel) {
			p, ok := r.queue.Next()
			if !ok {
				break
			}
			r.live++
			wg.Go(func() { r.ended <- r.vm(ctx, hard, p) })
		}
		if r.live == 0 {
			break
		}
		select {
		case v := <-r.ended:
			r.live--
			r.queue.Done(v.id)
			if v.err != nil && r.FailFast {
				r.halt("not started: another VM failed and --fail-fast is given", engine.Skipped, engine.NoFault)
			}
		case <-interrupted:
		}
	}
	wg.Wait()
	status := r.status()
	r.Bus.Emit(engine.Event{Kind: engine.RunEnded, Status: status})
}

// halt gives up what has not been started.
func (r *run) halt(why string, status engine.Status, fault engine.Fault) {
	r.stop = true
	for _, vm := range r.queue.Drop() {
		r.Bus.Emit(engine.Event{Kind: engine.VMEnded, VM: vm.ID, Status: status, Fault: fault, Text: why})
	}
}

func (r *run) refuse(refused []dispatch.Refusal) {
	for _, no := range refused {
		r.Bus.Emit(engine.Event{Kind: engine.VMEnded, VM: no.VM.ID, Status: engine.NoVerdict, Fault: engine.FarmFault, Text: no.String()})
	}
}

// status is the run's: a failed test outweighs a missing verdict.
func (r *run) status() engine.Status {
	status := engine.OK
	rank := map[engine.Status]int{engine.OK: 0, engine.Interrupted: 1, engine.NoVerdict: 2, engine.Failed: 3}
	r.Bus.State(func(s *engine.State) {
		for _, vm := range s.VMs {
			if rank[vm.Status] > rank[status] {
				status = vm.Status
			}
		}
	})
	return status
}

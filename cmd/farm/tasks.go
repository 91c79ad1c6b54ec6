package main

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"

	"farm/engine"
	"farm/engine/local"
	"farm/engine/modules"
	"farm/engine/runner"
	"farm/engine/task"
	"farm/inventory"
	"farm/inventory/value"
	"farm/phases"
)

// phaseTasks runs phase files in guests. It is engine.Tasks.
type phaseTasks struct {
	*session
	reads *phases.Inputs
	local engine.Conn // nil where the inventory does not let files run here

	slots  task.Slots                 // of tasks with throttle, among all VMs
	mu     sync.Mutex                 // guards states
	states map[string]*task.HostState // by VM id; each is used by its VM's goroutine
}

func (s *session) tasks() *phaseTasks {
	t := &phaseTasks{session: s, reads: s.layerInputs(s.inv, s.flags.tags, s.flags.skipTags), states: map[string]*task.HostState{}}
	if conn, _, err := s.inv.HostVars("localhost").Get("ansible_connection"); err == nil && conn == "local" {
		t.local = local.New()
	}
	return t
}

// end ends what tasks have left running in the background.
func (t *phaseTasks) end() {
	for _, h := range t.states {
		h.EndJobs()
	}
}

// PhaseFile finds a phase's file.
func (t *phaseTasks) PhaseFile(vm inventory.VM, phase string) (string, []string, error) {
	dir, err := phasesDir(t.inv, vm)
	if err != nil {
		return "", nil, err
	}
	file, searched := phases.Find(dir, vm.Platform, vm.Target, phase)
	return file, searched, nil
}

// Inputs is what the outcome of a phase file depends on: files, and the variables read there.
func (t *phaseTasks) Inputs(vm inventory.VM, file string) ([]engine.Input, error) {
	var before []string
	if first, _, err := t.PhaseFile(vm, phases.Dependencies); err == nil && first != "" && first != file {
		before = append(before, first)
	}
	return t.reads.Of(vm, file, before...)
}

// Run runs a phase's tasks, and takes over what they say of the phases to come.
func (t *phaseTasks) Run(ctx context.Context, r *engine.Run, phase, file string) error {
	h, err := t.host(ctx, r)
	if err != nil {
		return err
	}
	err = t.runner(r).RunFile(ctx, file, h, nil)
	if h.Conn != nil && h.Conn != r.Conn { // the guest was rebooted
		r.Conn = h.Conn
	}
	if v, ok := h.Set.Get("allowed_phases"); ok && err == nil {
		allowed, bad := allowedPhases(v)
		if bad != nil {
			return engine.Blame(engine.UserFault, fmt.Errorf("%s: %w", file, bad))
		}
		r.Allowed = allowed
	}
	return err
}

// host is the state of a VM's tasks: facts and results outlive a phase.
func (t *phaseTasks) host(ctx context.Context, r *engine.Run) (*task.HostState, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.states[r.VM.ID]
	if h == nil {
		h = task.NewHost(r.VM.Name, r.Conn, t.inv.VMVars(r.VM).With(definitionVars(r.VM)))
		auth := r.VM.Def.Metadata.Auth
		h.Become = &engine.Become{User: auth.BecomeUser, Method: auth.BecomeMethod, Password: auth.BecomePassword}
		h.Reconnect = func(ctx context.Context) (engine.Conn, error) { return t.reconnect(ctx, r) }
		h.LoginUser = t.loginUser(r.VM)
		h.Artifacts = filepath.Join(t.dir, runner.FileName(r.VM.ID), "artifacts")
		t.states[r.VM.ID] = h
	}
	h.Conn = r.Conn
	if h.Facts.Len() == 0 {
		facts, err := modules.GatherFacts(ctx, &engine.Task{Conn: r.Conn, State: map[string]any{}}, []string{"min"})
		if err != nil {
			return nil, fmt.Errorf("gather facts of %s: %w", r.VM.ID, err)
		}
		h.Facts = facts
	}
	return h, nil
}

func (t *phaseTasks) reconnect(ctx context.Context, r *engine.Run) (engine.Conn, error) {
	addr, err := r.Machine.SSH(ctx)
	if err != nil {
		return nil, err
	}
	return r.Guest.Dial(ctx, r, addr)
}

// shutdownHypervisor is a notification that phases may send without a handler for it.
const shutdownHypervisor = "shutdown_hypervisor"

// runner makes the runner of one VM's phase; r may be nil where nothing is run.
func (t *phaseTasks) runner(r *engine.Run) *task.Runner {
	o := t.taskOptions(t.inv)
	o.Tags, o.SkipTags, o.Check, o.Diff = t.flags.tags, t.flags.skipTags, t.flags.check, t.flags.diff
	o.Local, o.Conn, o.Mask, o.Slots = t.local, t.delegate, t.mask, &t.slots
	if r != nil {
		o.Emit = r.Emit
		o.Notified = func(_ *task.HostState, name string) bool {
			if name != shutdownHypervisor {
				return false
			}
			r.Emit(engine.Event{Kind: engine.Warning, Text: shutdownHypervisor + ": the hypervisor is no VM of this run; it stays up"})
			return true
		}
	}
	return task.New(o)
}

// delegate opens the host that a task is delegated to: a hypervisor.
func (t *phaseTasks) delegate(_ context.Context, name string) (engine.Conn, error) {
	for _, h := range t.session.hosts {
		if h.Name == name && h.err == nil {
			return h.conn, nil
		}
	}
	return nil, fmt.Errorf("%q is no hypervisor of this run; tasks can be delegated to those and to localhost", name)
}

// taskOptions are what every runner of task files of an inventory has.
func (a *app) taskOptions(inv *inventory.Inventory) task.Options {
	return task.Options{Modules: modules.WithPlugins(inv.Dir()), Extra: inv.Extra(), Project: inv.Dir(), RolePaths: []string{filepath.Join(inv.Dir(), "roles")}}
}

// definitionVars are the variables that tell a VM's tasks what it is.
func definitionVars(vm inventory.VM) *value.Dict {
	d := value.NewDict("vm", vm.Def.Raw)
	if vm.Host != "" {
		d.Set("kvm_host", vm.Host)
	}
	return d
}

func (s *session) loginUser(vm inventory.VM) string {
	return loginUser(&getter{s.inv, vm, nil})
}

// definitionRunner runs definitions that are task files.
func (a *app) definitionRunner(inv *inventory.Inventory) inventory.DefinitionRunner {
	run := task.Definitions(a.taskOptions(inv), nil)
	return func(ctx context.Context, r inventory.DefinitionRequest) (inventory.DefinitionFacts, error) {
		facts, err := run(ctx, r)
		if engine.FaultOf(err) == engine.TestFault { // a definition tests nothing
			err = &engine.FaultError{Fault: engine.UserFault, Err: err}
		}
		return facts, err
	}
}

// callbackDirs are the folders that a VM's own callbacks are in.
func callbackDirs(inv *inventory.Inventory, vm inventory.VM) []string {
	get := getter{inv, vm, nil}
	dir := get.text("hypervisor_lookup_dir_path", "setup_hypervisor")
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(inv.Dir(), dir)
	}
	return []string{dir, filepath.Join(inv.Dir(), "tasks")}
}

// callbackRunner runs a user's callback that is a task file, on the hypervisor. It tests nothing: where a task fails, there
// is no image to test on.
func (s *session) callbackRunner(vm inventory.VM) func(context.Context, *engine.Image, string, *value.Dict) error {
	return func(ctx context.Context, im *engine.Image, file string, vars *value.Dict) error {
		o := s.taskOptions(s.inv)
		o.Mask = s.mask
		if im.Emit != nil {
			o.Emit = func(e engine.Event) { im.Emit(untested(e)) }
		}
		h := task.NewHost(vm.Host, im.Conn, s.inv.VMVars(vm))
		h.Facts, _ = value.From(im.Facts).(*value.Dict)
		err := task.New(o).RunFile(ctx, file, h, vars)
		if engine.FaultOf(err) == engine.TestFault {
			err = &engine.FaultError{Fault: engine.FarmFault, Err: err}
		}
		return err
	}
}

// untested is the event of a task that tests nothing.
func untested(e engine.Event) engine.Event {
	if e.Fault == engine.TestFault {
		e.Fault = engine.FarmFault
	}
	return e
}

var _ engine.Tasks = (*phaseTasks)(nil)
var _ runner.Journal = journal{}

package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"farm/engine"
	"farm/engine/dispatch"
)

// emulatedScale multiplies the deadlines of emulated guests: they were seen to need up
// to ten times as long as accelerated ones.
const emulatedScale = 10

// prepareBudget bounds the making of base disks, downloads included, where the settings have no time for it.
const prepareBudget = 2 * time.Hour

// cleanupBudget bounds the removal of a machine and its files.
const cleanupBudget = time.Minute

// vmRun is one VM's run; one goroutine owns it.
type vmRun struct {
	*run
	engine.Run
	back     Backend
	settings Settings
	begun    time.Time
	first    error // the first failure
	reached  bool  // the guest could be worked with
	kept     bool
}

// vm runs one VM from its placement to its end.
func (r *run) vm(ctx, hard context.Context, p dispatch.Placement) verdict {
	v := &vmRun{run: r, begun: time.Now(), back: r.Backends[p.Host]}
	v.Run = engine.Run{
		ID: r.Config.Run, VM: p.VM, Host: v.back.Host, Layers: v.back.Layers, Guest: r.Config.Guest, Tasks: r.Config.Tasks,
		Emit: r.Bus.For(p.VM.ID, p.Host), KVM: p.KVM, Scale: 1,
	}
	v.Emit(engine.Event{Kind: engine.VMPlaced, Text: p.Why})
	err := v.live(ctx, hard, p.Host)
	v.end(err)
	return verdict{p.VM.ID, err, p.Host}
}

// live is everything between placement and end.
func (v *vmRun) live(ctx, hard context.Context, host string) error {
	if err := v.prepare(ctx, host); err != nil {
		return err
	}
	defer v.cleanUp(hard)
	steps, err := v.plan(ctx)
	if err != nil {
		return err
	}
	v.steps(ctx, hard, steps)
	return v.first
}

// prepare evaluates the definition for the host, makes the base disks and the folders.
func (v *vmRun) prepare(ctx context.Context, host string) (err error) {
	return v.timed(ctx, "prepare", func() error {
		if v.Run.VM, err = v.Place(ctx, v.Run.VM, host); err != nil {
			return engine.Blame(engine.UserFault, err)
		}
		if v.settings, err = v.Settings(v.Run.VM); err != nil {
			return engine.Blame(engine.UserFault, err)
		}
		budget := prepareBudget
		if v.settings.Timeout != nil {
			budget = cmp.Or(v.settings.Timeout("prepare"), budget)
		}
		ctx, cancel := context.WithTimeoutCause(ctx, budget, fmt.Errorf("not done within %s", budget))
		defer cancel()
		if v.KVM && v.Run.VM.Def.VirtDomain == "qemu" {
			v.KVM = false
			v.Run.Emit(engine.Event{Kind: engine.Progress, Text: "emulated, as virt_domain asks"})
		}
		v.Allowed, v.Template, v.Memory = v.settings.Allowed, v.settings.Template, v.settings.Memory
		v.scale()
		v.Name = machineName(v.Run.VM.ID, v.ID)
		v.HostDir = path.Join(v.back.Dir, "machines", v.Name)
		v.Dir = filepath.Join(v.Config.Dir, FileName(v.Run.VM.ID))
		if err := os.MkdirAll(v.Dir, 0o755); err != nil {
			return err
		}
		v.Owner = v.mark()
		p, err := v.Prepare(v.Run.VM)
		if err != nil {
			return engine.Blame(engine.UserFault, err)
		}
		p.Emit = v.Emit
		if v.Base = v.Start[v.Run.VM.ID].Layer; v.Base.Key == "" {
			if v.Base, err = v.Layers.Base(ctx, p); err != nil {
				return err
			}
		}
		if v.attaching() {
			return v.attach(ctx)
		}
		if err := v.Journal.Intend(v.record(p.KeyPath)); err != nil {
			return err
		}
		return v.claim(ctx, v.Owner)
	})
}

func (v *vmRun) record(key string) MachineRecord {
	return MachineRecord{
		Name: v.Name, Run: v.ID, VM: v.Run.VM.ID, Host: v.Run.Host.Name(), Dir: v.HostDir,
		SSHUser: v.settings.User, KeyFile: key, HostKeys: v.Base.HostKeys,
	}
}

func (v *vmRun) scale() {
	v.Scale = 1
	if !v.KVM {
		v.Scale = emulatedScale
	}
	if s := v.Run.VM.Def.TimeoutScale; s > 0 {
		v.Scale = s
	}
}

// plan asks which cached states are valid and lists the steps.
func (v *vmRun) plan(ctx context.Context) ([]engine.Step, error) {
	q := PlanQuery{Allowed: v.Allowed, Timeout: v.settings.Timeout, Attach: v.attaching()}
	if start, given := v.Start[v.Run.VM.ID]; given {
		v.States = map[string]engine.CachedState{start.State: {Key: start.Layer.Key, Name: start.Layer.Name}}
		maps.Copy(v.States, start.Make)
		q.Init, q.Clean, q.CanCache = start.State == "init", start.State == "clean", v.canCache() && len(start.Make) > 0
		return v.Plan(q), nil
	}
	var err error
	if v.States, err = v.states(v.Run.VM, v.Base, v.settings); err != nil {
		return nil, err
	}
	if err := v.stands(); err != nil {
		return nil, err
	}
	q.CanCache = v.canCache()
	q.Init, q.Clean = v.valid(ctx, "init"), v.valid(ctx, "clean")
	return v.Plan(q), nil
}

// canCache reports whether layers can be made on the VM's disks.
func (v *vmRun) canCache() bool {
	return v.settings.Cache && !v.Check && v.Run.VM.Def.DiskMode != "persistent"
}

// stands records what the VM stands on, so that it can be found again.
func (v *vmRun) stands() error {
	all := maps.Clone(v.States)
	all["base"] = engine.CachedState{Key: v.Base.Key, Name: v.Base.Name, Inputs: v.Base.Inputs}
	return v.Journal.Stands(v.ID, v.Run.VM.ID, v.Run.Host.Name(), all)
}

func (v *vmRun) valid(ctx context.Context, name string) bool {
	s := v.States[name]
	if s.Key == "" {
		return false
	}
	l, err := v.Layers.Find(ctx, s.Key)
	if err == nil && l.Created.Before(s.NotBefore) {
		v.Run.Emit(engine.Event{Kind: engine.Progress, Text: fmt.Sprintf("layer %s of %s is made anew", s.Name, l.Created.Format(time.DateTime))})
		return false
	}
	if err != nil && !errors.Is(err, engine.ErrNotExist) {
		v.warn("layer %s cannot be used: %v", s.Name, err)
	}
	return err == nil
}

// steps runs a plan. After a failure only the steps marked Always run. A state that
// cannot be restored costs a new plan without it, unless it was asked for, and a layer that cannot
// be made a warning.
func (v *vmRun) steps(ctx, hard context.Context, steps []engine.Step) {
	for i := 0; i < len(steps); i++ {
		step := steps[i]
		name := step.Phase.Name()
		if v.first == nil && ctx.Err() != nil {
			v.first = engine.Blame(engine.Cancelled, fmt.Errorf("interrupted before %s: %w", name, ctx.Err()))
		}
		if v.first != nil && !step.Always || v.Allowed != nil && !v.Allowed[name] && name != "startup" {
			continue
		}
		if name == "shutdown" && v.keeping() {
			v.kept = true
			continue
		}
		err := v.step(ctx, hard, step)
		v.reached = v.reached || v.Conn != nil
		switch {
		case err == nil:
		case creates(name) && ctx.Err() == nil && v.alive(err):
			v.warn("%v; the run goes on without it", err)
		case v.replaceable(name) && ctx.Err() == nil:
			v.warn("%v; falling back", err)
			steps = append(steps[:i+1:i+1], v.replan(ctx, name)...)
		case v.first == nil:
			v.first = err
		}
		if errors.Is(err, engine.ErrUnreachable) && v.Conn != nil {
			v.Conn.Close() // the guest is lost; terminate is skipped and says so
			v.Conn = nil
		}
	}
}

func creates(phase string) bool  { return strings.HasPrefix(phase, "create ") }
func restores(phase string) bool { return strings.HasPrefix(phase, "restore ") }

// replaceable reports whether a phase restores a state that others do as well as: none that was asked for.
func (v *vmRun) replaceable(phase string) bool {
	_, given := v.Start[v.Run.VM.ID]
	return restores(phase) && !given
}

// alive reports whether the guest can still be worked with after a layer was not made; without it no
// phase that tests would run.
func (v *vmRun) alive(err error) bool { return v.Conn != nil && !errors.Is(err, engine.ErrUnreachable) }

// replan lists the steps that are left when a state could not be restored.
func (v *vmRun) replan(ctx context.Context, restored string) []engine.Step {
	return v.Plan(PlanQuery{
		Allowed: v.Allowed, Timeout: v.settings.Timeout, CanCache: v.settings.Cache && !v.Check,
		Clean: restored == "restore init" && v.valid(ctx, "clean"),
	})
}

// projects are the phases that run the project's own files.
var projects = map[string]bool{"dependencies": true, "init": true, "main": true, "terminate": true}

// step runs one step under its deadline.
func (v *vmRun) step(ctx, hard context.Context, step engine.Step) error {
	if step.Always {
		ctx = hard
	}
	limit := time.Duration(float64(step.Timeout) * v.Scale)
	return v.timed(ctx, step.Phase.Name(), func() error {
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		err := step.Phase.Run(ctx, &v.Run)
		if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
			err = fmt.Errorf("%s took longer than its deadline of %s: %w", step.Phase.Name(), limit, err)
			if projects[step.Phase.Name()] { // a test that hangs has failed
				err = &engine.FaultError{Fault: engine.TestFault, Err: err}
			}
		}
		return err
	})
}

// timed emits a phase's start and end around f. A skip is no error. Where ctx was cancelled, what
// went wrong with farm's own did so for that.
func (v *vmRun) timed(ctx context.Context, phase string, f func() error) error {
	emit := v.Run.Emit
	v.Run.Emit = func(e engine.Event) {
		if e.Phase == "" {
			e.Phase = phase
		}
		emit(e)
	}
	defer func() { v.Run.Emit = emit }()
	begun := time.Now()
	v.Run.Emit(engine.Event{Kind: engine.PhaseStarted})
	v.Said = ""
	err := f()
	if errors.Is(ctx.Err(), context.Canceled) && engine.FaultOf(err) == engine.FarmFault {
		err = &engine.FaultError{Fault: engine.Cancelled, Err: err}
	}
	e := engine.Event{Kind: engine.PhaseEnded, Status: engine.OK, Text: v.Said, ElapsedMS: time.Since(begun).Milliseconds()}
	if why, ok := engine.SkippedWhy(err); ok {
		e.Status, e.Text, err = engine.Skipped, why, nil
	} else if err != nil {
		e.Status, e.Fault, e.Text = statusOf(err), engine.FaultOf(err), reason(err)
		if (creates(phase) && v.alive(err) || v.replaceable(phase)) && ctx.Err() == nil {
			e.Status = engine.Ignored // it costs the layer, not the run
		}
	}
	v.Run.Emit(e)
	return err
}

// statusOf is how a VM or phase that ended with err is judged.
func statusOf(err error) engine.Status {
	switch engine.FaultOf(err) {
	case engine.NoFault:
		return engine.OK
	case engine.TestFault:
		return engine.Failed
	case engine.Cancelled:
		return engine.Interrupted
	}
	return engine.NoVerdict
}

// cleanUp removes the machine and its files, or marks it as kept.
func (v *vmRun) cleanUp(hard context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(hard), cleanupBudget)
	defer cancel()
	if v.Conn != nil {
		v.Conn.Close()
		v.Conn = nil
	}
	v.saveConsole(ctx)
	if v.Machine != nil && (v.kept || v.Allowed != nil && !v.Allowed["shutdown"]) {
		v.keepMachine(ctx)
		return
	}
	if v.Machine != nil {
		if err := v.Machine.Remove(ctx); err != nil {
			v.warn("remove %q: %v (`farm gc` tries again)", v.Name, err)
			return
		}
	}
	if _, err := v.Run.Host.Conn().Exec(ctx, engine.Cmd{Argv: []string{"rm", "-rf", "--", v.HostDir}}); err != nil {
		v.warn("remove %s: %v (`farm gc` tries again)", v.HostDir, err)
		return
	}
	if err := v.Journal.Settle(v.Name, "gone", time.Time{}); err != nil {
		v.warn("%v", err)
	}
}

// consoleLimit bounds what is kept of a serial console.
const consoleLimit = 4 << 20

// saveConsole copies the serial console to the run's folder.
func (v *vmRun) saveConsole(ctx context.Context) {
	if v.Machine == nil {
		return
	}
	out, err := v.Run.Host.Conn().Exec(ctx, engine.Cmd{
		Argv: []string{"tail", "-c", fmt.Sprint(consoleLimit), "--", v.Machine.ConsoleLog()}, Keep: consoleLimit,
	})
	if err == nil {
		err = os.WriteFile(filepath.Join(v.Dir, "console.log"), []byte(v.Bus.mask.Text(engine.Printable(string(out.Stdout)))), 0o644)
	}
	if err != nil {
		v.warn("save the console's log: %v", err)
	}
}

func (v *vmRun) end(err error) {
	e := engine.Event{Kind: engine.VMEnded, Status: statusOf(err), Fault: engine.FaultOf(err), ElapsedMS: time.Since(v.begun).Milliseconds()}
	if err != nil {
		e.Text = reason(err)
	}
	v.Run.Emit(e)
}

// reason is why something did not go well, for people.
func reason(err error) string {
	if engine.FaultOf(err) == engine.Cancelled {
		return "interrupted"
	}
	return err.Error()
}

func (v *vmRun) warn(format string, args ...any) {
	v.Run.Emit(engine.Event{Kind: engine.Warning, Text: fmt.Sprintf(format, args...)})
}

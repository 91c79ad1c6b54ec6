package runner

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"farm/engine"
	"farm/inventory"
)

func (h fakeHost) Capabilities(context.Context) (engine.Capabilities, error) {
	return engine.Capabilities{URI: "qemu:///session"}, nil
}

func TestRunMakesLayersFirstAndUsesThemThen(t *testing.T) {
	w := newWorld()
	w.run(t, nil, "a")
	want := "base, overlay base, start, sync, freeze, layer clean, dependencies, init, sync, freeze, layer vde.0.init, main, terminate, shutdown, remove"
	if got := w.trace("a"); got != want {
		t.Errorf("first run:\n got %s\nwant %s", got, want)
	}
	w.traces = map[string][]string{}
	if got := w.run(t, nil, "a")["a"].Status; got != engine.OK {
		t.Errorf("second run: %s", got)
	}
	want = "base, overlay vde.0.init, start, main, terminate, shutdown, remove"
	if got := w.trace("a"); got != want {
		t.Errorf("second run:\n got %s\nwant %s", got, want)
	}
}

func TestRunOfOneVMDoesNotStopTheOthers(t *testing.T) {
	for _, parallel := range []int{1, 3} {
		w := newWorld()
		w.fail["b main"] = engine.Blamef(engine.TestFault, "make: *** [all] Error 2")
		got := w.run(t, func(c *Config) { c.Parallel = parallel }, "a", "b", "c")
		for id, want := range map[string]engine.Status{"a": engine.OK, "b": engine.Failed, "c": engine.OK} {
			if got[id].Status != want {
				t.Errorf("%d at once: %s is %s, want %s", parallel, id, got[id].Status, want)
			}
			if !strings.HasSuffix(w.trace(id), "main, terminate, shutdown, remove") {
				t.Errorf("%d at once: %s did not end in order: %s", parallel, id, w.trace(id))
			}
			if w.state[id] != "gone" {
				t.Errorf("%d at once: the journal says %s is %s", parallel, id, w.state[id])
			}
		}
	}
}

func TestRunWithoutDependenciesMakesNoInitLayer(t *testing.T) {
	w := newWorld()
	w.fail["a dependencies"] = engine.Blamef(engine.TestFault, "no such package")
	w.run(t, nil, "a")
	want := "base, overlay base, start, sync, freeze, layer clean, dependencies, terminate, shutdown, remove"
	if got := w.trace("a"); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestRunGoesOnWhereALayerCannotBeMade(t *testing.T) {
	w := newWorld()
	w.fail["a layer vde.0.init"] = errors.New("no space left")
	got := w.run(t, nil, "a")["a"]
	if got.Status != engine.OK || !strings.Contains(w.trace("a"), "main, terminate") {
		t.Errorf("%s: %s", got.Status, w.trace("a"))
	}
	if got := statuses(got)["create init"]; got != engine.Ignored {
		t.Errorf("create init: %s", got)
	}
}

// statuses are those of a VM's phases by name.
func statuses(vm engine.VMState) map[string]engine.Status {
	all := map[string]engine.Status{}
	for _, ph := range vm.Phases {
		all[ph.Name] = ph.Status
	}
	return all
}

func TestRunKeepsNothingMoreOnceADiskHasNoLayer(t *testing.T) {
	w := newWorld()
	w.fail["a layer clean"] = errors.New("another's")
	if got := w.run(t, nil, "a")["a"].Status; got != engine.OK || strings.Contains(w.trace("a"), "layer vde.0.init") {
		t.Errorf("%s: %s", got, w.trace("a"))
	}
}

func TestRunLeavesALayerToTheOneWhoMakesIt(t *testing.T) {
	w := newWorld()
	w.run(t, nil, "a")
	w.making = map[string]bool{}
	for key, l := range w.layers {
		if l.Name == "clean" {
			delete(w.layers, key)
			w.making[key] = true
		} else {
			delete(w.layers, key)
		}
	}
	w.traces = map[string][]string{}
	w.run(t, nil, "a")
	want := "base, overlay base, start, dependencies, init, sync, freeze, layer vde.0.init, main, terminate, shutdown, remove"
	if got := w.trace("a"); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestRunFallsBackWhereALayerCannotBeRestored(t *testing.T) {
	w := newWorld()
	w.run(t, nil, "a")
	w.traces = map[string][]string{}
	w.fail["a overlay vde.0.init"] = errors.New("damaged")
	if got := w.run(t, nil, "a")["a"]; got.Status != engine.OK || statuses(got)["restore init"] != engine.Ignored {
		t.Errorf("%s: %s, %v", got.Status, got.Why, statuses(got))
	}
	want := "base, overlay vde.0.init, overlay clean, start, dependencies, init, main, terminate, shutdown, remove"
	if got := w.trace("a"); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestRunRecordsWhatItsVMsStandOn(t *testing.T) {
	w := newWorld()
	w.run(t, nil, "a")
	got := w.stood["r1 a hv"]
	if len(got) != 3 || got["base"].Key != "base-a" || got["clean"].Parent != "base-a" || w.layers[got["init"].Key].Name != "vde.0.init" {
		t.Errorf("%+v", w.stood)
	}
}

func TestRunStartsFromTheStateThatIsGiven(t *testing.T) {
	for name, c := range map[string]struct {
		state, broken string
		want          string
		status        engine.Status
	}{
		"init, anew": {"clean", "make init", "overlay clean, start, dependencies, init, sync, freeze, layer vde.0.init, main, terminate, shutdown, remove", engine.OK},
		"init":       {"init", "", "overlay vde.0.init, start, main, terminate, shutdown, remove", engine.OK},
		"clean":      {"clean", "", "overlay clean, start, dependencies, init, main, terminate, shutdown, remove", engine.OK},
		"base":       {"base", "", "base, overlay base, start, dependencies, init, main, terminate, shutdown, remove", engine.OK},
		"not usable": {"init", "a overlay vde.0.init", "overlay vde.0.init", engine.NoVerdict},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.run(t, nil, "a")
			w.traces, w.stood = map[string][]string{}, nil
			start := Start{State: c.state}
			for _, l := range w.layers {
				if strings.HasSuffix(l.Name, c.state) {
					start.Layer = l
				}
			}
			if c.broken == "make init" {
				start.Make = map[string]engine.CachedState{"init": {Key: "k", Name: "vde.0.init"}}
			}
			w.fail[c.broken] = errors.New("damaged")
			got := w.run(t, func(cfg *Config) { cfg.Start = map[string]Start{"a": start} }, "a")["a"]
			if w.trace("a") != c.want || got.Status != c.status || w.stood != nil {
				t.Errorf("%s: %s; %v", got.Status, w.trace("a"), w.stood)
			}
		})
	}
}

func TestRunSwitchesOffAGuestThatWillNot(t *testing.T) {
	w := newWorld()
	w.fail["a shutdown"] = errors.New("no answer")
	w.run(t, nil, "a")
	if got := w.trace("a"); !strings.HasSuffix(got, "shutdown, power off, remove") {
		t.Errorf("got %s", got)
	}
}

func TestRunSkipsTerminateOfALostGuest(t *testing.T) {
	w := newWorld()
	w.fail["a main"] = fmt.Errorf("task: %w", engine.ErrUnreachable)
	got := w.run(t, func(c *Config) { c.Keep = KeepOnFailure }, "a")["a"]
	if got.Status != engine.NoVerdict || got.Fault != engine.FarmFault {
		t.Errorf("%s, fault %q", got.Status, got.Fault)
	}
	var terminate engine.PhaseState
	for _, ph := range got.Phases {
		if ph.Name == "terminate" {
			terminate = ph
		}
	}
	if terminate.Status != engine.Skipped || terminate.Text != "the guest is not reachable" {
		t.Errorf("terminate: %+v", terminate)
	}
}

func TestRunKeepsAMachineThatFailed(t *testing.T) {
	w := newWorld()
	w.fail["b main"] = engine.Blamef(engine.TestFault, "failed")
	w.run(t, func(c *Config) { c.Keep, c.KeepFor = KeepOnFailure, time.Minute }, "a", "b")
	if w.state["a"] != "gone" || w.state["b"] != "kept" {
		t.Errorf("a is %s, b is %s", w.state["a"], w.state["b"])
	}
	if got := w.trace("b"); !strings.HasSuffix(got, "main, terminate") {
		t.Errorf("a kept machine was ended: %s", got)
	}
}

func TestRunInterruptedStillTerminates(t *testing.T) {
	w := newWorld()
	ctx, cancel := context.WithCancel(context.Background())
	var status engine.Status
	w.run(t, func(c *Config) {
		tasks := c.Tasks
		c.Tasks = interrupting{tasks, cancel}
		c.Parallel = 1
		bus := c.Bus
		Run(ctx, context.Background(), *c)
		bus.State(func(s *engine.State) { status = s.Status })
		c.VMs = nil
	}, "a", "b")
	if status != engine.Interrupted {
		t.Errorf("the run is %s", status)
	}
	if got := w.trace("a"); !strings.HasSuffix(got, "terminate, shutdown, remove") || strings.Contains(got, "main") {
		t.Errorf("a: %s", got)
	}
	if got := w.trace("b"); got != "" {
		t.Errorf("b was started: %s", got)
	}
}

// interrupting cancels the run in the init phase.
type interrupting struct {
	engine.Tasks
	cancel func()
}

func (i interrupting) Run(ctx context.Context, r *engine.Run, phase, file string) error {
	if phase == "init" {
		i.cancel()
		return ctx.Err()
	}
	return i.Tasks.Run(ctx, r, phase, file)
}

func TestPrepareThatIsInterruptedIsNobodysFault(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	var state engine.VMState
	newWorld().run(t, func(c *Config) {
		c.Backends = map[string]Backend{"hv": {fakeHost{w: newWorld()}, lasting{}, "/farm"}}
		c.Prepare = func(vm inventory.VM) (engine.Preparation, error) {
			cancel()
			return engine.Preparation{VM: vm}, nil
		}
		Run(ctx, context.Background(), *c)
		c.Bus.State(func(s *engine.State) { state = *s.VMs["a"] })
		c.VMs = nil
	}, "a")
	if state.Status != engine.Interrupted || state.Fault != engine.Cancelled {
		t.Errorf("%+v", state)
	}
}

func TestFailFastStartsNothingAfterAFailure(t *testing.T) {
	w := newWorld()
	w.fail["a main"] = engine.Blamef(engine.TestFault, "make: *** [all] Error 2")
	vms := w.run(t, func(c *Config) { c.Parallel, c.FailFast = 1, true }, "a", "b", "c")
	for _, id := range []string{"b", "c"} {
		if vm := vms[id]; vm.Status != engine.Skipped || vm.Fault != engine.NoFault || !strings.Contains(vm.Why, "--fail-fast") || w.trace(id) != "" {
			t.Errorf("%s: %+v, %s", id, vm, w.trace(id))
		}
	}
	if vms["a"].Status != engine.Failed {
		t.Errorf("a: %+v", vms["a"])
	}
}

func TestPrepareHasADeadlineOfItsOwn(t *testing.T) {
	vms := newWorld().run(t, func(c *Config) {
		c.Settings = func(inventory.VM) (Settings, error) {
			return Settings{Timeout: func(phase string) time.Duration {
				if phase != "prepare" {
					t.Errorf("asked for %s", phase)
				}
				return time.Millisecond
			}}, nil
		}
		c.Backends = map[string]Backend{"hv": {fakeHost{w: newWorld()}, lasting{}, "/farm"}}
	}, "a")
	if vm := vms["a"]; vm.Status != engine.NoVerdict || !strings.Contains(vm.Why, "not done within 1ms") {
		t.Errorf("%+v", vm)
	}
}

// lasting makes base disks until it is ended.
type lasting struct{ fakeLayers }

func (lasting) Base(ctx context.Context, _ engine.Preparation) (engine.Layer, error) {
	<-ctx.Done()
	return engine.Layer{}, engine.Blame(engine.FarmFault, context.Cause(ctx))
}

func TestMaskHidesPasswordsOfURLs(t *testing.T) {
	m := &Mask{}
	m.AddValue("debian_mirror", []any{"http://joe:hunt%40er2@mirror/debian http://mirror:8080/a@b"})
	if got := m.Text("GET http://joe:hunt%40er2@mirror, as joe with hunt@er2, of mirror:8080/a@b"); got != "GET http://joe:********@mirror, as joe with ********, of mirror:8080/a@b" {
		t.Errorf("got %q", got)
	}
	if got := MaskURLs("git clone https://x:pat@host/r"); got != "git clone https://x:********@host/r" {
		t.Errorf("got %q", got)
	}
	for name, want := range map[string]bool{"db_password": true, "pass": true, "github_pat": true, "Authorization": true, "pwd": false, "bypass": false, "pass_file": false, "path": false} {
		if Secret(name) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
}

func TestMaskHidesSecretsEverywhere(t *testing.T) {
	m := &Mask{}
	m.Add("hunter22", "hunter2", "abc")
	if got := m.Text("su: hunter22 hunter2 abc"); got != "su: ******** ******** abc" {
		t.Errorf("got %q", got)
	}
}

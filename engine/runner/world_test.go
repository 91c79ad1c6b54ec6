package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"farm/engine"
	"farm/engine/dispatch"
	"farm/inventory"
	"farm/phases"
)

// world is a farm of fakes that writes down what is asked of it, by VM.
type world struct {
	mu     sync.Mutex
	traces map[string][]string
	layers map[string]engine.Layer
	fail   map[string]error // "vm phase" or "vm freeze", ...
	making map[string]bool  // layers that somebody else is making
	made   []MachineRecord
	state  map[string]string                        // of machines, by the journal
	stood  map[string]map[string]engine.CachedState // by run, VM and host
	// machines are those that earlier runs left on the host.
	machines []engine.Machine
}

func newWorld() *world {
	return &world{traces: map[string][]string{}, layers: map[string]engine.Layer{}, fail: map[string]error{}, state: map[string]string{}}
}

func (w *world) note(vm, what string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.traces[vm] = append(w.traces[vm], what)
	return w.fail[vm+" "+what]
}

func (w *world) trace(vm string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.traces[vm], ", ")
}

func (w *world) PhaseFile(_ inventory.VM, phase string) (string, []string, error) {
	return "/phases/" + phase + ".yaml", nil, nil
}

func (w *world) Inputs(_ inventory.VM, file string) ([]engine.Input, error) {
	return []engine.Input{{Name: "file " + file, Digest: "d"}}, nil
}

func (w *world) Run(_ context.Context, r *engine.Run, phase, _ string) error {
	return w.note(r.VM.ID, phase)
}

func (w *world) Dial(_ context.Context, r *engine.Run, _ string) (engine.Conn, error) {
	return fakeConn{w, r.VM.ID}, nil
}

func (w *world) Intend(m MachineRecord) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.made = append(w.made, m)
	w.state[m.VM] = "intended"
	return nil
}

func (w *world) Settle(name, state string, _ time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range w.made {
		if m.Name == name {
			w.state[m.VM] = state
		}
	}
	return nil
}

func (w *world) Stands(run, vm, host string, states map[string]engine.CachedState) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stood == nil {
		w.stood = map[string]map[string]engine.CachedState{}
	}
	w.stood[run+" "+vm+" "+host] = states
	return nil
}

type fakeConn struct {
	w  *world
	vm string
}

func (c fakeConn) String() string { return "fake" }

func (c fakeConn) Close() error { return nil }

func (c fakeConn) Exec(_ context.Context, cmd engine.Cmd) (engine.Output, error) {
	if cmd.Script == "sync" {
		return engine.Output{}, c.w.note(c.vm, "sync")
	}
	return engine.Output{}, nil
}

func (c fakeConn) Upload(context.Context, string, fs.FileMode, io.Reader) error {
	return errors.New("not expected")
}

func (c fakeConn) Download(context.Context, string, io.Writer) error {
	return errors.New("not expected")
}

func (c fakeConn) Dial(context.Context, string, string) (net.Conn, error) {
	return nil, errors.New("not expected")
}

type fakeHost struct {
	engine.Host
	w *world
}

func (h fakeHost) Name() string { return "hv" }

func (h fakeHost) Conn() engine.Conn { return fakeConn{h.w, ""} }

func (h fakeHost) Define(_ context.Context, s engine.MachineSpec) (engine.Machine, error) {
	return &fakeMachine{w: h.w, vm: s.VM.ID, name: s.Name, owner: s.Owner}, nil
}

func (h fakeHost) Machines(context.Context) ([]engine.Machine, error) { return h.w.machines, nil }

type fakeMachine struct {
	w        *world
	vm, name string
	owner    engine.Owner
}

func (m *fakeMachine) Name() string { return m.name }

func (m *fakeMachine) Owner() engine.Owner { return m.owner }

func (m *fakeMachine) Start(context.Context) error { return m.w.note(m.vm, "start") }

func (m *fakeMachine) Shutdown(context.Context) error { return m.w.note(m.vm, "shutdown") }

func (m *fakeMachine) PowerOff(context.Context) error { return m.w.note(m.vm, "power off") }

func (m *fakeMachine) State(context.Context) (engine.PowerState, error) {
	return engine.Running, nil
}

func (m *fakeMachine) SSH(context.Context) (string, error) { return "127.0.0.1:22", nil }

func (m *fakeMachine) ConsoleLog() string { return "/console.log" }

func (m *fakeMachine) SetOwner(_ context.Context, o engine.Owner) error {
	if err := m.w.fail[m.vm+" mark"]; err != nil {
		return err
	}
	m.owner = o
	return nil
}

func (m *fakeMachine) Remove(context.Context) error { return m.w.note(m.vm, "remove") }

func (m *fakeMachine) Snapshot(_ context.Context, _, _ []engine.MachineDisk, _ bool) error {
	return m.w.note(m.vm, "freeze")
}

type fakeLayers struct {
	engine.Layers
	w *world
}

func (l fakeLayers) Base(_ context.Context, p engine.Preparation) (engine.Layer, error) {
	return engine.Layer{Key: "base-" + p.VM.ID, Name: "base"}, l.w.note(p.VM.ID, "base")
}

func (l fakeLayers) Find(_ context.Context, key string) (engine.Layer, error) {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	if layer, ok := l.w.layers[key]; ok {
		return layer, nil
	}
	return engine.Layer{}, fmt.Errorf("layer: %w", engine.ErrNotExist)
}

func (l fakeLayers) Overlay(_ context.Context, layer engine.Layer, dir string) ([]engine.MachineDisk, error) {
	id := layer.VM
	if id == "" {
		id = strings.TrimPrefix(layer.Key, "base-")
	}
	return []engine.MachineDisk{{Path: dir + "/disk0.qcow2"}}, l.w.note(id, "overlay "+layer.Name)
}

func (l fakeLayers) Reserve(_ context.Context, key string) (func(), error) {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	if _, ok := l.w.layers[key]; ok || l.w.making[key] {
		return nil, fs.ErrExist
	}
	return func() {}, nil
}

func (l fakeLayers) Continue(_ context.Context, _ string, disks []engine.MachineDisk, _ string) ([]engine.MachineDisk, error) {
	return disks, nil
}

func (l fakeLayers) Freeze(_ context.Context, s engine.FreezeSpec) (engine.Layer, error) {
	layer := engine.Layer{Key: s.Key, Name: s.Name, Parent: s.Parent.Key, VM: s.VM}
	if err := l.w.note(s.VM, "layer "+s.Name); err != nil {
		return engine.Layer{}, err
	}
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	l.w.layers[s.Key] = layer
	return layer, nil
}

// go runs VMs named ids on two CPUs and returns the state.
func (w *world) run(t *testing.T, change func(*Config), ids ...string) map[string]engine.VMState {
	t.Helper()
	c := Config{
		Run:      "r1",
		Hosts:    []dispatch.Host{{Name: "hv", VCPUs: 2, Caps: engine.Capabilities{Guests: map[string]engine.GuestSupport{"x86_64": {Emulator: "q", KVM: true}}}}},
		Backends: map[string]Backend{"hv": {fakeHost{w: w}, fakeLayers{w: w}, "/farm"}},
		Place:    func(_ context.Context, vm inventory.VM, _ string) (inventory.VM, error) { return vm, nil },
		Prepare:  func(vm inventory.VM) (engine.Preparation, error) { return engine.Preparation{VM: vm}, nil },
		Settings: func(inventory.VM) (Settings, error) {
			return Settings{Project: "vde", Revision: "0", Cache: true}, nil
		},
		Plan: func(q PlanQuery) []engine.Step {
			return phases.Plan(phases.Query(q))
		},
		Tasks: w, Guest: w, Journal: w, Bus: NewBus("r1", &Mask{}), Dir: t.TempDir(), Keep: KeepNever,
	}
	for _, id := range ids {
		c.VMs = append(c.VMs, inventory.VM{ID: id, Arch: "x86_64", Def: inventory.Definition{VCPUs: 1}})
	}
	if change != nil {
		change(&c)
	}
	ctx := context.Background()
	Run(ctx, ctx, c)
	out := map[string]engine.VMState{}
	c.Bus.State(func(s *engine.State) {
		for id, vm := range s.VMs {
			out[id] = *vm
		}
	})
	return out
}

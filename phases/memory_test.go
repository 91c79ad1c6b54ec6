package phases

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"farm/engine"
	"farm/engine/enginetest"
	"farm/inventory"
)

// rig is a machine, its layers and its guest; it writes down what is asked of them.
type rig struct {
	engine.Machine
	trace []string
	fail  map[string]error
	hangs bool // the guest does not answer until the machine is started
	guest *enginetest.Conn
	spec  engine.FreezeSpec
	warns []string
}

func (g *rig) note(what string) error {
	g.trace = append(g.trace, what)
	return g.fail[what]
}

// rigHost is the hypervisor of a rig.
type rigHost struct {
	engine.Host
	g *rig
}

// rigLayers are the layers of a rig's hypervisor.
type rigLayers struct {
	engine.Layers
	g *rig
}

func (h rigHost) Conn() engine.Conn { return h.g.guest }

func (g *rig) Start(context.Context) error { g.hangs = false; return g.note("start") }

func (g *rig) PowerOff(context.Context) error { return g.note("power off") }

func (g *rig) SSH(context.Context) (string, error) { return "127.0.0.1:22", nil }

func (g *rig) ConsoleLog() string { return "/console.log" }

func (g *rig) State(context.Context) (engine.PowerState, error) {
	if g.hangs {
		return engine.Crashed, nil
	}
	return engine.Running, nil
}

func (g *rig) Snapshot(context.Context, []engine.MachineDisk, []engine.MachineDisk, bool) error {
	return g.note("snapshot")
}

func (g *rig) Remember(context.Context, []engine.MachineDisk, []engine.MachineDisk, string) error {
	return g.note("remember")
}

func (g *rig) Memory(_ context.Context, file string) (engine.Memory, error) {
	return engine.Memory{Path: file, Bytes: 1}, g.note("memory")
}

func (g *rig) Resume(context.Context, engine.Memory) error { return g.note("resume") }

func (g *rig) Dial(context.Context, *engine.Run, string) (engine.Conn, error) {
	if g.hangs {
		return nil, errors.New("no banner")
	}
	return g.guest, g.note("dial")
}

func (l rigLayers) Overlay(context.Context, engine.Layer, string) ([]engine.MachineDisk, error) {
	return []engine.MachineDisk{{Path: "/m/disk0.qcow2"}}, l.g.note("overlay")
}

func (l rigLayers) Reserve(context.Context, string) (func(), error) { return func() {}, nil }

func (l rigLayers) Continue(context.Context, string, []engine.MachineDisk, string) ([]engine.MachineDisk, error) {
	return []engine.MachineDisk{{Path: "/m/next0.qcow2"}}, nil
}

func (l rigLayers) Freeze(_ context.Context, s engine.FreezeSpec) (engine.Layer, error) {
	l.g.spec = s
	return engine.Layer{Key: s.Key, Parent: "base", Memory: s.Memory}, l.g.note("layer")
}

// newRig is a rig with a run that is to keep and use memories.
func newRig(memory engine.Memorize, fail map[string]error) (*rig, *engine.Run) {
	g := &rig{fail: fail, guest: &enginetest.Conn{}}
	clock := func(cmd engine.Cmd) (engine.Output, error) {
		g.note("correct")
		return engine.Output{Stdout: fmt.Appendf(nil, "clock %d\n", time.Now().Unix())}, nil
	}
	for _, script := range []string{clockScript + renewScript + tellScript, clockScript + tellScript} {
		g.guest.OnFunc(enginetest.Key(engine.Cmd{Argv: []string{"/bin/sh", "-c", asRootScript, "sh", script}}), clock)
	}
	for _, script := range []string{"true", "sync", awaitCloudInit} {
		g.guest.On(script, "", 0)
	}
	r := &engine.Run{
		Host: rigHost{g: g}, Machine: g, Layers: rigLayers{g: g}, Guest: g, Memory: memory, Scale: 1, HostDir: "/m",
		Layer:  engine.Layer{Key: "k", Name: "vde.0.init", Parent: "base", Memory: &engine.Memory{Path: "/l/memory"}},
		Disks:  []engine.MachineDisk{{Path: "/m/disk0.qcow2"}},
		States: map[string]engine.CachedState{"init": {Key: "i", Name: "vde.0.init"}, "clean": {Key: "c", Name: "clean"}},
		Emit: func(e engine.Event) {
			if e.Kind == engine.Warning {
				g.warns = append(g.warns, e.Text)
			}
		},
	}
	return g, r
}

func TestGuestResumesOrBoots(t *testing.T) {
	for name, c := range map[string]struct {
		memory engine.Memorize
		change func(g *rig, r *engine.Run)
		fail   map[string]error
		trace  string
		said   string
	}{
		"resumes":      {memory: engine.AutoMemory, trace: "resume dial correct", said: `resumed from the memory of layer "vde.0.init"`},
		"not wished":   {trace: "start dial"},
		"no cached":    {memory: engine.AllMemory, change: func(_ *rig, r *engine.Run) { r.Layer = engine.Layer{} }, trace: "start dial"},
		"none is kept": {memory: engine.AllMemory, change: func(_ *rig, r *engine.Run) { r.Layer.Memory = nil }, trace: "start dial", said: "booted from the disks of layer \"vde.0.init\": no memory"},
		"unfit": {memory: engine.AllMemory, fail: map[string]error{"resume": fmt.Errorf("%w: QEMU was 7, is 8", engine.ErrUnfit)},
			trace: "resume start dial", said: "QEMU was 7, is 8"},
		"refused": {memory: engine.AllMemory, fail: map[string]error{"resume": errors.New("no such device")},
			trace: "resume power off overlay start dial", said: "no such device"},
		"silent": {memory: engine.AllMemory, change: func(g *rig, _ *engine.Run) { g.hangs = true },
			trace: "resume power off overlay start dial", said: "guest not reachable"},
	} {
		t.Run(name, func(t *testing.T) {
			g, r := newRig(c.memory, c.fail)
			g.guest.On("tail -c 4096 /console.log", "", 0)
			if c.change != nil {
				c.change(g, r)
			}
			if err := begin(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(g.trace, " "); got != c.trace {
				t.Errorf("did %q, want %q", got, c.trace)
			}
			if c.said == "" && r.Said != "" || !strings.Contains(r.Said, c.said) || strings.Contains(r.Said, "\n") {
				t.Errorf("said %q", r.Said)
			}
			if r.Conn == nil {
				t.Error("the guest is not reached")
			}
		})
	}
}

func TestLayerIsMadeWithTheMemoryWhereItIsWished(t *testing.T) {
	for name, c := range map[string]struct {
		memory engine.Memorize
		phase  string
		change func(r *engine.Run)
		fail   map[string]error
		trace  string
		kept   bool
		warns  int
	}{
		"all, clean":      {memory: engine.AllMemory, phase: CreateClean, trace: "remember memory layer dial correct", kept: true},
		"auto, clean":     {memory: engine.AutoMemory, phase: CreateClean, trace: "snapshot layer"},
		"auto, slow boot": {memory: engine.AutoMemory, phase: CreateInit, change: func(r *engine.Run) { r.Slow = true }, trace: "remember memory layer dial correct", kept: true},
		"auto, fast boot": {memory: engine.AutoMemory, phase: CreateInit, trace: "snapshot layer"},
		"not wished":      {phase: CreateInit, trace: "snapshot layer"},
		"cannot be saved": {memory: engine.AllMemory, phase: CreateInit, fail: map[string]error{"remember": errors.New("a share is mounted")},
			trace: "remember snapshot layer dial correct", warns: 1},
		"unknown format": {memory: engine.AllMemory, phase: CreateInit, fail: map[string]error{"memory": errors.New("version 3")},
			trace: "remember memory layer dial correct", warns: 1},
		"address of its own": {memory: engine.AllMemory, phase: CreateInit, trace: "snapshot layer", warns: 1, change: func(r *engine.Run) {
			r.VM.Def.Net = []inventory.Net{{Type: "user"}, {Type: "bridge", Source: "br0"}}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			g, r := newRig(c.memory, c.fail)
			r.Conn = openGuest{g.guest}
			if c.change != nil {
				c.change(r)
			}
			if err := (create{c.phase}).Run(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(g.trace, " "); got != c.trace {
				t.Errorf("did %q, want %q", got, c.trace)
			}
			if (g.spec.Memory != nil) != c.kept || len(g.warns) != c.warns {
				t.Errorf("memory %v, warnings %q", g.spec.Memory, g.warns)
			}
			if r.Conn == nil || r.Disks[0].Path != "/m/next0.qcow2" {
				t.Errorf("guest %v, disks %v", r.Conn, r.Disks)
			}
		})
	}
}

func TestGuestThatIsLostWithItsMemoryIsBooted(t *testing.T) {
	g, r := newRig(engine.AllMemory, nil)
	r.Conn, g.hangs = openGuest{g.guest}, true
	g.guest.On("tail -c 4096 /console.log", "", 0)
	if err := (create{CreateInit}).Run(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(g.trace, " "); got != "remember memory layer power off start dial" {
		t.Errorf("did %q", got)
	}
	if len(g.warns) != 1 || !strings.Contains(g.warns[0], "is booted") {
		t.Errorf("warnings %q", g.warns)
	}
}

func TestClockThatIsOffIsSeen(t *testing.T) {
	at := func(ms int64) time.Time { return time.UnixMilli(ms) }
	for _, c := range []struct {
		clock        string
		begun, ended int64
		want         float64
	}{
		{"100", 100_500, 100_900, 0}, {"100", 101_100, 101_200, 0.1}, {"100", 103_000, 103_100, 2}, {"105", 103_000, 104_000, 1},
	} {
		if got, err := behind(c.clock, at(c.begun), at(c.ended)); err != nil || got < c.want-0.01 || got > c.want+0.01 {
			t.Errorf("%s between %d and %d: %v, %v", c.clock, c.begun, c.ended, got, err)
		}
	}
	if _, err := behind("", at(0), at(1)); err == nil {
		t.Error("no clock at all passes")
	}
}

// openGuest is a guest whose closed connection does not close the next.
type openGuest struct{ engine.Conn }

func (openGuest) Close() error { return nil }

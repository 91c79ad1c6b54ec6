package runner

import (
	"context"
	"strings"
	"testing"
	"time"

	"farm/engine"
	"farm/inventory"
)

// ours marks a machine that the runs of these tests may take over.
var ours = engine.Owner{
	Run: "r0", VM: "a", User: "me@here", Keep: true, Project: "vde", Inventory: "/vde/farm.yaml", Home: "/home/me/farm",
}

// attachTo runs VM a without startup on a host with a machine for each of owners.
func attachTo(t *testing.T, owners ...engine.Owner) (*world, engine.VMState, string) {
	t.Helper()
	w := newWorld()
	for i, o := range owners {
		name := "m" + string(rune('0'+i))
		o.Dir = "/farm/machines/" + name
		w.machines = append(w.machines, &fakeMachine{w: w, vm: "a", name: name, owner: o})
	}
	said := &said{}
	got := w.run(t, func(c *Config) {
		c.User, c.Inventory, c.Home = ours.User, ours.Inventory, ours.Home
		c.Bus = NewBus("r1", &Mask{}, said)
		c.Settings = func(inventory.VM) (Settings, error) {
			return Settings{Project: "vde", Cache: true, Allowed: map[string]bool{"main": true, "shutdown": true}}, nil
		}
		t.Cleanup(func() { c.Bus.Close() })
	}, "a")["a"]
	return w, got, said.text.String()
}

// said is what a run tells.
type said struct{ text strings.Builder }

func (s *said) Event(e engine.Event, _ *engine.State) error {
	s.text.WriteString(e.Text + "\n")
	return nil
}
func (s *said) Close() error { return nil }

func TestAttachTakesTheMachineOfItsProject(t *testing.T) {
	other := ours
	other.Project = "mate"
	w, got, said := attachTo(t, ours, other)
	if want := "base, main, shutdown, remove"; got.Status != engine.OK || w.trace("a") != want {
		t.Errorf("%s %s: got %s, want %s", got.Status, got.Why, w.trace("a"), want)
	}
	if !strings.Contains(said, `works with "m0", which run r0 left running`) {
		t.Errorf("it said %s", said)
	}
	if len(w.made) != 0 {
		t.Errorf("another machine was announced: %+v", w.made)
	}
}

func TestAttachLeavesOthersMachinesAlone(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*engine.Owner)
		want   string
	}{
		"somebody else's":     {func(o *engine.Owner) { o.User = "you@there" }, "it is of you@there"},
		"another project":     {func(o *engine.Owner) { o.Project = "mate" }, `it is of project "mate", not "vde"`},
		"another inventory":   {func(o *engine.Owner) { o.Inventory = "/mate/farm.yaml" }, "made for /mate/farm.yaml"},
		"another home":        {func(o *engine.Owner) { o.Home = "/tmp/b" }, "the records in /tmp/b have it"},
		"without what it was": {func(o *engine.Owner) { o.Project, o.Inventory, o.Home = "", "", "" }, "`farm down a`"},
	} {
		t.Run(name, func(t *testing.T) {
			o := ours
			tc.change(&o)
			w, got, _ := attachTo(t, o)
			if got.Status != engine.NoVerdict || got.Fault != engine.FarmFault || !strings.Contains(got.Why, `"m0" is not taken: `) || !strings.Contains(got.Why, tc.want) {
				t.Errorf("%s, fault %q: %s", got.Status, got.Fault, got.Why)
			}
			if w.trace("a") != "base" {
				t.Errorf("the machine was touched: %s", w.trace("a"))
			}
		})
	}
}

func TestAttachWithoutAMachineFails(t *testing.T) {
	unkept, otherVM := ours, ours
	unkept.Keep, otherVM.VM = false, "b"
	w, got, _ := attachTo(t, unkept, otherVM)
	if got.Status != engine.NoVerdict || got.Fault != engine.FarmFault || !strings.Contains(got.Why, "no running machine of a") || strings.Contains(w.trace("a"), "main") {
		t.Errorf("%s, fault %q: %s: %s", got.Status, got.Fault, got.Why, w.trace("a"))
	}
}

func TestRunsMarkTellsWhatAMachineIsFor(t *testing.T) {
	w := newWorld()
	var made *fakeMachine
	w.run(t, func(c *Config) {
		c.User, c.Inventory, c.Home = ours.User, ours.Inventory, ours.Home
		c.Keep, c.KeepFor = KeepAlways, time.Minute
		b := c.Backends["hv"]
		b.Host = noting{b.Host, func(m *fakeMachine) { made = m }}
		c.Backends["hv"] = b
	}, "a")
	if made == nil || !made.owner.Keep || foreign(made.owner, ours) != "" {
		t.Errorf("made %+v", made)
	}
}

// noting tells of the machines that are made.
type noting struct {
	engine.Host
	tell func(*fakeMachine)
}

func (n noting) Define(ctx context.Context, s engine.MachineSpec) (engine.Machine, error) {
	m, err := n.Host.Define(ctx, s)
	n.tell(m.(*fakeMachine))
	return m, err
}

func TestRunTellsWhereAKeptMachineCouldNotBeMarked(t *testing.T) {
	w, said := newWorld(), &said{}
	w.fail["a mark"] = engine.ErrUnreachable
	var bus *Bus
	w.run(t, func(c *Config) {
		c.Keep, c.KeepFor, c.Bus = KeepAlways, time.Minute, NewBus("r1", &Mask{}, said)
		bus = c.Bus
	}, "a")
	if err := bus.Close(); err != nil {
		t.Fatal(err)
	}
	if w.state["a"] != "unmarked" {
		t.Errorf("the journal says %s", w.state["a"])
	}
	if text := said.text.String(); strings.Contains(text, "kept until") || !strings.Contains(text, "could not be marked as kept: unreachable") {
		t.Errorf("it said %s", text)
	}
}

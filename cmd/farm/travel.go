package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"farm/engine"
	"farm/engine/dispatch"
	"farm/engine/runner"
	"farm/inventory"
	"farm/phases"
)

// trip is a session that takes up one VM of an earlier run.
type trip struct {
	*session
	past
	phase string
	point point
	whole bool // nothing was made for the VM: its run is made again
}

// travel opens the inventory and the hypervisors of a run for one of its VMs, and finds the state before a phase.
func (s *session) travel(ctx context.Context, p past, inventory, phase string) (*trip, error) {
	t := &trip{session: s, past: p, phase: phase}
	if err := t.readOne(ctx, inventory); err != nil {
		return nil, err
	}
	if err := s.openHypervisors(ctx); err != nil {
		return nil, err
	}
	if err := t.findPoint(ctx); err != nil {
		closeAll(s.hosts)
		return nil, err
	}
	return t, nil
}

// readOne reads the inventory and leaves the one VM.
func (t *trip) readOne(ctx context.Context, path string) error {
	err := t.read(ctx, path)
	if err != nil && !errors.Is(err, errNothingSelected) {
		return err
	}
	for _, vm := range t.vms {
		if vm.ID == t.vm {
			t.vms = []inventory.VM{vm}
			return nil
		}
	}
	if t.told == nil {
		return err
	}
	return fmt.Errorf("%w: run %s had %s, which %s does not ask for any more; put it back there", errNothingSelected, t.run.ID, t.vm, path)
}

// findPoint finds the state before the phase, on the host that had it.
func (t *trip) findPoint(ctx context.Context) error {
	t.guestTasks = t.tasks()
	if t.told != nil && len(t.states) == 0 {
		if t.phase != phases.Startup {
			return &usageError{fmt.Errorf("%s did not come to %s in run %s: %s", t.vm, t.phase, t.run.ID, t.told.Why)}
		}
		t.whole = true
		return nil
	}
	if t.told == nil {
		if err := t.placeNow(); err != nil {
			return err
		}
	}
	h, err := t.hostNamed(t.host)
	if err != nil {
		return err
	}
	vm, err := t.inv.Place(ctx, t.vms[0], h.Name, t.expand)
	if err != nil {
		return err
	}
	find, err := t.search(ctx, h, vm)
	if err != nil {
		return err
	}
	if t.point, err = find.point(ctx, t.phase); err != nil {
		return err
	}
	t.vms[0].Host = h.Name // where the layer is
	for _, note := range t.point.notes {
		fmt.Fprintln(t.err, "farm: "+note)
	}
	if t.told != nil {
		fmt.Fprintln(t.err, "farm: "+t.point.describe(find, t.phase))
	}
	return nil
}

// placeNow finds the host that a VM of no run would run on.
func (t *trip) placeNow() error {
	hosts := make([]dispatch.Host, len(t.hosts))
	for i, h := range t.hosts {
		hosts[i] = h.forDispatch()
	}
	q := dispatch.New(hosts)
	for _, no := range q.Add(t.vms...) {
		return engine.Blamef(engine.FarmFault, "%s", no)
	}
	at, ok := q.Next()
	if !ok {
		return engine.Blamef(engine.FarmFault, "no hypervisor has room for %s", t.vm)
	}
	t.host = at.Host
	return nil
}

// hostNamed is the open hypervisor on which the VM was.
func (t *trip) hostNamed(name string) (*hypervisor, error) {
	var names []string
	for _, h := range t.hosts {
		if h.Name == name && h.err != nil {
			return nil, engine.Blamef(engine.FarmFault, "run %s had %s on %q, which cannot be used: %w", t.run.ID, t.vm, name, h.err)
		} else if h.Name == name {
			return h, nil
		}
		names = append(names, h.Name)
	}
	return nil, engine.Blamef(engine.UserFault, "run %s had %s on %q, which is no hypervisor of %s any more (there is %s); put it back there, or run %s anew",
		t.run.ID, t.vm, name, t.path, strings.Join(names, ", "), t.vm)
}

// search works out what the states of the VM are now.
func (t *trip) search(ctx context.Context, h *hypervisor, vm inventory.VM) (*search, error) {
	settings, err := settingsOf(t.inv, vm)
	if err != nil {
		return nil, err
	}
	prep, err := t.preparation(vm)
	if err != nil {
		return nil, err
	}
	prep.Emit = func(engine.Event) {}
	key, inputs, baseErr := h.layers.BaseKey(ctx, prep)
	now, err := runner.States(t.guestTasks, vm, key, settings)
	if err != nil {
		return nil, err
	}
	now["base"] = engine.CachedState{Key: key, Name: "base", Inputs: inputs}
	if t.told == nil {
		t.states = now
	}
	return &search{past: t.past, now: now, baseErr: baseErr, find: h.layers.Find, again: fmt.Sprintf(t.again(), quote(t.vm)), inputs: func(phase string) ([]engine.Input, bool, error) {
		file, _, err := t.guestTasks.PhaseFile(vm, phase)
		if err != nil || file == "" {
			return nil, false, err
		}
		in, err := t.guestTasks.Inputs(vm, file)
		return in, true, err
	}}, nil
}

// beginRun begins a run from the point and returns its configuration.
func (t *trip) beginRun() (runner.Config, error) {
	if err := t.begin(); err != nil {
		return runner.Config{}, err
	}
	c, err := t.config()
	if err != nil || t.whole {
		return c, err
	}
	// What it stands on is what the run made, whatever the inventory says by now.
	if err := t.store.Stands(t.id, t.vm, t.host, t.states); err != nil {
		return c, err
	}
	c.Start = map[string]runner.Start{t.vm: t.point.start}
	settings := c.Settings
	c.Settings = func(vm inventory.VM) (runner.Settings, error) {
		s, err := settings(vm)
		s.Allowed = t.allow(s.Allowed)
		return s, err
	}
	return c, nil
}

// allow has the phases run that lead to the point and the one behind it, whatever allowed_phases says; on a visit, all.
func (t *trip) allow(allowed map[string]bool) map[string]bool {
	if allowed == nil || t.visit {
		return nil
	}
	allowed = maps.Clone(allowed)
	for _, name := range append([]string{phases.RestoreInit, phases.RestoreClean, phases.Startup, t.phase}, t.point.first...) {
		allowed[name] = true
	}
	return allowed
}

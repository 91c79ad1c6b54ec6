package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"farm/engine"
	"farm/engine/dispatch"
	"farm/engine/runner"
	"farm/inventory"
	"farm/phases"
)

func newPlanCommand(a *app) *cobra.Command {
	f := &runFlags{}
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "plan INVENTORY",
		Short: "Show what a run would do: hosts, phases, and which kept states it would use",
		Long: "Show for every VM the hypervisor that it would run on, the phases that would run there, and of each state whether a\n" +
			"kept one would be used; where not, the first thing that moved. Nothing is made or started. The hypervisors are asked\n" +
			"what they have. The exit status is 2 where a VM has no hypervisor.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.plan(cmd.Context(), args[0], f, asJSON) },
	}
	f.add(cmd)
	f.addLimit(cmd)
	fl := cmd.Flags()
	fl.StringSliceVarP(&f.tags, "tags", "t", nil, "only tasks with these tags")
	fl.StringSliceVar(&f.skipTags, "skip-tags", nil, "no tasks with these tags")
	fl.StringSliceVar(&f.refresh, "refresh", nil, "run `phase` anew though its outcome is kept: startup, dependencies or init")
	fl.BoolVar(&asJSON, "json", false, "print a JSON array")
	return cmd
}

// planned is what a run would do with a VM.
type planned struct {
	VM     string         `json:"vm"`
	Host   string         `json:"host,omitempty"`
	Why    string         `json:"why"` // of the host, or why there is none
	States []plannedState `json:"states"`
	Phases []string       `json:"phases"`
}

// plannedState is a state that may be kept of a VM.
type plannedState struct {
	State string    `json:"state"` // base, clean or init
	Hit   bool      `json:"hit"`
	Layer string    `json:"layer,omitempty"`
	Why   string    `json:"why,omitempty"` // it is a miss
	Moved *movement `json:"moved,omitempty"`
}

// plan shows what a run of an inventory would do.
func (a *app) plan(ctx context.Context, path string, f *runFlags, asJSON bool) error {
	s := &session{app: a, flags: f, mask: &runner.Mask{}}
	refresh, err := refreshed(f.refresh)
	if err != nil {
		return err
	}
	if err := s.read(ctx, path); err != nil {
		return err
	}
	if err := s.openHypervisors(ctx); err != nil {
		return err
	}
	defer closeAll(s.hosts)
	s.guestTasks = s.tasks()
	p := &planner{session: s, refresh: refresh, stored: map[string][]engine.Layer{}}
	list, err := p.all(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		err = a.printJSON(list)
	} else {
		for _, vm := range list {
			vm.print(a)
		}
	}
	if err == nil && slices.ContainsFunc(list, func(vm planned) bool { return vm.Host == "" }) {
		return &exitError{exitNoVerdict}
	}
	return err
}

func (vm planned) print(a *app) {
	host := vm.Host
	if host == "" {
		host = "no hypervisor"
	}
	fmt.Fprintf(a.out, "%s: %s (%s)\n", vm.VM, host, vm.Why)
	for _, s := range vm.States {
		switch {
		case s.Hit:
			fmt.Fprintf(a.out, "  %-6s hit   %.12s\n", s.State, s.Layer)
		case s.Moved != nil:
			fmt.Fprintf(a.out, "  %-6s miss  %s\n", s.State, s.Moved)
		default:
			fmt.Fprintf(a.out, "  %-6s miss  %s\n", s.State, s.Why)
		}
	}
	if len(vm.Phases) > 0 {
		fmt.Fprintf(a.out, "  phases %s\n", strings.Join(vm.Phases, ", "))
	}
}

// planner plans the VMs of a session.
type planner struct {
	*session
	refresh map[string]bool
	stored  map[string][]engine.Layer // by host
}

// all plans every VM, in the order in which they would start.
func (p *planner) all(ctx context.Context) ([]planned, error) {
	hosts := make([]dispatch.Host, len(p.hosts))
	for i, h := range p.hosts {
		hosts[i] = h.forDispatch()
	}
	list := []planned{}
	q := dispatch.New(hosts)
	for _, no := range q.Add(p.vms...) {
		list = append(list, planned{VM: no.VM.ID, Why: no.Why(), States: []plannedState{}, Phases: []string{}})
	}
	for {
		var round []dispatch.Placement
		for at, ok := q.Next(); ok; at, ok = q.Next() {
			round = append(round, at)
		}
		if len(round) == 0 {
			return list, nil
		}
		for _, at := range round {
			one, err := p.one(ctx, at)
			if err != nil {
				return nil, err
			}
			list = append(list, one)
			q.Done(at.VM.ID)
		}
	}
}

func (p *planner) one(ctx context.Context, at dispatch.Placement) (planned, error) {
	out := planned{VM: at.VM.ID, Host: at.Host, Why: at.Why, States: []plannedState{}, Phases: []string{}}
	vm, err := p.inv.Place(ctx, at.VM, at.Host, p.expand)
	if err != nil {
		return out, err
	}
	settings, err := settingsOf(p.inv, vm)
	if err != nil {
		return out, err
	}
	prep, err := p.preparation(vm)
	if err != nil {
		return out, err
	}
	prep.Emit = func(engine.Event) {}
	var h *hypervisor
	for _, each := range p.hosts {
		if each.Name == at.Host {
			h = each
		}
	}
	layers, ok := p.stored[h.Name]
	if !ok {
		if layers, err = h.layers.List(ctx); err != nil {
			return out, err
		}
		p.stored[h.Name] = layers
	}
	key, inputs, err := h.layers.BaseKey(ctx, prep)
	if err != nil {
		return out, err
	}
	base := judge(engine.CachedState{Key: key, Name: "base", Inputs: inputs}, vm, nil, layers)
	out.States = append(out.States, base)
	states, err := runner.States(p.guestTasks, vm, key, settings)
	if err != nil {
		return out, err
	}
	q := phases.Query{Allowed: settings.Allowed, CanCache: settings.Cache && vm.Def.DiskMode != "persistent", Timeout: settings.Timeout}
	for _, name := range []string{"clean", "init"} {
		state := runner.Dated(name, states[name], settings, p.refresh, time.Now())
		if state.Key == "" && state.Why == "" {
			continue // snapshot_type: none
		}
		judged := judge(state, vm, inputs, layers)
		judged.State = name
		out.States = append(out.States, judged)
		q.Init, q.Clean = q.Init || name == "init" && judged.Hit, q.Clean || name == "clean" && judged.Hit
	}
	for _, step := range phases.Plan(q) {
		name := step.Phase.Name()
		if file, _, err := p.guestTasks.PhaseFile(vm, name); isProject(name) && err == nil && file == "" {
			continue // it has no file
		}
		out.Phases = append(out.Phases, name)
	}
	return out, nil
}

// isProject reports whether a phase runs a file of the project.
func isProject(phase string) bool {
	switch phase {
	case phases.Dependencies, phases.Init, phases.Main, phases.Terminate:
		return true
	}
	return false
}

// judge says whether a state is kept, without a look at its files; base are the inputs of what it
// stands on.
func judge(s engine.CachedState, vm inventory.VM, base []engine.Input, layers []engine.Layer) plannedState {
	out := plannedState{State: kind(s.Name), Why: s.Why}
	if s.Key == "" {
		out.Why = "it is not kept: " + s.Why
		return out
	}
	byKey := map[string]engine.Layer{}
	for _, l := range layers {
		byKey[l.Key] = l
	}
	if l, ok := byKey[s.Key]; ok {
		switch {
		case l.Created.Before(s.NotBefore):
			out.Why = "the layer was made at " + l.Created.Local().Format(time.DateTime) + ", and is to be made anew"
		case !stands(l, byKey):
			out.Why = "the layer below it was made anew"
		default:
			out.Hit, out.Layer = true, l.Key
		}
		return out
	}
	out.Why = "none is kept yet"
	w := wanted{name: s.Name, vm: vm.ID, parent: s.Parent, inputs: s.Inputs, base: base}
	if from := w.nearest(layers); from != nil {
		if m, ok := w.moved(*from, layers); ok {
			out.Why, out.Moved = m.String(), &m
		}
	}
	return out
}

// stands reports whether a layer is over the makings of the layers that it was made over.
func stands(l engine.Layer, byKey map[string]engine.Layer) bool {
	for range 32 {
		if l.Parent == "" {
			return true
		}
		below, ok := byKey[l.Parent]
		if !ok || below.ID != l.ParentID {
			return false
		}
		l = below
	}
	return false
}

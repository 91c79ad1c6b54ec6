package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"farm/engine"
	"farm/engine/store"
	"farm/inventory/source"
	"farm/phases"
)

// past is a VM in an earlier run.
type past struct {
	run    store.Run
	vm     string // id
	host   string // "" = it was not placed, or an earlier farm made the run
	states map[string]engine.CachedState
	told   *engine.VMState // as the events tell
}

// lastRun is what a user calls the last run that had a VM.
const lastRun = "last"

// pastOf finds a VM in the run with an id, or in the last one that had it.
func pastOf(ctx context.Context, s *store.Store, run, vm string) (past, error) {
	all, err := s.Runs(ctx, 0)
	if err != nil {
		return past{}, err
	}
	runs := slices.DeleteFunc(all, func(r store.Run) bool { return r.Request != nil && r.Request.Visit })
	for _, r := range runs {
		if run != lastRun && r.ID != run {
			continue
		}
		ids, err := s.VMs(ctx, r.ID)
		if err != nil {
			return past{}, err
		}
		if slices.Contains(ids, vm) {
			return readPast(ctx, s, r, vm)
		}
		if r.ID == run {
			break
		}
	}
	if run != lastRun && !slices.ContainsFunc(runs, func(r store.Run) bool { return r.ID == run }) {
		return past{}, &usageError{fmt.Errorf("no run %q (%s)", run, knownRunIDs(runs))}
	}
	if run == lastRun {
		run = ""
	}
	return past{}, noSuchVM(ctx, s, vm, run, runs)
}

// knownRunIDs names the newest runs.
func knownRunIDs(runs []store.Run) string {
	if len(runs) == 0 {
		return "no run has been made yet"
	}
	var ids []string
	for _, r := range runs[:min(len(runs), 5)] {
		ids = append(ids, r.ID)
	}
	return lastRun + ", or one such as " + strings.Join(ids, ", ")
}

func readPast(ctx context.Context, s *store.Store, r store.Run, vm string) (past, error) {
	p := past{run: r, vm: vm}
	events, err := s.Events(r.ID)
	if err != nil {
		return p, err
	}
	var state engine.State
	for _, e := range events {
		state.Apply(e)
	}
	p.told = state.VMs[vm]
	if p.told == nil {
		return p, fmt.Errorf("run %s has no events of %s", r.ID, vm)
	}
	p.host, p.states, err = s.States(ctx, r.ID, vm)
	return p, err
}

// failedIn is the phase that decided about the VM, or in which it is known to have been cut off; "" if there is none.
func (p past) failedIn() string {
	for _, ph := range p.told.Phases {
		switch ph.Status {
		case engine.OK, engine.Skipped, engine.Ignored:
		default:
			return ph.Name
		}
	}
	return p.told.Phase
}

// restored is the state that the VM was booted from.
func (p past) restored() string {
	for _, ph := range p.told.Phases {
		if state, ok := strings.CutPrefix(ph.Name, "restore "); ok && ph.Status == engine.OK {
			return state
		}
	}
	return "base"
}

// enterable are the phases before which there is a guest to enter.
var enterable = []string{phases.Dependencies, phases.Init, phases.Main, phases.Terminate, phases.Shutdown}

// resumable are the phases from which a run can be taken up.
var resumable = append([]string{phases.Startup}, enterable...)

// phaseOf is the phase that option asks for, or the one in which the VM failed.
func (p past) phaseOf(option, phase string, known []string) (string, error) {
	if phase != "" {
		return phase, checkPoint(option, phase, known)
	}
	failed := p.failedIn()
	switch {
	case failed == phases.Prepare || failed == "" && p.told.Status == engine.NoVerdict:
		failed = phases.Startup // nothing was made for it
	case failed == "":
		how := "did not fail"
		if p.told.Status == "" {
			how = "did not come to its end"
		}
		return "", &usageError{fmt.Errorf("%s %s in run %s: say by %s before which phase, of %s", p.vm, how, p.run.ID, option, strings.Join(known, ", "))}
	}
	if !slices.Contains(known, failed) {
		return "", &usageError{fmt.Errorf("%s failed in %s in run %s, before which there is no guest: say by %s before which phase, of %s", p.vm, failed, p.run.ID, option, strings.Join(known, ", "))}
	}
	return failed, nil
}

// checkPoint refuses a phase that nothing can begin before.
func checkPoint(option, phase string, known []string) error {
	if slices.Contains(known, phase) {
		return nil
	}
	return &usageError{fmt.Errorf("%s is %q, not one of %s%s", option, phase, strings.Join(known, ", "), bracket(source.DidYouMean(phase, known)))}
}

// options are those of the run, for the same VM alone.
func (p past) options() (*runFlags, error) {
	r := p.run.Request
	if r == nil {
		return nil, &usageError{fmt.Errorf("run %s was made by a farm that did not record its options: farm run %s -l %s makes it again", p.run.ID, quote(p.run.Inventory), quote(p.vm))}
	}
	return &runFlags{inventoryFlags: inventoryFlags{vars: r.Vars, extra: r.Extra, limit: p.vm}, tags: r.Tags, skipTags: r.SkipTags, check: r.Check}, nil
}

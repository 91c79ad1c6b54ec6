package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"farm/engine"
	"farm/engine/runner"
	"farm/phases"
)

// point is where a VM's life is taken up.
type point struct {
	start runner.Start
	// first are the phases that run before it is reached, as no layer holds what they do.
	first []string
	notes []string // what is to be known of it, for people
}

// origins are the states that come before a phase, the nearest first.
var origins = map[string][]string{
	phases.Dependencies: {"clean", "base"},
	phases.Init:         {"clean", "base"},
	phases.Main:         {"init", "clean", "base"},
	phases.Terminate:    {"init", "clean", "base"},
	phases.Shutdown:     {"init", "clean", "base"},
}

// follows are the project's phases that come after a state, in their order.
var follows = map[string][]string{
	"base":  {phases.Dependencies, phases.Init, phases.Main, phases.Terminate},
	"clean": {phases.Dependencies, phases.Init, phases.Main, phases.Terminate},
	"init":  {phases.Main, phases.Terminate},
}

// search is what it takes to find the state before a phase.
type search struct {
	past
	// now are the states as they would be made now; base has no inputs where baseErr says why.
	now     map[string]engine.CachedState
	baseErr error
	// inputs are those of a phase's file now; ok is false where the VM has no file for it.
	inputs func(phase string) (in []engine.Input, ok bool, err error)
	find   func(ctx context.Context, key string) (engine.Layer, error)
	again  string // command that runs the VM anew
}

// point finds the nearest state before a phase that is kept. Where phases have to run to come from it to the
// phase, they must be what they were in the run: else there is no way back.
func (s *search) point(ctx context.Context, phase string) (point, error) {
	var p point
	order := origins[phase]
	if phase == phases.Startup {
		order = []string{s.restored()}
	}
	for _, state := range order {
		was := s.states[state]
		if was.Key == "" {
			if was.Why != "" {
				p.notes = append(p.notes, fmt.Sprintf("the state %s is not kept: %s", state, was.Why))
			}
			continue
		}
		layer, err := s.find(ctx, was.Key)
		if err == nil {
			p.start = runner.Start{State: state, Layer: layer}
			break
		}
		if errors.Is(err, engine.ErrNotExist) {
			p.notes = append(p.notes, fmt.Sprintf("no layer %.12s (%s) is kept on %q", was.Key, was.Name, s.host))
		} else {
			p.notes = append(p.notes, fmt.Sprintf("layer %.12s (%s) on %q cannot be used: %v", was.Key, was.Name, s.host, err))
		}
	}
	if p.start.State == "" {
		if phase == phases.Startup && s.restored() != "base" {
			return p, s.lost(phase, p.notes, nil)
		}
		if err := s.remake(phase, p.notes); err != nil {
			return p, err
		}
		p.start.State = "base"
	}
	if err := s.between(&p, phase); err != nil {
		return p, err
	}
	return p, s.compare(&p)
}

// remake judges whether the base can be made again as it was.
func (s *search) remake(phase string, notes []string) error {
	if s.baseErr != nil {
		return s.baseErr
	}
	if m, moved := firstMoved(s.states["base"].Inputs, s.now["base"].Inputs); moved {
		return s.lost(phase, notes, &m)
	}
	return nil
}

// between lists the phases that run first. What they do must be what they did.
func (s *search) between(p *point, phase string) error {
	if phase == phases.Startup {
		return nil
	}
	for _, name := range follows[p.start.State] {
		if name == phase {
			break
		}
		in, ok, err := s.inputs(name)
		if err != nil {
			return err
		}
		if ok {
			p.first = append(p.first, name)
		}
		if m, moved := s.movedIn(name, in); moved {
			return s.lost(phase, p.notes, &m)
		}
		if was := s.states["init"]; name == phases.Init && was.Key != "" && s.now["init"].Key != "" {
			p.start.Make = map[string]engine.CachedState{"init": was} // all that it is made from is the same
			if clean := s.states["clean"]; p.start.State == "base" && clean.Key != "" {
				p.start.Make["clean"] = clean
			}
		}
	}
	return nil
}

// movedIn is the first input in which a phase differs from the one of the run; in are its inputs now. Of a state that is not kept
// nobody knows.
func (s *search) movedIn(phase string, in []engine.Input) (movement, bool) {
	was, now := s.states["init"], s.now["init"]
	switch {
	case was.Key == "":
		return movement{}, false
	case phase == phases.Init && now.Key != "":
		return firstMoved(was.Inputs, now.Inputs)
	case phase != phases.Dependencies:
		return movement{}, false
	}
	for _, one := range in {
		if !slices.ContainsFunc(was.Inputs, func(o engine.Input) bool { return o.Name == one.Name && o.Digest == one.Digest }) {
			return firstMoved(was.Inputs, []engine.Input{one})
		}
	}
	return movement{}, false
}

// compare holds what the layer was made from against what it would be made from now. The machine must be
// the same, as the system on the disks is made for it.
func (s *search) compare(p *point) error {
	l := p.start.Layer
	if l.Key == "" {
		return nil
	}
	if ended := s.run.Ended; !ended.IsZero() && l.Created.After(ended) {
		p.notes = append(p.notes, fmt.Sprintf("layer %.12s was made anew at %s, after the run, from the same inputs", l.Key, l.Created.Local().Format(time.DateTime)))
	}
	m, moved := firstMoved(s.states[p.start.State].Inputs, s.now[p.start.State].Inputs)
	if !moved || s.now[p.start.State].Key == "" {
		return nil
	}
	if m.Input == "machine" {
		return engine.Blamef(engine.UserFault, "%s is another machine than in run %s: %s; put that back, or run it anew: %s", s.vm, s.run.ID, m, s.again)
	}
	p.notes = append(p.notes, fmt.Sprintf("since run %s %s; the disks are as they were then, tasks run as they are now", s.run.ID, m))
	return nil
}

// lost is the error for a state that cannot be had again.
func (s *search) lost(phase string, notes []string, m *movement) error {
	why := strings.Join(notes, "; ")
	if m != nil {
		why += fmt.Sprintf("; it cannot be made again: %s", m)
	}
	back := "choose a later phase"
	if m != nil {
		back = "put that back"
	}
	return engine.Blamef(engine.FarmFault, "the state of %s before %s in run %s is lost: %s; %s, or run it anew: %s", s.vm, phase, s.run.ID,
		strings.TrimPrefix(why, "; "), back, s.again)
}

// describe says in one line where the VM is taken up.
func (p point) describe(s *search, phase string) string {
	from := "the base, which is made anew,"
	if l := p.start.Layer; l.Key != "" {
		from = fmt.Sprintf("layer %.12s (%s) of %s", l.Key, l.Name, l.Created.Local().Format(time.DateTime))
	}
	text := fmt.Sprintf("%s before %s as in run %s: %s on %s", s.vm, phase, s.run.ID, from, s.host)
	if len(p.first) > 0 {
		text += fmt.Sprintf("; no layer holds that state itself: first comes %s", strings.Join(p.first, ", "))
	}
	return text
}

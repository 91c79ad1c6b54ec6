package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"farm/engine"
	"farm/engine/store"
	"farm/phases"
)

// input is an input with a content.
func input(name, content string) engine.Input {
	return engine.Input{Name: name, Digest: "digest of " + content, Text: content}
}

var (
	fetched = input("file disk.qcow2", "1")
	machine = input("machine", `{"Arch":"x86_64"}`)
	deps    = input("file dependencies.yaml", "d1")
	initial = input("file init.yaml", "i1")
)

// statesOf are the states of a VM whose init file is as given.
func statesOf(own engine.Input) map[string]engine.CachedState {
	return map[string]engine.CachedState{
		"base":  {Key: "kb", Name: "base", Inputs: []engine.Input{fetched}},
		"clean": {Key: "kc", Name: "clean", Inputs: []engine.Input{machine}},
		"init":  {Key: "ki " + own.Text, Name: "p.0.init", Inputs: []engine.Input{machine, deps, own}},
	}
}

// searching is a search in a run that made all states; the layers that are still there have the given keys.
func searching(layers ...string) *search {
	ended := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return &search{
		past:  past{run: store.Run{ID: "r1", Ended: ended}, vm: "p/t", host: "hv", states: statesOf(initial), told: &engine.VMState{}},
		now:   statesOf(initial),
		again: "farm run i.yaml -l p/t",
		inputs: func(phase string) ([]engine.Input, bool, error) {
			switch phase {
			case phases.Dependencies:
				return []engine.Input{deps}, true, nil
			case phases.Terminate:
				return nil, false, nil
			}
			return []engine.Input{initial}, true, nil
		},
		find: func(_ context.Context, key string) (engine.Layer, error) {
			if key == "damaged" {
				return engine.Layer{}, errors.New("the file was written")
			}
			if !slices.Contains(layers, key) {
				return engine.Layer{}, fmt.Errorf("layer: %w", engine.ErrNotExist)
			}
			return engine.Layer{Key: key, Created: ended.Add(-time.Minute)}, nil
		},
	}
}

func TestPointIsTheNearestStateThatIsKept(t *testing.T) {
	for name, c := range map[string]struct {
		layers       []string
		phase        string
		state, first string
	}{
		"main":                          {[]string{"kb", "kc", "ki i1"}, phases.Main, "init", ""},
		"main without the init layer":   {[]string{"kb", "kc"}, phases.Main, "clean", "dependencies init"},
		"main with the base alone":      {[]string{"kb"}, phases.Main, "base", "dependencies init"},
		"main with nothing":             {nil, phases.Main, "base", "dependencies init"},
		"init":                          {[]string{"kb", "kc", "ki i1"}, phases.Init, "clean", "dependencies"},
		"dependencies":                  {[]string{"kb", "kc", "ki i1"}, phases.Dependencies, "clean", ""},
		"dependencies without clean":    {[]string{"kb"}, phases.Dependencies, "base", ""},
		"terminate":                     {[]string{"kb", "kc", "ki i1"}, phases.Terminate, "init", "main"},
		"shutdown without terminate":    {[]string{"kb", "kc", "ki i1"}, phases.Shutdown, "init", "main"},
		"startup that restored nothing": {[]string{"kb", "kc", "ki i1"}, phases.Startup, "base", ""},
	} {
		p, err := searching(c.layers...).point(t.Context(), c.phase)
		if err != nil || p.start.State != c.state || strings.Join(p.first, " ") != c.first {
			t.Errorf("%s: %v, from %q after %q", name, err, p.start.State, p.first)
		}
		if made := p.start.Make["init"].Key; (made != "") != slices.Contains(p.first, phases.Init) {
			t.Errorf("%s: layer %q is made on the way", name, made)
		}
		if _, made := p.start.Make["clean"]; made != (c.state == "base" && c.phase == phases.Main) {
			t.Errorf("%s: clean is made on the way: %v", name, made)
		}
		if slices.Contains(c.layers, "kb") && p.start.Layer.Key == "" {
			t.Errorf("%s: no layer", name)
		}
	}
}

func TestPointBeforeStartupIsTheStateThatWasRestored(t *testing.T) {
	s := searching("kb", "kc", "ki i1")
	s.told.Phases = []engine.PhaseState{{Name: phases.RestoreInit, Status: engine.OK}}
	if p, err := s.point(t.Context(), phases.Startup); err != nil || p.start.State != "init" || len(p.first) > 0 {
		t.Errorf("%v, %+v", err, p)
	}
	s.find = searching("kb", "kc").find
	if _, err := s.point(t.Context(), phases.Startup); err == nil || !strings.Contains(err.Error(), "choose a later phase") {
		t.Error(err)
	}
}

func TestPointIsRefusedWhereItCannotBeWhatItWas(t *testing.T) {
	other := input("file init.yaml", "i2")
	for name, c := range map[string]struct {
		layers []string
		phase  string
		change func(s *search)
		exit   int
		want   []string
	}{
		"init has changed": {
			[]string{"kb", "kc"}, phases.Main, func(s *search) { s.now = statesOf(other) }, exitNoVerdict,
			[]string{`no layer ki i1 (p.0.init) is kept on "hv"`, "file init.yaml was i1, is i2; put that back, or run it anew: farm run i.yaml -l p/t"},
		},
		"a damaged layer": {
			[]string{"kb", "kc"}, phases.Main, func(s *search) {
				was := s.states["init"]
				was.Key = "damaged"
				s.states["init"], s.now = was, statesOf(other)
			}, exitNoVerdict, []string{"cannot be used: the file was written"},
		},
		"dependencies have changed": {
			[]string{"kc"}, phases.Init, func(s *search) {
				s.inputs = func(string) ([]engine.Input, bool, error) {
					return []engine.Input{input("file dependencies.yaml", "d2")}, true, nil
				}
			}, exitNoVerdict, []string{"file dependencies.yaml was d1, is d2"},
		},
		"the base has changed": {
			nil, phases.Dependencies, func(s *search) {
				s.now["base"] = engine.CachedState{Inputs: []engine.Input{input("file disk.qcow2", "2")}}
			}, exitNoVerdict, []string{"file disk.qcow2 was 1, is 2"},
		},
		"another machine": {
			[]string{"ki i1"}, phases.Main, func(s *search) {
				s.now["init"] = engine.CachedState{Key: "k", Inputs: []engine.Input{input("machine", `{"Arch":"aarch64"}`), deps, initial}}
			}, exitBadInput, []string{`p/t is another machine than in run r1: machine arch was "x86_64", is "aarch64"`},
		},
	} {
		s := searching(c.layers...)
		c.change(s)
		_, err := s.point(t.Context(), c.phase)
		if exitStatus(err) != c.exit {
			t.Errorf("%s: exit status %d: %v", name, exitStatus(err), err)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: no %q in %q", name, want, err)
			}
		}
	}
}

func TestPointTellsWhatHasChangedSince(t *testing.T) {
	s := searching("kb", "kc", "ki i1")
	s.now = statesOf(input("file init.yaml", "i2"))
	s.run.Ended = s.run.Ended.Add(-time.Hour)
	p, err := s.point(t.Context(), phases.Main)
	if got := strings.Join(p.notes, "\n"); err != nil || !strings.Contains(got, "was made anew at") || !strings.Contains(got, "since run r1 file init.yaml was i1, is i2") {
		t.Errorf("%v, %s", err, got)
	}
	s.states["init"] = engine.CachedState{Why: "main.yaml:1:1: it depends on a task"}
	p, err = s.point(t.Context(), phases.Main)
	if got := strings.Join(p.notes, "\n"); err != nil || p.start.State != "clean" || !strings.Contains(got, "the state init is not kept: main.yaml:1:1: it depends on a task") {
		t.Errorf("%v, from %s: %s", err, p.start.State, got)
	}
}

func TestPhaseIsTheOneThatFailed(t *testing.T) {
	for name, c := range map[string]struct {
		phases []engine.PhaseState
		status engine.Status
		given  string
		known  []string
		want   string
		says   string
	}{
		"main":             {[]engine.PhaseState{{Name: "startup", Status: engine.OK}, {Name: "create clean", Status: engine.Ignored}, {Name: "main", Status: engine.Failed}}, engine.Failed, "", resumable, "main", ""},
		"as given":         {[]engine.PhaseState{{Name: "main", Status: engine.Failed}}, engine.Failed, "init", resumable, "init", ""},
		"interrupted":      {[]engine.PhaseState{{Name: "init", Status: engine.Interrupted}}, engine.Interrupted, "", enterable, "init", ""},
		"nothing was made": {[]engine.PhaseState{{Name: "prepare", Status: engine.NoVerdict}}, engine.NoVerdict, "", resumable, "startup", ""},
		"not placed":       {nil, engine.NoVerdict, "", resumable, "startup", ""},
		"no guest":         {[]engine.PhaseState{{Name: "startup", Status: engine.NoVerdict}}, engine.NoVerdict, "", enterable, "", "failed in startup in run r1, before which there is no guest"},
		"it passed":        {[]engine.PhaseState{{Name: "main", Status: engine.OK}}, engine.OK, "", enterable, "", "p/t did not fail in run r1: say by --at before which phase"},
		"cut off":          {[]engine.PhaseState{{Name: "init", Status: engine.OK}}, "", "", enterable, "", "p/t did not come to its end in run r1"},
		"unknown":          {nil, engine.OK, "mian", enterable, "", `--at is "mian", not one of dependencies, init, main, terminate, shutdown (did you mean "main"?)`},
	} {
		p := past{run: store.Run{ID: "r1"}, vm: "p/t", told: &engine.VMState{Phases: c.phases, Status: c.status}}
		got, err := p.phaseOf("--at", c.given, c.known)
		if c.says != "" && (exitStatus(err) != exitUsage || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %v", name, err)
		}
		if c.says == "" && (err != nil || got != c.want) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

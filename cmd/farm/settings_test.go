package main

import (
	"strings"
	"testing"
	"time"

	"farm/engine"
	"farm/inventory/value"
	"farm/phases"
)

func TestAllowedPhasesTakesPhases(t *testing.T) {
	for name, c := range map[string]struct {
		in   any
		want string // of the error; "" = it is right
		all  bool
	}{
		"none given":      {nil, "", true},
		"two":             {[]any{"main", "create init"}, "", false},
		"empty":           {[]any{}, "", false},
		"text":            {"main", "allowed_phases is text, not a list of phases", false},
		"a mapping":       {value.NewDict("main", true), "allowed_phases is a mapping, not a list", false},
		"a mistyped word": {[]any{"mian"}, `allowed_phases: unknown phase "mian" (did you mean "main"?)`, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := allowedPhases(c.in)
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Fatalf("got %v, want %q", err, c.want)
				}
				return
			}
			if err != nil || (got == nil) != c.all {
				t.Fatalf("got %v, %v", got, err)
			}
			if list, _ := c.in.([]any); len(got) != len(list) {
				t.Errorf("got %v for %v", got, list)
			}
		})
	}
}

func TestMemorizeTakesThreeWords(t *testing.T) {
	for _, c := range []struct {
		in   any
		want engine.Memorize
		ok   bool
	}{
		{nil, engine.NoMemory, true}, {false, engine.NoMemory, true}, {"no", engine.NoMemory, true},
		{true, engine.AllMemory, true}, {"true", engine.AllMemory, true}, {"auto", engine.AutoMemory, true},
		{"maybe", "", false}, {[]any{}, "", false},
	} {
		if got, err := memorize(c.in); got != c.want || (err == nil) != c.ok {
			t.Errorf("%v: %q, %v", c.in, got, err)
		}
	}
}

func TestTimeoutsTakesOneTimeOrOnePerPhase(t *testing.T) {
	for name, c := range map[string]struct {
		in         any
		main, init time.Duration
		prepare    time.Duration
		want       string // of the error
	}{
		"text":             {in: "30m", main: 30 * time.Minute, init: 30 * time.Minute},
		"seconds":          {in: int64(90), main: 90 * time.Second, init: 90 * time.Second},
		"by phase":         {in: value.NewDict("main", "1h"), main: time.Hour},
		"prepare too":      {in: value.NewDict("prepare", "20m"), prepare: 20 * time.Minute},
		"no time":          {in: "soon", want: "phase_timeout is text, not a time"},
		"a list":           {in: []any{"1h"}, want: "phase_timeout is a list, not a time"},
		"no time by phase": {in: value.NewDict("main", "soon"), want: `phase_timeout of "main"`},
		"no phase":         {in: value.NewDict("mian", "1h"), want: `phase_timeout: unknown phase "mian" (did you mean "main"?)`},
	} {
		t.Run(name, func(t *testing.T) {
			of, err := timeouts(c.in)
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Fatalf("got %v, want %q", err, c.want)
				}
				return
			}
			if err != nil || of("main") != c.main || of("init") != c.init || of(phases.Prepare) != c.prepare {
				t.Errorf("got %v and %v, %v", of("main"), of("init"), err)
			}
		})
	}
	if of, err := timeouts(nil); of != nil || err != nil {
		t.Errorf("none given: %v", err)
	}
}

package main

import (
	"strings"
	"testing"
	"time"

	"farm/inventory/value"
)

func TestMaxAgesAreForPhasesWhoseOutcomeIsKept(t *testing.T) {
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		in         any
		deps, main time.Duration
		want       string // of the error
	}{
		"days":             {in: "7d", deps: 7 * day},
		"weeks":            {in: "2w", deps: 14 * day},
		"seconds":          {in: int64(90), deps: 90 * time.Second},
		"by phase":         {in: value.NewDict("dependencies", "12h"), deps: 12 * time.Hour},
		"of another":       {in: value.NewDict("init", "1d")},
		"no time":          {in: "soon", want: `"soon" is no time`},
		"none":             {in: "0d", want: "is no time"},
		"a phase not kept": {in: value.NewDict("main", "1d"), want: `the outcome of "main" is not kept`},
	} {
		t.Run(name, func(t *testing.T) {
			ages, err := maxAges(c.in)
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Fatalf("got %v, want %q", err, c.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := ages("dependencies"); got != c.deps {
				t.Errorf("dependencies: %v, want %v", got, c.deps)
			}
			if got := ages("main"); got != c.main {
				t.Errorf("main: %v, want %v", got, c.main)
			}
		})
	}
}

func TestRefreshTakesPhasesWhoseOutcomeIsKept(t *testing.T) {
	if got, err := refreshed([]string{"init", "startup"}); err != nil || !got["init"] || got["dependencies"] {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := refreshed([]string{"dependencis"}); err == nil || !strings.Contains(err.Error(), `did you mean "dependencies"?`) {
		t.Errorf("got %v", err)
	}
}

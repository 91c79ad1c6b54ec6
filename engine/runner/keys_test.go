package runner

import (
	"testing"
	"time"

	"farm/engine"
)

func TestStateWithAnUnknownInputIsNotCached(t *testing.T) {
	known := engine.Input{Name: "file a", Digest: "d"}
	if s := state("p.0.init", "base", []engine.Input{known}); s.Key == "" || s.Why != "" {
		t.Errorf("known inputs give %+v", s)
	}
	s := state("p.0.init", "base", []engine.Input{known, {Name: "unknown init.yaml:3:3", Unknown: "init.yaml:3:3: a name comes from a result"}})
	if s.Key != "" || s.Why != "init.yaml:3:3: a name comes from a result" {
		t.Errorf("an unknown input gives %+v", s)
	}
}

func TestNotBeforeIsTheLatestOfAgesAndRefreshes(t *testing.T) {
	began := time.Now()
	s := Settings{MaxAge: func(phase string) time.Duration { return map[string]time.Duration{"init": time.Hour}[phase] }}
	since := func(name string, refresh map[string]bool) time.Time {
		return Dated(name, engine.CachedState{}, s, refresh, began).NotBefore
	}
	if at := since("clean", nil); !at.IsZero() {
		t.Errorf("a phase without a limit: %v", at)
	}
	if at := since("init", nil); time.Since(at) < time.Hour || time.Since(at) > time.Hour+time.Minute {
		t.Errorf("an hour: %v", time.Since(at))
	}
	refresh := map[string]bool{"dependencies": true}
	if at := since("init", refresh); !at.Equal(began.Truncate(time.Second)) {
		t.Errorf("refreshed: %v, want %v", at, began)
	}
	if at := since("clean", refresh); !at.IsZero() {
		t.Errorf("what comes before the refreshed phase: %v", at)
	}
}

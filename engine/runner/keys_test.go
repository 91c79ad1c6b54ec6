package runner

import (
	"testing"

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

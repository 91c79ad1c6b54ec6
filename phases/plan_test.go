package phases

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func trace(q Query) string {
	var names []string
	for _, s := range Plan(q) {
		name := s.Phase.Name()
		if s.Always {
			name += "*"
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

func only(names ...string) map[string]bool {
	m := map[string]bool{}
	for _, n := range names {
		m[n] = true
	}
	return m
}

func TestPlanOrdersPhases(t *testing.T) {
	for name, c := range map[string]struct {
		q    Query
		want string
	}{
		"first run":       {Query{CanCache: true}, "startup, create clean, dependencies, init, create init, main, terminate*, shutdown*"},
		"second run":      {Query{CanCache: true, Init: true, Clean: true}, "restore init, startup, main, terminate*, shutdown*"},
		"new revision":    {Query{CanCache: true, Clean: true}, "restore clean, startup, dependencies, init, create init, main, terminate*, shutdown*"},
		"clean is gone":   {Query{CanCache: true, Init: true}, "restore init, startup, main, terminate*, shutdown*"},
		"no caches":       {Query{}, "startup, dependencies, init, main, terminate*, shutdown*"},
		"startup only":    {Query{CanCache: true, Allowed: only(Startup)}, "startup"},
		"on a running VM": {Query{CanCache: true, Attach: true, Allowed: only(Terminate, Shutdown)}, "startup, terminate*, shutdown*"},
		"no snapshots":    {Query{CanCache: true, Allowed: only(Startup, Dependencies, Init, Main, Shutdown)}, "startup, dependencies, init, main, shutdown*"},
		"no shutdown":     {Query{Init: true, Allowed: only(RestoreInit, Startup, Main)}, "restore init, startup, main"},
		"restore refused": {Query{CanCache: true, Init: true, Allowed: only(Startup, Dependencies, Init, Main)}, "startup, dependencies, init, main"},
	} {
		if got := trace(c.q); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
	}
}

func TestPlanGivesEveryStepADeadline(t *testing.T) {
	for _, s := range Plan(Query{CanCache: true}) {
		if s.Timeout <= 0 {
			t.Errorf("%s has no deadline", s.Phase.Name())
		}
	}
}

func TestParseAllowedNamesTheNearestPhase(t *testing.T) {
	_, err := ParseAllowed([]string{"startup", "restor init"})
	if err == nil || !strings.Contains(err.Error(), `did you mean "restore init"?`) {
		t.Errorf("got %v", err)
	}
}

func TestFindTakesTheMostSpecificFile(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{
		"dependencies.yaml", "init.yaml", "main.yaml", "main.yml", "terminate.yaml",
		"plat1/dependencies.yml", "plat1/tgtA/init.yaml", "tgtB/init.yaml",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ platform, target, phase, want string }{
		{"plat1", "tgtA", "dependencies", "plat1/dependencies.yml"},
		{"plat1", "tgtA", "init", "plat1/tgtA/init.yaml"},
		{"plat1", "tgtA", "main", "main.yaml"},
		{"plat1", "tgtB", "init", "tgtB/init.yaml"},
		{"plat3", "tgtC", "init", "init.yaml"},
		{"plat3", "tgtC", "terminate", "terminate.yaml"},
	} {
		got, _ := Find(root, c.platform, c.target, c.phase)
		if rel, _ := filepath.Rel(root, got); rel != c.want {
			t.Errorf("%s of %s/%s: got %q, want %q", c.phase, c.platform, c.target, rel, c.want)
		}
	}
	if got, searched := Find(filepath.Join(root, "none"), "p", "t", "main"); got != "" || len(searched) != 4 {
		t.Errorf("missing folder: got %q after %v", got, searched)
	}
}

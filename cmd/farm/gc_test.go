package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"farm/engine"
	"farm/engine/store"
)

func TestOrphanedSparesWhatSomebodyOwns(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	later, earlier := now.Add(time.Hour), now.Add(-time.Hour)
	runs := map[string]runState{
		"live": {alive: true}, "over": {}, "far": {alive: true, elsewhere: true}, "far over": {elsewhere: true},
	}
	for name, tc := range map[string]struct {
		owner engine.Owner
		gone  bool
	}{
		"a live run":                       {engine.Owner{Run: "live", User: "me", Expires: later}, false},
		"a live run past its lease":        {engine.Owner{Run: "live", User: "me", Expires: earlier}, false},
		"a run that is over":               {engine.Owner{Run: "over", User: "me", Expires: later}, true},
		"kept":                             {engine.Owner{Run: "over", User: "me", Keep: true, Expires: later}, false},
		"kept too long":                    {engine.Owner{Run: "over", User: "me", Keep: true, Expires: earlier}, true},
		"a run under another state folder": {engine.Owner{Run: "other", User: "me", Expires: later}, false},
		"the same, its lease over":         {engine.Owner{Run: "other", User: "me", Expires: earlier}, true},
		"another controller's run":         {engine.Owner{Run: "far", User: "me", Expires: earlier}, false},
		"the same, over":                   {engine.Owner{Run: "far over", User: "me", Expires: later}, false},
		"the same, lease over":             {engine.Owner{Run: "far over", User: "me", Expires: earlier}, true},
		"somebody else's run":              {engine.Owner{Run: "over", User: "you", Expires: later}, false},
		"somebody else's lease over":       {engine.Owner{Run: "other", User: "you", Expires: earlier}, true},
	} {
		t.Run(name, func(t *testing.T) {
			if why := orphaned(tc.owner, runs, "me", now); (why != "") != tc.gone {
				t.Errorf("got %q, want gone = %v", why, tc.gone)
			}
		})
	}
}

func TestGoneForgetsAMachineAndItsHostKeys(t *testing.T) {
	home := t.TempDir()
	a := &app{getenv: func(name string) string { return map[string]string{"FARM_HOME": home}[name] }}
	s, err := a.openStore()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Intend(store.Machine{Name: "farm-a", Run: "r"}); err != nil {
		t.Fatal(err)
	}
	known, err := a.pinned("farm-a")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(known), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(known, []byte("key\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time there is no file to remove
		if err := a.gone(s, "farm-a"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(known); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("host keys of a machine that is gone: %v", err)
	}
	if left, err := s.Machines(t.Context()); err != nil || len(left) != 0 {
		t.Errorf("machines %v, %v", left, err)
	}
}

package store

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"farm/engine"
)

func open(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestStoreKeepsRunsAndEventsAfterReopening(t *testing.T) {
	path := filepath.Join(t.TempDir(), "farm.db")
	s := open(t, path)
	started := time.Date(2026, 1, 2, 3, 4, 5, 600, time.UTC)
	want := Run{ID: "r1", Inventory: "/i.yaml", Dir: "/d", Started: started}
	if err := s.Begin(want); err != nil {
		t.Fatal(err)
	}
	sink := s.Sink()
	for i, kind := range []engine.Kind{engine.RunStarted, engine.TaskOutput, engine.PhaseEnded, engine.Warning} {
		if err := sink.Event(engine.Event{Run: "r1", Seq: int64(i + 1), Kind: kind, VM: "p/t"}, nil); err != nil {
			t.Fatal(err)
		}
	}
	// No Close here: what a phase's end acknowledged must be there without it.
	again := open(t, path)
	events, err := again.Events("r1")
	if err != nil {
		t.Fatal(err)
	}
	if len(events) != 2 || events[0].Kind != engine.RunStarted || events[1].Kind != engine.PhaseEnded {
		t.Errorf("events after the phase's end: %+v", events)
	}
	if err := again.Finish("r1", engine.Failed); err != nil {
		t.Fatal(err)
	}
	runs, err := s.Runs(context.Background(), 1)
	if err != nil || len(runs) != 1 {
		t.Fatalf("runs %v, %v", runs, err)
	}
	if runs[0].Ended.IsZero() || runs[0].Status != engine.Failed {
		t.Errorf("run did not end: %+v", runs[0])
	}
	runs[0].Ended, runs[0].Status = time.Time{}, ""
	if diff := cmp.Diff(want, runs[0]); diff != "" {
		t.Error(diff)
	}
}

func TestStoreListsMachinesUntilTheyAreGone(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "farm.db"))
	m := Machine{Name: "farm-a", Run: "r1", VM: "p/t", Host: "localhost", Dir: "/d", HostKeys: []string{"ssh-ed25519 AAAA"}}
	if err := s.Intend(m); err != nil {
		t.Fatal(err)
	}
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	if err := s.Settle("farm-a", Kept, until); err != nil {
		t.Fatal(err)
	}
	all, err := s.Machines(context.Background())
	if err != nil || len(all) != 1 {
		t.Fatalf("machines %v, %v", all, err)
	}
	if got := all[0]; got.State != Kept || !got.KeepUntil.Equal(until) || got.HostKeys[0] != "ssh-ed25519 AAAA" {
		t.Errorf("kept machine: %+v", got)
	}
	if err := s.Settle("farm-a", Gone, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if all, _ := s.Machines(context.Background()); len(all) != 0 {
		t.Errorf("a machine that is gone is listed: %+v", all)
	}
}

func TestOpenRefusesTablesOfAnotherVersion(t *testing.T) {
	path := filepath.Join(t.TempDir(), "farm.db")
	s := open(t, path)
	if _, err := s.db.Exec("PRAGMA user_version = 99"); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "version 99") {
		t.Errorf("got %v", err)
	}
}

func TestStoreKeepsWhatARunWasAskedAndItsStates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "farm.db")
	s := open(t, path)
	ctx := context.Background()
	asked := &Request{Vars: []string{"/v.yaml"}, Extra: []string{"a=1"}, Tags: []string{"fast"}, Check: true}
	for i, r := range []Run{{ID: "old", Dir: "/d"}, {ID: "new", Dir: "/d", Request: asked}} {
		r.Started = time.Unix(int64(i), 0)
		if err := s.Begin(r); err != nil {
			t.Fatal(err)
		}
	}
	states := map[string]engine.CachedState{
		"base":  {Name: "base", Key: "b", Inputs: []engine.Input{{Name: "disks", Digest: "d", Text: "t"}}},
		"clean": {Name: "clean", Key: "c", Parent: "b", Inputs: []engine.Input{}},
		"init":  {Name: "p.0.init", Why: "main.yaml:1:1: a file that depends on a task", Inputs: []engine.Input{}},
	}
	if err := s.Stands("new", "p/t", "elsewhere", states); err != nil {
		t.Fatal(err)
	}
	if err := s.Stands("new", "p/t", "hv", states); err != nil {
		t.Fatal(err)
	}
	again := open(t, path)
	runs, err := again.Runs(ctx, 0)
	if err != nil || len(runs) != 2 {
		t.Fatalf("%v, %+v", err, runs)
	}
	if diff := cmp.Diff(asked, runs[0].Request); diff != "" || runs[1].Request != nil {
		t.Errorf("%s, %+v", diff, runs[1].Request)
	}
	host, got, err := again.States(ctx, "new", "p/t")
	if diff := cmp.Diff(states, got); err != nil || host != "hv" || diff != "" {
		t.Errorf("%v, on %q: %s", err, host, diff)
	}
	if _, none, err := again.States(ctx, "old", "p/t"); err != nil || len(none) != 0 {
		t.Errorf("%v, %v", err, none)
	}
}

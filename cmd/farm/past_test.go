package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"farm/engine"
	"farm/engine/store"
	"farm/phases"
)

func TestPastIsOfTheLastRunThatHadTheVM(t *testing.T) {
	a := appAt(t.TempDir())
	s, err := a.openStore()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	sink := s.Sink()
	for i, r := range []struct {
		id, vm string
		asked  *store.Request
	}{
		{"old", "p/t", nil},
		{"run", "p/t", &store.Request{Vars: []string{"/v.yaml"}, Extra: []string{"a=1"}, Tags: []string{"t"}, Check: true}},
		{"visit", "p/t", &store.Request{Visit: true}},
		{"other", "p/u", &store.Request{}},
	} {
		if err := s.Begin(store.Run{ID: r.id, Inventory: "/i.yaml", Started: time.Unix(int64(i), 0), Request: r.asked}); err != nil {
			t.Fatal(err)
		}
		for seq, e := range []engine.Event{
			{Kind: engine.PhaseEnded, Phase: "startup", Status: engine.OK},
			{Kind: engine.PhaseEnded, Phase: "main", Status: engine.Failed},
			{Kind: engine.VMEnded, Status: engine.Failed},
		} {
			e.Run, e.VM, e.Seq = r.id, r.vm, int64(seq+1)
			if err := sink.Event(e, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	for run, want := range map[string]string{"last": "run", "run": "run", "old": "old"} {
		if p, err := pastOf(t.Context(), s, run, "p/t"); err != nil || p.run.ID != want || p.failedIn() != "main" {
			t.Errorf("%s: %v, %+v", run, err, p)
		}
	}
	for run, want := range map[string]string{
		"visit": `no run "visit" (last, or one such as other, run, old)`,
		"other": `no VM "p/t" in run other (the last run, other, has: p/u)`,
	} {
		if _, err := pastOf(t.Context(), s, run, "p/t"); exitStatus(err) != exitUsage || err.Error() != want {
			t.Errorf("%s: %v", run, err)
		}
	}
	p, _ := pastOf(t.Context(), s, "run", "p/t")
	got, err := p.options()
	want := &runFlags{inventoryFlags: inventoryFlags{vars: []string{"/v.yaml"}, extra: []string{"a=1"}, limit: "p/t"}, tags: []string{"t"}, check: true}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(runFlags{}, inventoryFlags{})); err != nil || diff != "" {
		t.Errorf("%v: %s", err, diff)
	}
	p, _ = pastOf(t.Context(), s, "old", "p/t")
	if _, err := p.options(); exitStatus(err) != exitUsage {
		t.Error(err)
	}
}

func TestRetriedCountsWhatHasAVerdict(t *testing.T) {
	r := &retried{VM: "p/t", From: "main"}
	if r.add(attempt{Status: engine.NoVerdict}); r.Failures != nil {
		t.Errorf("%+v", r.Failures)
	}
	for _, status := range []engine.Status{engine.OK, engine.OK, engine.Failed} {
		r.add(attempt{Status: status})
	}
	if want := "p/t from main: 4 attempts, 2 passed, 1 failed, 1 without a verdict; failure rate 33.3 % (95 % interval 6.1 % to 79.2 %)"; r.String() != want {
		t.Error(r)
	}
}

func TestTripRunsWhatItIsForWhateverIsAllowed(t *testing.T) {
	way := &trip{session: &session{}, phase: phases.Main, point: point{first: []string{phases.Init}}}
	given := map[string]bool{phases.Terminate: true}
	want := map[string]bool{"restore init": true, "restore clean": true, "startup": true, "init": true, "main": true, "terminate": true}
	if diff := cmp.Diff(want, way.allow(given)); diff != "" || len(given) != 1 {
		t.Error(diff, given)
	}
	way.visit = true
	if way.allow(given) != nil {
		t.Error("a visit leaves phases out")
	}
}

func TestVisitComesBeforeItsPhaseAndThenTheEnd(t *testing.T) {
	v := &visit{}
	for phase, want := range map[string]string{
		phases.Main:     "restore init, startup, shell, shutdown",
		phases.Shutdown: "restore init, startup, main, terminate, shell, shutdown",
	} {
		var names []string
		for _, step := range v.into(phases.Plan(phases.Query{Init: true}), phase) {
			names = append(names, step.Phase.Name())
		}
		if got := strings.Join(names, ", "); got != want {
			t.Errorf("%s: %s", phase, got)
		}
	}
}

func TestVisitIsSkippedWhereItsPointWasNotReached(t *testing.T) {
	over, end := context.WithCancel(t.Context())
	end()
	for want, v := range map[string]*visit{
		"interrupted":                {soft: over},
		"init failed":                {soft: t.Context(), failed: phases.Init},
		"the guest is not reachable": {soft: t.Context(), failed: phases.Main},
	} {
		if why, ok := engine.SkippedWhy(v.Run(t.Context(), &engine.Run{})); !ok || !strings.Contains(why, want) || v.done {
			t.Errorf("%s: %q", want, why)
		}
	}
}

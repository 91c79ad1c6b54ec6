package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"farm/engine"
	"farm/engine/store"
	"farm/inventory"
)

// begin records a run whose lock says by; it is held if held.
func begin(t *testing.T, s *store.Store, id, by string, started time.Time, held bool) {
	t.Helper()
	dir := t.TempDir()
	if held {
		unlock, err := lockRun(dir)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(unlock)
	}
	if by != controller() {
		if err := os.WriteFile(filepath.Join(dir, lockName), []byte(by), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Begin(store.Run{ID: id, Dir: dir, Started: started}); err != nil {
		t.Fatal(err)
	}
}

func TestKnownRunsJudgesOthersByTime(t *testing.T) {
	s := storeAt(t, appAt(t.TempDir()))
	now := time.Now()
	const other = "0123 other"
	begin(t, s, "mine", controller(), now, true)
	begin(t, s, "mine, killed", "", now, false)
	begin(t, s, "old farm's, killed", "", now, false)
	begin(t, s, "other's", other, now, false)
	begin(t, s, "other's, its lock seen", other, now.Add(-2*lapse), true)
	begin(t, s, "other's, long ago", other, now.Add(-2*lapse), false)
	begin(t, s, "other's, over", other, now, false)
	if err := s.Finish("other's, over", engine.OK); err != nil {
		t.Fatal(err)
	}
	got, err := knownRuns(t.Context(), s, now)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]runState{
		"mine": {alive: true}, "mine, killed": {}, "old farm's, killed": {},
		"other's": {alive: true, elsewhere: true}, "other's, its lock seen": {alive: true, elsewhere: true},
		"other's, long ago": {elsewhere: true}, "other's, over": {elsewhere: true},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(runState{})); diff != "" {
		t.Error(diff)
	}
}

// recordOf is the record of a machine of run "r" on h.
func recordOf(t *testing.T, h *hypervisor) store.Machine {
	t.Helper()
	text, err := json.Marshal(h.Hypervisor)
	if err != nil {
		t.Fatal(err)
	}
	return store.Machine{Name: "farm-a", Run: "r", VM: "p/t", Host: h.Name, Dir: filepath.Join(h.machinesDir(), "farm-a"), Hypervisor: string(text)}
}

// Two controllers have one folder of records, and each a hypervisor of its own; the
// machine is the other one's, so that it is not on the one at hand.
func TestGCLeavesAnotherControllersRecords(t *testing.T) {
	for name, tc := range map[string]struct {
		connection string
		folder     string // "", or of which system
		ended      bool
		gone       bool
	}{
		"its own hypervisor":                        {connection: "local"},
		"its own hypervisor, after the run":         {connection: "local", ended: true},
		"the same, with shared folders":             {connection: "local", ended: true, folder: "0123 other "},
		"a common hypervisor, perhaps":              {connection: "ssh", ended: true},
		"a common hypervisor, surely":               {connection: "ssh", ended: true, folder: "this", gone: true},
		"a common hypervisor, while it may be used": {connection: "ssh", folder: "this"},
		"hypervisors that share folders":            {connection: "ssh", ended: true, folder: "0123 other "},
	} {
		t.Run(name, func(t *testing.T) {
			a := appAt(t.TempDir())
			a.err = &bytes.Buffer{}
			s := storeAt(t, a)
			h := localHost(t, nil)
			h.Connection = tc.connection
			begin(t, s, "r", "0123 other", time.Now(), false)
			m := recordOf(t, h)
			if err := s.Intend(m); err != nil {
				t.Fatal(err)
			}
			if err := s.Settle(m.Name, store.Kept, time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			if tc.ended {
				if err := s.Finish("r", engine.OK); err != nil {
					t.Fatal(err)
				}
			}
			if tc.folder != "" {
				claim := engine.Claim{Owner: engine.Owner{Run: "r", Dir: m.Dir, Keep: true, Expires: time.Now().Add(time.Hour)}, URI: h.URI}
				if _, err := h.conn.Exec(t.Context(), claim.Cmd()); err != nil {
					t.Fatal(err)
				}
			}
			if tc.folder != "" && tc.folder != "this" {
				if err := os.WriteFile(filepath.Join(m.Dir, engine.SystemFile), []byte(tc.folder), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := a.gcAll(t.Context(), s, withoutLayers(t, h), false); err != nil {
				t.Fatal(err)
			}
			left, err := s.Machines(t.Context())
			if err != nil || (len(left) == 0) != tc.gone {
				t.Errorf("records: %v, %v", left, err)
			}
			_, err = os.Stat(m.Dir)
			if there := err == nil; there != (tc.folder != "" && !tc.gone) {
				t.Errorf("the folder: %v", err)
			}
		})
	}
}

func TestDownLeavesMachinesOfAnotherControllersOwnHypervisor(t *testing.T) {
	a := appAt(t.TempDir())
	a.out, a.err = &bytes.Buffer{}, &bytes.Buffer{}
	s := storeAt(t, a)
	begin(t, s, "r", "0123 other", time.Now(), false)
	m := recordOf(t, &hypervisor{Hypervisor: inventory.Hypervisor{Name: "localhost", Connection: "local", URI: "qemu:///session"}, dir: "/nowhere"})
	if err := s.Intend(m); err != nil {
		t.Fatal(err)
	}
	if err := s.Settle(m.Name, store.Kept, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	const want = `p/t on "localhost": hypervisor "localhost" is the own one of "other", which shares these records; run farm there`
	if err := a.down(t.Context(), []string{"p/t"}, false, false); err == nil || err.Error() != want {
		t.Errorf("down: %v", err)
	}
	if left, err := s.Machines(t.Context()); err != nil || len(left) != 1 {
		t.Errorf("records: %v, %v", left, err)
	}
}

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"farm/engine"
	"farm/engine/images"
	"farm/engine/local"
	"farm/engine/store"
	"farm/inventory"
)

// localHost is a hypervisor with no machine but those given, on this system's files.
func localHost(t *testing.T, machines map[string]*gcMachine) *hypervisor {
	t.Helper()
	conn := local.New()
	t.Cleanup(func() { conn.Close() })
	as := inventory.Hypervisor{Name: "hv", Connection: "local", URI: "qemu:///session"}
	return &hypervisor{Hypervisor: as, conn: conn, host: gcFake{machines: machines}, dir: t.TempDir(), caps: engine.Capabilities{URI: as.URI}}
}

// storeAt is the store of a, closed when the test ends.
func storeAt(t *testing.T, a *app) *store.Store {
	t.Helper()
	s, err := a.openStore()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestGCRemovesFoldersOfRecordsThatAreGone(t *testing.T) {
	now := time.Now()
	const day = 24 * time.Hour
	for name, tc := range map[string]struct {
		owner   engine.Owner
		uri     string // "" = the host's
		system  string // "" = the host's
		machine bool   // it is defined
		bare    bool   // no claim
		age     time.Duration
		gone    bool
	}{
		"lease goes on":               {owner: engine.Owner{Run: "other", Expires: now.Add(time.Hour)}},
		"lease over":                  {owner: engine.Owner{Run: "other", Expires: now.Add(-time.Hour)}, gone: true},
		"lease over, but defined":     {owner: engine.Owner{Run: "other", Expires: now.Add(-time.Hour)}, machine: true},
		"kept":                        {owner: engine.Owner{Run: "other", Keep: true, Expires: now.Add(time.Hour)}},
		"kept long enough":            {owner: engine.Owner{Run: "other", Keep: true, Expires: now.Add(-time.Hour)}, gone: true},
		"of another daemon":           {owner: engine.Owner{Run: "other", Expires: now.Add(-time.Hour)}, uri: "qemu:///system"},
		"of another system":           {owner: engine.Owner{Run: "other", Expires: now.Add(-6 * day)}, system: "x "},
		"of another system, long ago": {owner: engine.Owner{Run: "other", Expires: now.Add(-8 * day)}, system: "x ", gone: true},
		"no claim":                    {bare: true},
		"no claim, a day later":       {bare: true, age: 25 * time.Hour, gone: true},
	} {
		t.Run(name, func(t *testing.T) {
			a := appAt(t.TempDir())
			var said bytes.Buffer
			a.err = &said
			machines := map[string]*gcMachine{}
			h := localHost(t, machines)
			dir := filepath.Join(h.machinesDir(), "farm-a")
			claim := engine.Claim{Owner: tc.owner, URI: tc.uri}
			claim.Owner.Dir, claim.Owner.User = dir, "you@there"
			if tc.uri == "" {
				claim.URI = h.caps.URI
			}
			if tc.bare {
				if err := os.MkdirAll(dir, 0o700); err != nil {
					t.Fatal(err)
				}
			} else if _, err := h.conn.Exec(t.Context(), claim.Cmd()); err != nil {
				t.Fatal(err)
			}
			if tc.machine {
				// In another folder than its name says: what counts is either.
				machines["m"] = &gcMachine{name: "m", owner: engine.Owner{Run: "other", Dir: dir, Expires: now.Add(time.Hour)}}
			}
			if tc.system != "" {
				if err := os.WriteFile(filepath.Join(dir, engine.SystemFile), []byte(tc.system), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if tc.age > 0 {
				if err := os.Chtimes(dir, now.Add(-tc.age), now.Add(-tc.age)); err != nil {
					t.Fatal(err)
				}
			}
			for _, dry := range []bool{true, false} {
				found, err := a.gcHost(t.Context(), storeAt(t, a), h, nil, dry)
				if err != nil || (len(found) == 1) != tc.gone {
					t.Errorf("dry %v: %v removed, %v", dry, found, err)
				}
				_, err = os.Stat(dir)
				if gone := errors.Is(err, os.ErrNotExist); gone != (tc.gone && !dry) {
					t.Errorf("dry %v: the folder: %v", dry, err)
				}
			}
			if tc.gone != strings.Contains(said.String(), "hv: files of farm-a: ") {
				t.Errorf("it said %q", said.String())
			}
		})
	}
}

func TestClaimIsRenewed(t *testing.T) {
	h := localHost(t, nil)
	dir := filepath.Join(h.machinesDir(), "farm-it's a")
	for _, run := range []string{"first", "it's the second"} {
		claim := engine.Claim{Owner: engine.Owner{Run: run, Dir: dir}, URI: h.caps.URI}
		if _, err := h.conn.Exec(t.Context(), claim.Cmd()); err != nil {
			t.Fatal(err)
		}
		all, err := h.folders(t.Context())
		if f := all["farm-it's a"]; err != nil || f.claim != claim || !f.signed || f.foreign {
			t.Errorf("%+v, %v", f, err)
		}
	}
	if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v", st, err)
	}
}

func TestSweepTellsProgramsFromImages(t *testing.T) {
	h := localHost(t, nil)
	layers, err := images.Open(t.Context(), h.conn, h.dir)
	if err != nil {
		t.Fatal(err)
	}
	h.layers = layers
	key := filepath.Join(layers.Dir(), "tmp", strings.Repeat("f", 64))
	if err := os.Mkdir(key+".HALF", 0o755); err != nil {
		t.Fatal(err)
	}
	stray := exec.Command("sleep", "100")
	stray.Env = append(os.Environ(), "FARM_WORK="+key+".GONE")
	if err := stray.Start(); err != nil {
		t.Fatal(err)
	}
	over := make(chan error, 1)
	go func() { over <- stray.Wait() }()
	t.Cleanup(func() { stray.Process.Kill() })
	for _, dry := range []bool{true, false} {
		var said bytes.Buffer
		a := &app{err: &said}
		got, err := a.sweep(t.Context(), h, dry)
		if err != nil || len(got) != 2 || got[0].Kind != "image" || got[1].Kind != "programs" || got[1].Name != key+".GONE" {
			t.Fatalf("dry %v: %+v, %v", dry, got, err)
		}
		line := fmt.Sprintf("hv: programs of %s.GONE: the image that they were to make is done or given up: sleep (%d)\n", key, stray.Process.Pid)
		if !strings.HasSuffix(said.String(), line) {
			t.Errorf("dry %v: said %q, not %q", dry, said.String(), line)
		}
	}
	select {
	case <-over:
	case <-time.After(30 * time.Second):
		t.Error("the program goes on")
	}
}

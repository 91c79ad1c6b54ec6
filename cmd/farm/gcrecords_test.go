package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"farm/engine"
	"farm/engine/local"
	"farm/engine/store"
	"farm/inventory"
)

// gcFake is a hypervisor whose machines are a map.
type gcFake struct {
	engine.Host
	machines map[string]*gcMachine
}

func (h gcFake) Machines(context.Context) (all []engine.Machine, err error) {
	for _, m := range h.machines {
		all = append(all, m)
	}
	return all, nil
}

func (h gcFake) Machine(_ context.Context, name string) (engine.Machine, error) {
	if m, ok := h.machines[name]; ok {
		return m, nil
	}
	return nil, fmt.Errorf("find %q: %w", name, engine.ErrNotExist)
}

type gcMachine struct {
	engine.Machine
	name    string
	owner   engine.Owner
	removed bool
	deaf    bool
}

func (m *gcMachine) Name() string        { return m.name }
func (m *gcMachine) Owner() engine.Owner { return m.owner }
func (m *gcMachine) SetOwner(_ context.Context, o engine.Owner) error {
	if m.deaf {
		return engine.ErrUnreachable
	}
	m.owner = o
	return nil
}
func (m *gcMachine) Remove(context.Context) error { m.removed = true; return nil }

func TestGCMindsTheRecords(t *testing.T) {
	now := time.Now()
	for name, tc := range map[string]struct {
		state   string
		until   time.Time
		uri     string // of the record
		machine bool
		deaf    bool
		folder  bool
		count   int
		after   string // state of the record; "" = gone
	}{
		"kept, and not marked":          {state: store.Unmarked, until: now.Add(time.Hour), machine: true, folder: true, after: store.Kept},
		"kept, and cannot be marked":    {state: store.Unmarked, until: now.Add(time.Hour), machine: true, deaf: true, folder: true, after: store.Unmarked},
		"recorded as kept":              {state: store.Kept, until: now.Add(time.Hour), machine: true, folder: true, after: store.Kept},
		"kept long enough":              {state: store.Unmarked, until: now.Add(-time.Hour), machine: true, folder: true, count: 1},
		"its run cut off":               {state: store.Intended, machine: true, folder: true, count: 1},
		"kept, but gone":                {state: store.Kept, until: now.Add(time.Hour), count: 1},
		"kept, but gone with its files": {state: store.Kept, until: now.Add(time.Hour), folder: true, count: 1},
		"never made":                    {state: store.Intended},
		"of another daemon":             {state: store.Kept, until: now.Add(time.Hour), uri: "qemu:///system", folder: true, after: store.Kept},
	} {
		t.Run(name, func(t *testing.T) {
			a := appAt(t.TempDir())
			var said bytes.Buffer
			a.err = &said
			s, err := a.openStore()
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			as := inventory.Hypervisor{Name: "hv", Connection: "local", URI: "qemu:///session"}
			machines := map[string]*gcMachine{}
			conn := local.New()
			defer conn.Close()
			h := &hypervisor{Hypervisor: as, conn: conn, host: gcFake{machines: machines}, dir: t.TempDir()}
			dir := filepath.Join(h.machinesDir(), "farm-a")
			if tc.folder {
				if err := os.MkdirAll(dir, 0o700); err != nil {
					t.Fatal(err)
				}
			}
			m := &gcMachine{name: "farm-a", deaf: tc.deaf, owner: engine.Owner{Run: "r", VM: "p/t", User: a.user(), Dir: dir, Expires: now.Add(time.Hour)}}
			if tc.machine {
				machines["farm-a"] = m
			}
			if tc.uri != "" {
				as.URI = tc.uri
			}
			text, err := json.Marshal(as)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Intend(store.Machine{Name: "farm-a", Run: "r", VM: "p/t", Host: "hv", Dir: dir, Hypervisor: string(text)}); err != nil {
				t.Fatal(err)
			}
			if err := s.Settle("farm-a", tc.state, tc.until); err != nil {
				t.Fatal(err)
			}
			found, err := a.gcHost(t.Context(), s, h, map[string]runState{"r": {}}, false)
			if err != nil || len(found) != tc.count {
				t.Errorf("%v removed, %v; want %d", found, err, tc.count)
			}
			records, err := recordsOf(t.Context(), s)
			if err != nil || records["farm-a"].State != tc.after {
				t.Errorf("the record is %q, %v; want %q", records["farm-a"].State, err, tc.after)
			}
			if gone := tc.machine && tc.after == ""; m.removed != gone {
				t.Errorf("machine removed: %v", m.removed)
			}
			if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) != (tc.after == "") && tc.folder {
				t.Errorf("the folder: %v", err)
			}
			if marked := tc.state == store.Unmarked && tc.after == store.Kept; marked && !m.owner.Keep {
				t.Errorf("not marked: %+v", m.owner)
			}
			if tc.after == "" && tc.state == store.Kept && !strings.Contains(said.String(), "recorded as kept, but the machine is gone") {
				t.Errorf("it said %q", said.String())
			}
		})
	}
}

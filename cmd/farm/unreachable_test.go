package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"farm/engine"
	"farm/engine/images"
	"farm/engine/store"
	"farm/inventory"
)

// withoutLayers gives h an empty store of images.
func withoutLayers(t *testing.T, h *hypervisor) *hypervisor {
	t.Helper()
	var err error
	if h.layers, err = images.Open(t.Context(), h.conn, t.TempDir()); err != nil {
		t.Fatal(err)
	}
	return h
}

// dead is a host whose daemon went away.
type dead struct{ engine.Host }

func (dead) Machines(context.Context) ([]engine.Machine, error) {
	return nil, fmt.Errorf("list the machines: %w", engine.ErrUnreachable)
}

func (dead) Machine(context.Context, string) (engine.Machine, error) {
	return nil, fmt.Errorf("find a machine: %w", engine.ErrUnreachable)
}

// keptOn is a store with one kept machine on h, its folder made.
func keptOn(t *testing.T, a *app, h *hypervisor) (*store.Store, store.Machine) {
	t.Helper()
	s := storeAt(t, a)
	begin(t, s, "r", controller(), time.Now(), false)
	m := recordOf(t, h)
	if err := s.Intend(m); err != nil {
		t.Fatal(err)
	}
	if err := s.Settle(m.Name, store.Kept, time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	return s, m
}

func forgotNothing(t *testing.T, s *store.Store) {
	t.Helper()
	if left, err := s.Machines(t.Context()); err != nil || len(left) != 1 || left[0].State != store.Kept {
		t.Errorf("records: %v, %v", left, err)
	}
}

func TestHostThatIsGoneIsNotForgotten(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close() // nothing listens there now
	a := appAt(t.TempDir())
	var out, said bytes.Buffer
	a.out, a.err, a.log = &out, &said, hclog.NewNullLogger()
	key, err := a.guestKey("")
	if err != nil {
		t.Fatal(err)
	}
	h := &hypervisor{dir: "/nowhere", Hypervisor: inventory.Hypervisor{
		Name: "hv", Connection: "ssh", Address: "127.0.0.1", Port: port, User: "nobody", KeyFile: key, Driver: "libvirt", URI: "qemu:///session",
	}}
	s, _ := keptOn(t, a, h)
	for command, run := range map[string]func() error{
		"down": func() error { return a.down(t.Context(), []string{"p/t"}, false, false) },
		"ssh":  func() error { return a.ssh(t.Context(), "p/t", nil) },
	} {
		err := run()
		if err == nil || exitStatus(err) != exitNoVerdict {
			t.Fatalf("%s: %v", command, err)
		}
		for _, want := range []string{`p/t on "hv": `, "connection refused", "; the machine stays on record: `farm " + command + " p/t` again once \"hv\" answers"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q is not in %q", command, want, err)
			}
		}
		forgotNothing(t, s)
	}
	hosts := a.openHosts(t.Context(), []inventory.Hypervisor{h.Hypervisor})
	if err := a.gc(t.Context(), hosts, false, false); exitStatus(err) != exitNoVerdict {
		t.Errorf("gc: %v", err)
	}
	if !strings.Contains(said.String(), "connection refused; nothing of it is forgotten: `farm gc` again once it answers\n") || out.String() != "0 removed\n" {
		t.Errorf("gc said %q and %q", said.String(), out.String())
	}
	forgotNothing(t, s)
}

func TestDaemonThatIsGoneCostsNothing(t *testing.T) {
	a := appAt(t.TempDir())
	a.out, a.err = &bytes.Buffer{}, &bytes.Buffer{}
	h := localHost(t, nil)
	h.host = dead{}
	s, m := keptOn(t, a, h)
	if err := os.MkdirAll(m.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := a.endOn(t.Context(), s, h, m); err == nil {
		t.Error("down was content")
	}
	// The other host is still looked at.
	var said bytes.Buffer
	a.err = &said
	other := withoutLayers(t, localHost(t, nil))
	other.Name = "other"
	left := engine.Claim{Owner: engine.Owner{Run: "gone", Dir: other.machinesDir() + "/farm-b", Expires: time.Now().Add(-time.Hour)}, URI: other.caps.URI}
	if _, err := other.conn.Exec(t.Context(), left.Cmd()); err != nil {
		t.Fatal(err)
	}
	if err := a.gc(t.Context(), []*hypervisor{h, other}, false, false); exitStatus(err) != exitNoVerdict {
		t.Errorf("gc: %v", err)
	}
	if !strings.Contains(said.String(), "other: files of farm-b: its lease ended") {
		t.Errorf("gc said %q", said.String())
	}
	forgotNothing(t, s)
	if _, err := os.Stat(m.Dir); err != nil {
		t.Errorf("the folder: %v", err)
	}
}

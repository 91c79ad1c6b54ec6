package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"farm/engine/store"
)

// withKept makes a state folder that knows of kept machines and of one that is not kept.
func withKept(t *testing.T, kept ...store.Machine) *app {
	t.Helper()
	a := appAt(t.TempDir())
	s, err := a.openStore()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, m := range append(kept, store.Machine{Name: "farm-gone", VM: "debian_12/s390x", Run: "r"}) {
		if err := s.Intend(m); err != nil {
			t.Fatal(err)
		}
		if m.Name != "farm-gone" {
			if err := s.Settle(m.Name, store.Kept, time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return a
}

func TestDownAndSSHRefuseWhatIsNotKept(t *testing.T) {
	one := store.Machine{Name: "farm-one", VM: "debian_12/amd64", Run: "r"}
	two := store.Machine{Name: "farm-two", VM: "debian_12/arm64", Run: "r"}
	for name, c := range map[string]struct {
		kept []store.Machine
		id   string
		want string
	}{
		"nothing is kept":    {nil, "debian_12/amd64", `no machine of "debian_12/amd64" is kept (none is kept; run with --keep on-failure or --keep always)`},
		"another is kept":    {[]store.Machine{one}, "debian_12/arm64", `no machine of "debian_12/arm64" is kept (kept: debian_12/amd64)`},
		"part of several":    {[]store.Machine{one, two}, "debian_12", `no machine of "debian_12" is kept (kept: debian_12/`},
		"an empty id":        {[]store.Machine{one}, "", `no machine of "" is kept (kept: debian_12/amd64)`},
		"one that has ended": {[]store.Machine{one}, "debian_12/s390x", `no machine of "debian_12/s390x" is kept (kept: debian_12/amd64)`},
	} {
		for _, command := range []string{"down", "ssh"} {
			t.Run(command+" "+name, func(t *testing.T) {
				a := withKept(t, c.kept...)
				var out bytes.Buffer
				b := &app{in: strings.NewReader(""), out: &out, err: &out, getenv: a.getenv}
				if status := b.main(context.Background(), []string{command, c.id}); status != exitUsage || !strings.Contains(out.String(), c.want) {
					t.Errorf("status %d: %s", status, out.String())
				}
			})
		}
	}
}

func TestDownTakesNamesOrAll(t *testing.T) {
	a := withKept(t)
	for name, c := range map[string]struct {
		args   []string
		status int
		want   string
	}{
		"neither": {[]string{"down"}, exitUsage, "name the VMs to end, or give --all"},
		"both":    {[]string{"down", "--all", "debian_12/amd64"}, exitUsage, "name the VMs to end, or give --all"},
		"none":    {[]string{"down", "--all"}, exitPassed, "no machine is kept"},
		"ssh":     {[]string{"ssh"}, exitUsage, "got no argument"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			b := &app{in: strings.NewReader(""), out: &out, err: &out, getenv: a.getenv}
			if status := b.main(context.Background(), c.args); status != c.status || !strings.Contains(out.String(), c.want) {
				t.Errorf("status %d: %s", status, out.String())
			}
		})
	}
}

func TestFindTakesTheNewestOfAnID(t *testing.T) {
	kept := []store.Machine{{Name: "farm-new", VM: "a/b"}, {Name: "farm-old", VM: "a/b"}}
	for id, want := range map[string]string{"a/b": "farm-new", "farm-old": "farm-old"} {
		if m, err := find(kept, id); err != nil || m.Name != want {
			t.Errorf("%s: %q, %v; want %q", id, m.Name, err, want)
		}
	}
}

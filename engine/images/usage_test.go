package images

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"farm/engine"
)

func TestStoredNamesTheMachinesThatStandOnALayer(t *testing.T) {
	h := newHost(t)
	s := open(t, h)
	b := base(t, s, preparation(nil))
	users := func(key string) []string {
		t.Helper()
		all, err := s.Stored(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(all, func(l Stored) bool { return l.Key == key })
		if i < 0 || all[i].Owner == "" {
			t.Fatalf("layer %.12s in %+v", key, all)
		}
		return all[i].Users
	}
	if got := users(b.Key); got == nil || len(got) > 0 {
		t.Errorf("before a machine: %#v", got)
	}
	vm := filepath.Join(s.Dir(), "machines", "vm")
	disks := overlay(t, s, b, vm)
	if got := users(b.Key); !slices.Equal(got, []string{vm}) {
		t.Errorf("with a machine: %q", got)
	}
	spec := freezeSpec(b, disks, "a")
	// What Continue makes: a file that is named after the layer to be.
	if err := os.WriteFile(filepath.Join(vm, "disk0-"+spec.Key[:12]+".qcow2"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	frozen, err := s.Freeze(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	if got := users(frozen.Key); !slices.Equal(got, []string{vm}) {
		t.Errorf("a machine that went on over the layer that it became: %q", got)
	}
	if err := s.Remove(t.Context(), frozen.Key); err == nil {
		t.Error("a layer that a machine went on over was removed")
	}
	if err := os.RemoveAll(vm); err != nil {
		t.Fatal(err)
	}
	if got := users(frozen.Key); len(got) > 0 {
		t.Errorf("after the machine: %q", got)
	}
	if err := s.Remove(t.Context(), frozen.Key); err != nil {
		t.Error(err)
	}
}

func TestFetchedListsEveryDownloadOnce(t *testing.T) {
	s := open(t, newHost(t))
	one := filepath.Join(s.Downloads(), "sha256-1")
	if err := os.WriteFile(one, make([]byte, 5000), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(one, filepath.Join(s.Downloads(), "sha512-1")); err != nil {
		t.Fatal(err)
	}
	all, err := s.Fetched(t.Context())
	if err != nil || len(all) != 1 || !slices.Equal(all[0].Names, []string{"sha256-1", "sha512-1"}) || all[0].Bytes < 5000 || all[0].Used.IsZero() {
		t.Fatalf("%+v, %v", all, err)
	}
	if err := s.Forget(t.Context(), all[0]); err != nil {
		t.Fatal(err)
	}
	if all, err := s.Fetched(t.Context()); err != nil || len(all) > 0 {
		t.Errorf("%+v, %v", all, err)
	}
	if err := s.Forget(t.Context(), Download{Names: []string{"../layers"}}); err == nil {
		t.Error("a name outside of the folder was taken")
	}
}

func TestBaseKeyIsThatOfBase(t *testing.T) {
	s := open(t, newHost(t))
	p := preparation(nil)
	key, inputs, err := s.BaseKey(t.Context(), p)
	if err != nil || len(inputs) == 0 {
		t.Fatalf("%v, %v", inputs, err)
	}
	if all, err := s.List(t.Context()); err != nil || len(all) > 0 {
		t.Fatalf("asking for the key made %+v, %v", all, err)
	}
	if b := base(t, s, p); b.Key != key {
		t.Errorf("%s, then %s", key, b.Key)
	}
}

var _ engine.Layers = (*Store)(nil)

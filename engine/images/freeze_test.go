package images

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"farm/engine"
)

func freezeSpec(l engine.Layer, disks []engine.MachineDisk, key string) engine.FreezeSpec {
	return engine.FreezeSpec{Key: strings.Repeat(key, 64), Name: "clean", Parent: l, Disks: disks, VM: "debian_12/amd64", HostKeys: []string{"ssh-ed25519 AAAA"}}
}

func TestFreezeMakesChain(t *testing.T) {
	h := newHost(t)
	s := open(t, h)
	l := base(t, s, preparation(nil))
	dir := filepath.Join(h.home, "vm")
	disks := overlay(t, s, l, dir)
	nvram := filepath.Join(dir, "nvram.fd")
	if err := os.WriteFile(nvram, []byte("vars"), 0o600); err != nil {
		t.Fatal(err)
	}
	spec := freezeSpec(l, disks, "a")
	spec.NVRAM = nvram
	clean, err := s.Freeze(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(disks[0].Path); !errors.Is(err, os.ErrNotExist) {
		t.Error("the overlay is still there: a machine could write into the layer")
	}
	if b, _ := os.ReadFile(clean.NVRAM); string(b) != "vars" {
		t.Errorf("NVRAM: %q", b)
	}
	found, err := s.Find(t.Context(), clean.Key)
	if err != nil || found.Parent != l.Key || found.HostKeys[0] != "ssh-ed25519 AAAA" {
		t.Fatalf("Find: %+v, %v", found, err)
	}
	top := overlay(t, s, found, dir)
	b, _ := os.ReadFile(top[0].Path)
	if head, err := ReadHeader(b, int64(len(b))); err != nil || head.Backing != clean.Disks[0].Path || head.VirtualBytes != 3<<30 {
		t.Errorf("overlay over the frozen layer: %+v, %v", head, err)
	}
	// The parent's damage is the child's.
	os.Chmod(l.Disks[0].Path, 0o644)
	os.Remove(l.Disks[0].Path)
	if _, err := s.Find(t.Context(), clean.Key); err == nil || errors.Is(err, engine.ErrNotExist) {
		t.Errorf("a layer over a broken parent: %v", err)
	}
}

func TestMemoryGoesIntoTheLayer(t *testing.T) {
	h := newHost(t)
	s := open(t, h)
	l := base(t, s, preparation(nil))
	dir := filepath.Join(h.home, "vm")
	spec := freezeSpec(l, overlay(t, s, l, dir), "a")
	spec.Memory = &engine.Memory{Path: filepath.Join(dir, "memory"), Bytes: 1 << 20, Needs: map[string]string{"QEMU": "7.2.22"}}
	if _, err := s.Freeze(t.Context(), spec); err == nil {
		t.Fatal("a layer was made without the memory that it was to have")
	}
	if _, err := s.Find(t.Context(), spec.Key); !errors.Is(err, engine.ErrNotExist) {
		t.Fatalf("half a layer: %v", err)
	}
	if err := os.WriteFile(spec.Memory.Path, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	clean, err := s.Freeze(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	found, err := s.Find(t.Context(), clean.Key)
	if err != nil || found.Memory == nil || found.Memory.Needs["QEMU"] != "7.2.22" || found.Bytes < 1<<20 {
		t.Fatalf("%+v, %v", found, err)
	}
	if st, err := os.Stat(found.Memory.Path); err != nil || st.Mode().Perm()&0o077 != 0 {
		t.Errorf("the memory in the layer: %v, %v", st, err)
	}
	if _, err := os.Stat(spec.Memory.Path); !errors.Is(err, os.ErrNotExist) {
		t.Error("the memory is still in the machine's folder")
	}
	os.Chmod(found.Memory.Path, 0o600)
	if err := os.WriteFile(found.Memory.Path, []byte("shorter"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Find(t.Context(), clean.Key); err == nil || !strings.Contains(err.Error(), "written after") {
		t.Errorf("a memory that was written: %v", err)
	}
}

func TestOnlyOneMakesALayer(t *testing.T) {
	h := newHost(t)
	s, other := open(t, h), open(t, h)
	l := base(t, s, preparation(nil))
	spec := freezeSpec(l, overlay(t, s, l, filepath.Join(h.home, "vm")), "c")
	release, err := s.Reserve(t.Context(), spec.Key)
	if err != nil {
		t.Fatal(err)
	}
	for name, store := range map[string]*Store{"the same process": s, "another": other} {
		if _, err := store.Reserve(t.Context(), spec.Key); !errors.Is(err, os.ErrExist) {
			t.Errorf("%s reserves it too: %v", name, err)
		}
	}
	if _, err := s.Freeze(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	release()
	if _, err := other.Reserve(t.Context(), spec.Key); !errors.Is(err, os.ErrExist) {
		t.Errorf("reserved although it is there: %v", err)
	}
	spec.Disks = overlay(t, s, l, filepath.Join(h.home, "vm2"))
	if _, err := other.Freeze(t.Context(), spec); !errors.Is(err, os.ErrExist) {
		t.Errorf("another's layer was taken for our own: %v", err)
	}
	if again, err := s.Reserve(t.Context(), strings.Repeat("d", 64)); err != nil {
		t.Error(err)
	} else {
		again()
	}
}

func TestFreezeRefusesForeignDisks(t *testing.T) {
	h := newHost(t)
	s := open(t, h)
	l := base(t, s, preparation(nil))
	disks := overlay(t, s, l, filepath.Join(h.home, "vm"))
	if err := os.WriteFile(disks[0].Path, qcow2(1<<30, "/etc/passwd", "raw"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Freeze(t.Context(), freezeSpec(l, disks, "b")); err == nil || !strings.Contains(err.Error(), `"/etc/passwd"`) {
		t.Fatalf("got %v", err)
	}
	if st, err := os.Stat(disks[1].Path); err != nil || st.Mode().Perm()&0o200 == 0 {
		t.Errorf("the other overlay is not as it was: %v, %v", st, err)
	}
	if layers, _ := s.List(t.Context()); len(layers) != 1 {
		t.Errorf("%d layers", len(layers))
	}
}

package images

import (
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"farm/engine"
	"farm/inventory"
	"farm/inventory/value"
)

func open(t *testing.T, h *host) *Store {
	t.Helper()
	s, err := Open(t.Context(), h, "~/farm")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func base(t *testing.T, s *Store, p engine.Preparation) engine.Layer {
	t.Helper()
	l, err := s.Base(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func overlay(t *testing.T, s *Store, l engine.Layer, dir string) []engine.MachineDisk {
	t.Helper()
	disks, err := s.Overlay(t.Context(), l, dir)
	if err != nil {
		t.Fatal(err)
	}
	return disks
}

// tree is every file below dir with its digest.
func tree(t *testing.T, dir string) map[string][32]byte {
	t.Helper()
	all := map[string][32]byte{}
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		all[p] = sha256.Sum256(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestBaseMakesOneLayerForTwentyAtOnce(t *testing.T) {
	h := newHost(t)
	// Two stores are two processes: they share nothing but the host.
	stores := []*Store{open(t, h), open(t, h)}
	var ran atomic.Int32
	gate := make(chan struct{})
	p := preparation(func(context.Context, *engine.Image) error { ran.Add(1); <-gate; return nil })
	var wg sync.WaitGroup
	keys, errs := make([]string, 20), make([]error, 20)
	for i := range keys {
		wg.Go(func() {
			l, err := stores[i%2].Base(t.Context(), p)
			keys[i], errs[i] = l.Key, err
		})
	}
	close(gate)
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if ran.Load() != 1 {
		t.Errorf("prepared %d times, not once", ran.Load())
	}
	for _, k := range keys {
		if k != keys[0] || k == "" {
			t.Fatalf("keys differ: %q and %q", k, keys[0])
		}
	}
	if left, _ := os.ReadDir(filepath.Join(stores[0].Dir(), "tmp")); len(left) != 0 {
		t.Errorf("work folders left: %v", left)
	}
}

func TestBaseLayerDisksAreReadOnlyAndResolved(t *testing.T) {
	s := open(t, newHost(t))
	l := base(t, s, preparation(nil))
	if len(l.Disks) != 2 || l.Disks[0].Type != "qcow2" || l.Disks[1].Serial != "scratch" {
		t.Fatalf("disks: %+v", l.Disks)
	}
	for _, d := range l.Disks {
		st, err := os.Stat(d.Path)
		if err != nil {
			t.Fatal(err)
		}
		if st.Mode().Perm() != 0o444 {
			t.Errorf("%s has the mode %v", d.Path, st.Mode())
		}
	}
	found, err := s.Find(t.Context(), l.Key)
	if err != nil || found.Disks[0].Path != l.Disks[0].Path || len(found.Inputs) == 0 || found.Bytes == 0 {
		t.Errorf("Find: %+v, %v", found, err)
	}
}

func TestBaseKeyFollowsArgumentsAndDisks(t *testing.T) {
	s := open(t, newHost(t))
	first := base(t, s, preparation(nil))
	p := preparation(nil)
	p.VM.ID = "another/name"
	if same := base(t, s, p); same.Key != first.Key {
		t.Error("the VM's name changed the key")
	}
	p.VM.Def.Metadata.Sources[0].BeforeProvision[0].Args = value.NewDict("name", "root.qcow2", "size", "1G", "extra", "x")
	if other := base(t, s, p); other.Key == first.Key {
		t.Error("an argument did not change the key")
	}
	p = preparation(nil)
	p.VM.Def.Disks[0].Size = "4G"
	if other := base(t, s, p); other.Key == first.Key {
		t.Error("a disk's size did not change the key")
	}
}

func TestBaseFailureLeavesNothing(t *testing.T) {
	boom := errors.New("boom")
	for name, tt := range map[string]struct {
		change func(*engine.Preparation)
		fault  engine.Fault
		want   string
	}{
		"callback fails": {func(p *engine.Preparation) {
			*p = preparation(func(context.Context, *engine.Image) error { return boom })
		}, engine.FarmFault, "boom"},
		"unknown callback": {func(p *engine.Preparation) { p.VM.Def.Metadata.Sources[0].BeforeProvision[0].Callback = "pot" }, engine.UserFault, `unknown callback "pot"`},
		"unknown argument": {func(p *engine.Preparation) {
			p.VM.Def.Metadata.Sources[0].BeforeProvision[0].Args = value.NewDict("nam", "x")
		}, engine.UserFault, `did you mean "name"?`},
		"missing disk":   {func(p *engine.Preparation) { p.VM.Def.Disks[0].Src = "nothing.qcow2" }, engine.UserFault, `"nothing.qcow2" is neither installed by a callback nor at`},
		"smaller disk":   {func(p *engine.Preparation) { p.VM.Def.Disks[0].Size = "10M" }, engine.UserFault, "disks only grow"},
		"wrong format":   {func(p *engine.Preparation) { p.VM.Def.Disks[0].Type = "raw" }, engine.FarmFault, "it is a qcow2 file, not a raw file"},
		"bad size":       {func(p *engine.Preparation) { p.VM.Def.Disks[1].Size = "big" }, engine.UserFault, `"big" is no size`},
		"neither source": {func(p *engine.Preparation) { p.VM.Def.Disks[1] = inventory.Disk{} }, engine.UserFault, "it needs `src`"},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, newHost(t))
			p := preparation(nil)
			tt.change(&p)
			_, err := s.Base(t.Context(), p)
			if err == nil || !strings.Contains(err.Error(), tt.want) || engine.FaultOf(err) != tt.fault {
				t.Fatalf("got %v (%s), want %q (%s)", err, engine.FaultOf(err), tt.want, tt.fault)
			}
			for file := range tree(t, s.Dir()) {
				if !strings.Contains(file, "/locks/") {
					t.Errorf("left behind: %s", file)
				}
			}
		})
	}
}

func TestBaseAfterKillStartsAfresh(t *testing.T) {
	h := newHost(t)
	s := open(t, h)
	ctx, kill := context.WithCancel(t.Context())
	_, err := s.Base(ctx, preparation(func(ctx context.Context, im *engine.Image) error {
		kill()
		return ctx.Err()
	}))
	if engine.FaultOf(err) != engine.Cancelled {
		t.Fatalf("cancelled preparation: %v (%s)", err, engine.FaultOf(err))
	}
	// What kill -9 leaves: a half-filled work folder. The key is the same as before.
	l := base(t, s, preparation(nil))
	if err := s.Remove(t.Context(), l.Key); err != nil {
		t.Fatal(err)
	}
	half := filepath.Join(s.Dir(), "tmp", l.Key+".HALF", "layer")
	if err := os.MkdirAll(half, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Find(t.Context(), l.Key); !errors.Is(err, engine.ErrNotExist) {
		t.Errorf("Find of a layer that was never finished: %v", err)
	}
	base(t, s, preparation(nil))
	if left, _ := os.ReadDir(filepath.Join(s.Dir(), "tmp")); len(left) != 0 {
		t.Errorf("work folders left: %v", left)
	}
}

func TestFindNoticesDamage(t *testing.T) {
	for name, damage := range map[string]func(file string) error{
		"gone":    os.Remove,
		"written": func(file string) error { return os.WriteFile(file, []byte("QFI\xfb"), 0o644) },
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, newHost(t))
			l := base(t, s, preparation(nil))
			os.Chmod(l.Disks[0].Path, 0o644)
			if err := damage(l.Disks[0].Path); err != nil {
				t.Fatal(err)
			}
			_, err := s.Find(t.Context(), l.Key)
			if err == nil || errors.Is(err, engine.ErrNotExist) {
				t.Fatalf("damage not noticed: %v", err)
			}
			again := base(t, s, preparation(nil))
			if _, err := s.Find(t.Context(), again.Key); err != nil {
				t.Errorf("after making it anew: %v", err)
			}
		})
	}
}

func TestOverlayStandsOnLayerAndGrows(t *testing.T) {
	h := newHost(t)
	s := open(t, h)
	p := preparation(nil)
	p.VM.Def.Disks = append(p.VM.Def.Disks, inventory.Disk{Src: filepath.Join(h.home, "seed.iso"), Type: "raw", ReadOnly: true})
	if err := os.WriteFile(filepath.Join(h.home, "seed.iso"), make([]byte, 4096), 0o644); err != nil {
		t.Fatal(err)
	}
	l := base(t, s, p)
	before := tree(t, s.layerDir(l.Key))
	dir := filepath.Join(h.home, "vm 1")
	disks := overlay(t, s, l, dir)
	if disks[2].Path != filepath.Join(h.home, "seed.iso") || disks[2].Type != "raw" {
		t.Errorf("the read-only disk: %+v", disks[2])
	}
	for i, want := range []int64{3 << 30, 100 << 20} {
		b, err := os.ReadFile(disks[i].Path)
		if err != nil {
			t.Fatal(err)
		}
		head, err := ReadHeader(b, int64(len(b)))
		if err != nil || head.Backing != l.Disks[i].Path || head.VirtualBytes != want || len(b) > 1<<20 {
			t.Errorf("overlay %d: %+v, %d bytes, %v", i, head, len(b), err)
		}
	}
	after := tree(t, s.layerDir(l.Key))
	for file, sum := range before {
		if after[file] != sum {
			t.Errorf("%s was written", file)
		}
	}
}

func TestOverlaysDoNotWaitForTheHostsDisk(t *testing.T) {
	h := newHost(t)
	s := open(t, h)
	l := base(t, s, preparation(nil))
	l.Disks[1].Cache = "writethrough"
	disks := overlay(t, s, l, filepath.Join(h.home, "vm"))
	if disks[0].Cache != "unsafe" || disks[1].Cache != "writethrough" {
		t.Errorf("cached as %q and %q", disks[0].Cache, disks[1].Cache)
	}
	if l.Disks[0].Cache != "" {
		t.Errorf("the layer itself says %q", l.Disks[0].Cache)
	}
}

func TestRemoveRefusesWhatIsUsed(t *testing.T) {
	h := newHost(t)
	s := open(t, h)
	l := base(t, s, preparation(nil))
	dir := filepath.Join(h.home, "vm")
	disks := overlay(t, s, l, dir)
	if err := s.Remove(t.Context(), l.Key); err == nil || !strings.Contains(err.Error(), dir) {
		t.Fatalf("removed under a running overlay: %v", err)
	}
	if _, err := s.Find(t.Context(), l.Key); err != nil {
		t.Fatalf("after the refusal: %v", err)
	}
	clean, err := s.Freeze(t.Context(), freezeSpec(l, disks, "c"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(t.Context(), l.Key); err == nil || !strings.Contains(err.Error(), `"clean"`) {
		t.Fatalf("removed under a layer: %v", err)
	}
	for _, key := range []string{clean.Key, l.Key} {
		if err := s.Remove(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Remove(t.Context(), l.Key); !errors.Is(err, engine.ErrNotExist) {
		t.Errorf("removed twice: %v", err)
	}
	if err := s.Remove(t.Context(), "../../etc"); err == nil || errors.Is(err, engine.ErrNotExist) {
		t.Errorf("a key that is a path: %v", err)
	}
}

func TestListIsOldestFirst(t *testing.T) {
	h := newHost(t)
	s := open(t, h)
	l := base(t, s, preparation(nil))
	if _, err := s.Freeze(t.Context(), freezeSpec(l, overlay(t, s, l, filepath.Join(h.home, "vm")), "d")); err != nil {
		t.Fatal(err)
	}
	layers, err := s.List(t.Context())
	if err != nil || len(layers) != 2 {
		t.Fatalf("%d layers, %v", len(layers), err)
	}
	if layers[1].Created.Before(layers[0].Created) || layers[0].Used.IsZero() {
		t.Errorf("order: %v, %v", layers[0], layers[1])
	}
}

// narrow is a host that runs only a few commands at once, as a connection over SSH does.
type narrow struct {
	*host
	room chan struct{}
}

func (n narrow) Exec(ctx context.Context, c engine.Cmd) (engine.Output, error) {
	leave, err := enter(ctx, n.room)
	if err != nil {
		return engine.Output{}, err
	}
	defer leave()
	return n.host.Exec(ctx, c)
}

func TestManyPreparationsFitFewSessions(t *testing.T) {
	s, err := Open(t.Context(), narrow{newHost(t), make(chan struct{}, 6)}, "~/farm")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	errs := make([]error, 12)
	for i := range errs {
		p := preparation(func(ctx context.Context, im *engine.Image) error {
			release, err := im.Lock(ctx, "download")
			if err == nil {
				release()
			}
			return err
		})
		p.VM.Def.Disks[0].Serial = strings.Repeat("x", i+1)
		wg.Go(func() { _, errs[i] = s.Base(t.Context(), p) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
}

func TestSweepLeavesWorkUnderWay(t *testing.T) {
	s := open(t, newHost(t))
	dead := strings.Repeat("d", 64) + ".X"
	if err := os.MkdirAll(filepath.Join(s.Dir(), "tmp", dead, "half"), 0o500); err != nil {
		t.Fatal(err)
	}
	p := preparation(func(ctx context.Context, im *engine.Image) error {
		for _, dry := range []bool{true, false} {
			got, err := s.Sweep(ctx, dry)
			if err != nil {
				return err
			}
			if !slices.Equal(names(got), []string{dead}) {
				t.Errorf("dry %v: swept %q", dry, got)
			}
			if _, err := os.Stat(filepath.Join(s.Dir(), "tmp", dead)); (err == nil) != dry {
				t.Errorf("dry %v: what a killed run left: %v", dry, err)
			}
		}
		_, err := os.Stat(im.TmpDir)
		return err
	})
	base(t, s, p)
}

package images

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"farm/engine"
	"farm/inventory"
)

// chain is a base with the layers clean and init over it.
func chain(t *testing.T, h *host, s *Store) (b, clean, init engine.Layer) {
	t.Helper()
	b = base(t, s, preparation(nil))
	clean = freeze(t, s, b, filepath.Join(h.home, "vm"), "a")
	return b, clean, freeze(t, s, clean, filepath.Join(h.home, "vm"), "b")
}

func freeze(t *testing.T, s *Store, parent engine.Layer, dir, key string) engine.Layer {
	t.Helper()
	l, err := s.Freeze(t.Context(), freezeSpec(parent, overlay(t, s, parent, dir), key))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// lose removes a layer's folder as people do to free space.
func lose(t *testing.T, s *Store, key string) {
	t.Helper()
	if out, err := exec.Command("rm", "-rf", s.layerDir(key)).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func stale(err error) bool {
	return err != nil && !errors.Is(err, engine.ErrNotExist) && strings.Contains(err.Error(), "stale")
}

func TestEveryMakingOfALayerHasItsOwnIdentity(t *testing.T) {
	h := newHost(t)
	s := open(t, h)
	b, clean, init := chain(t, h, s)
	if b.ID == "" || clean.ID == "" || b.ID == clean.ID || b.ParentID != "" || clean.ParentID != b.ID || init.ParentID != clean.ID {
		t.Fatalf("identities: %q/%q, %q/%q, %q/%q", b.ID, b.ParentID, clean.ID, clean.ParentID, init.ID, init.ParentID)
	}
	if found, err := s.Find(t.Context(), init.Key); err != nil || found.ID != init.ID || found.ParentID != clean.ID {
		t.Errorf("Find: %+v, %v", found, err)
	}
	lose(t, s, b.Key)
	if again := base(t, s, preparation(nil)); again.Key != b.Key || again.ID == b.ID {
		t.Errorf("made anew: key %.12s, then %.12s, ID %q, then %q", b.Key, again.Key, b.ID, again.ID)
	}
}

func TestBaseMadeAnewIsNeverPutUnderLayersOfTheFormer(t *testing.T) {
	h := newHost(t)
	s := open(t, h)
	b, clean, init := chain(t, h, s)
	backup := filepath.Join(h.home, "backup")
	if out, err := exec.Command("cp", "-a", filepath.Join(s.Dir(), "layers"), backup).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	lose(t, s, b.Key)
	var warned []string
	p := preparation(nil)
	p.Emit = func(e engine.Event) {
		if e.Kind == engine.Warning {
			warned = append(warned, e.Text)
		}
	}
	anew := base(t, s, p)
	for _, l := range []engine.Layer{clean, init} {
		if _, err := s.Find(t.Context(), l.Key); !errors.Is(err, engine.ErrNotExist) {
			t.Errorf("layer %.4s of the former base: %v", l.Key, err)
		}
	}
	if !slices.ContainsFunc(warned, func(w string) bool {
		return strings.Contains(w, "set aside") && strings.Contains(w, clean.Key[:12]) && strings.Contains(w, init.Key[:12])
	}) {
		t.Errorf("warnings: %q", warned)
	}
	// They come back from a backup, unchanged to the second.
	for _, l := range []engine.Layer{clean, init} {
		if out, err := exec.Command("cp", "-a", filepath.Join(backup, l.Key), s.layerDir(l.Key)).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	for _, l := range []engine.Layer{clean, init} {
		if _, err := s.Find(t.Context(), l.Key); !stale(err) {
			t.Errorf("layer %.4s over another base: %v", l.Key, err)
		}
		if _, err := s.Overlay(t.Context(), l, filepath.Join(h.home, "vm")); err == nil || !strings.Contains(err.Error(), "made anew") {
			t.Errorf("overlay on %.4s over another base: %v", l.Key, err)
		}
	}
	if _, err := s.Overlay(t.Context(), b, filepath.Join(h.home, "vm")); err == nil || !strings.Contains(err.Error(), "made anew") {
		t.Errorf("overlay on a base that is not the one found before: %v", err)
	}
	// What is stale is made anew, and what stood on it goes.
	again := freeze(t, s, anew, filepath.Join(h.home, "vm"), "a")
	if _, err := s.Find(t.Context(), again.Key); err != nil {
		t.Error(err)
	}
	if _, err := s.Find(t.Context(), init.Key); !errors.Is(err, engine.ErrNotExist) {
		t.Errorf("a layer over one made anew: %v", err)
	}
}

func TestTouchedBaseTakesItsLayersWithIt(t *testing.T) {
	h := newHost(t)
	s := open(t, h)
	b, _, init := chain(t, h, s)
	if out, err := exec.Command("touch", "-d", "@1", b.Disks[1].Path).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if anew := base(t, s, preparation(nil)); anew.ID == b.ID {
		t.Error("a touched base is used on")
	}
	if _, err := s.Find(t.Context(), init.Key); !errors.Is(err, engine.ErrNotExist) {
		t.Errorf("a layer of the former base: %v", err)
	}
}

func TestLayerWithoutIdentityIsStale(t *testing.T) {
	h := newHost(t)
	s := open(t, h)
	b, clean, init := chain(t, h, s)
	for _, l := range []engine.Layer{b, clean, init} {
		file := filepath.Join(s.layerDir(l.Key), "layer.json")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text = regexp.MustCompile(`(?m)^\t\t"(id|parent_id)": .*\n`).ReplaceAll(text, nil)
		if err := errors.Join(os.Chmod(file, 0o644), os.WriteFile(file, text, 0o444)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Find(t.Context(), l.Key); !stale(err) {
			t.Errorf("Find %.4s: %v", l.Key, err)
		}
	}
	if anew := base(t, s, preparation(nil)); anew.ID == "" {
		t.Error("the base was not made anew")
	}
	if layers, err := s.List(t.Context()); err != nil || len(layers) != 1 {
		t.Errorf("%d layers are left, %v", len(layers), err)
	}
}

// hooked is a host that calls before once, ahead of the first command with the script.
type hooked struct {
	*host
	script string
	before func()
	once   sync.Once
}

func (h *hooked) Exec(ctx context.Context, c engine.Cmd) (engine.Output, error) {
	if len(c.Argv) > 2 && strings.Contains(c.Argv[2], h.script) {
		h.once.Do(h.before)
	}
	return h.host.Exec(ctx, c)
}

func TestFreezeNoticesThatItsBaseIsMadeAnew(t *testing.T) {
	for name, script := range map[string]string{
		"before the files are linked": freezeScript, "before it gets its place": `mkdir "$1/uses"`, "after it got its place": standingScript,
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			other := open(t, h)
			b := base(t, other, preparation(nil))
			disks := overlay(t, other, b, filepath.Join(h.home, "vm"))
			s, err := Open(t.Context(), &hooked{host: h, script: script, before: func() {
				lose(t, other, b.Key)
				if anew := base(t, other, preparation(nil)); anew.ID == b.ID {
					t.Error("not made anew")
				}
			}}, "~/farm")
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.Freeze(t.Context(), freezeSpec(b, disks, "a"))
			if err == nil || errors.Is(err, os.ErrExist) {
				t.Fatalf("frozen over a base made anew: %v", err)
			}
			if _, err := other.Find(t.Context(), strings.Repeat("a", 64)); !errors.Is(err, engine.ErrNotExist) {
				t.Errorf("Find: %v", err)
			}
			for _, d := range disks {
				if st, err := os.Stat(d.Path); err != nil || st.Mode().Perm()&0o200 == 0 {
					t.Errorf("the overlay %q is not as it was: %v", d.Path, err)
				}
			}
			if left, _ := os.ReadDir(filepath.Join(s.Dir(), "tmp")); len(left) != 0 {
				t.Errorf("work folders left: %v", left)
			}
		})
	}
}

func TestBaseRefusesWhatIsNoRegularFile(t *testing.T) {
	for name, leave := range map[string]string{
		"a link as the disk": `ln -sf "$1" root.qcow2`, "a link beside it": `ln -s "$1" other`, "a dangling link": `ln -s nowhere x`,
		"a linked folder": `mkdir "$1.d"; cp "$1" "$1.d/f"; ln -s "$1.d" sub`, "a pipe": `mkfifo x`,
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			s := open(t, h)
			victim := filepath.Join(h.home, "victim")
			if err := os.WriteFile(victim, qcow2(1<<30, "", ""), 0o600); err != nil {
				t.Fatal(err)
			}
			p := preparation(nil)
			task := &p.VM.Def.Metadata.Sources[0]
			task.BeforeProvision = append(task.BeforeProvision, inventory.CallbackTask{Callback: "leave"})
			put := p.Callback
			p.Callback = func(name string) (engine.CallbackDef, error) {
				if name == "put" {
					return put(name)
				}
				return engine.CallbackDef{Name: name, New: func() engine.Callback { return &leaver{script: leave, arg: victim} }}, nil
			}
			_, err := s.Base(t.Context(), p)
			if err == nil || !strings.Contains(err.Error(), "no regular file") || engine.FaultOf(err) != engine.FarmFault {
				t.Errorf("got %v (%s)", err, engine.FaultOf(err))
			}
			if st, err := os.Stat(victim); err != nil || st.Mode().Perm() != 0o600 {
				t.Errorf("the link's target: %v, %v", st, err)
			}
		})
	}
}

// leaver is a callback that leaves what a script makes in the pool folder.
type leaver struct{ script, arg string }

func (l *leaver) Run(ctx context.Context, im *engine.Image) error {
	_, err := im.Conn.Exec(ctx, engine.Cmd{Argv: []string{"/bin/sh", "-c", l.script, "sh", l.arg}, Dir: im.PoolDir})
	return err
}

func TestLayerOwnsItsFilesAlone(t *testing.T) {
	h := newHost(t)
	s := open(t, h)
	mine := filepath.Join(h.home, "mine.qcow2")
	if err := os.WriteFile(mine, qcow2(1<<30, "", ""), 0o600); err != nil {
		t.Fatal(err)
	}
	p := preparation(func(_ context.Context, im *engine.Image) error {
		return os.Link(mine, filepath.Join(im.PoolDir, "data.qcow2"))
	})
	p.VM.Def.Disks[1].Src, p.VM.Def.Disks[1].Size = "data.qcow2", ""
	l := base(t, s, p)
	st, err := os.Stat(mine)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the file that a callback linked: %v, %v", st.Mode(), err)
	}
	if inner, err := os.Stat(l.Disks[1].Path); err != nil || os.SameFile(st, inner) {
		t.Errorf("the layer has somebody else's file: %v", err)
	}
}

func TestCheckFollowsNoLinkInTheStore(t *testing.T) {
	h := newHost(t)
	s := open(t, h)
	image := filepath.Join(h.home, "image")
	if err := os.WriteFile(image, qcow2(1<<30, "", ""), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{h.home, filepath.Join(s.Dir(), "tmp")} {
		if err := errors.Join(os.Symlink(image, filepath.Join(dir, "link")), os.Symlink(h.home, filepath.Join(dir, "folder"))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.check(t.Context(), filepath.Join(h.home, "link"), "qcow2"); err != nil {
		t.Errorf("a link of the user's own: %v", err)
	}
	for _, name := range []string{"link", "folder/image"} {
		if _, err := s.check(t.Context(), filepath.Join(s.Dir(), "tmp", name), "qcow2"); err == nil || !strings.Contains(err.Error(), "no regular file") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

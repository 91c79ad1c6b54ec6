package modules

import (
	"os"
	"path/filepath"
	"testing"

	"farm/engine/enginetest"
	"farm/inventory/value"
)

// twice checks that a task changes something, in check mode without doing it, and
// nothing when it runs again.
func (b *bench) twice(name, args string) {
	b.Helper()
	b.dry(name, args, "changed")
	b.check(name, args, "changed")
	b.check(name, args, "ok")
	b.dry(name, args, "ok")
}

func TestFileStates(t *testing.T) {
	b := newBench(t)
	b.twice("file", "{path: DIR/a/b c/d, state: directory, mode: '0750'}")
	for _, d := range []string{"a", "a/b c", "a/b c/d"} {
		if st, err := os.Stat(filepath.Join(b.dir, d)); err != nil || st.Mode().Perm() != 0o750 {
			t.Errorf("%s: %v %v", d, st, err)
		}
	}
	b.values(b.check("file", "{path: DIR/a/f, state: touch, mode: u=rw}", "changed"), "state", "file", "dest", b.dir+"/a/f", "size", 0)
	b.check("file", "{path: DIR/a/f, state: touch}", "changed")
	b.check("file", "{path: DIR/a/f, state: touch, access_time: preserve, modification_time: preserve}", "ok")
	b.twice("file", "{path: DIR/a/f, mode: 'u+x,g=u,o-rwx'}")
	b.holds("a/f", "", 0o770)
	b.twice("file", "{path: DIR/a/f, mode: 0640}")
	b.values(b.check("file", "path: DIR/a/f", "ok"), "mode", "0640", "state", "file", "uid", os.Getuid())
	b.check("file", "{path: DIR/none, state: file}", "failed")
	b.check("file", "path: DIR/none", "failed")
	b.check("file", "{path: DIR/a/f, state: directory}", "failed")
	b.twice("file", "{path: DIR/a, state: directory, recurse: true, mode: 'a=rX,u+w'}")
	b.holds("a/f", "", 0o644)
	b.write("a/b c/run", "")
	os.Chmod(b.dir+"/a/b c/run", 0o751)
	b.twice("file", "{path: DIR/a, state: directory, recurse: true, mode: 'u=rwX,go='}")
	b.holds("a/f", "", 0o600)
	b.holds("a/b c/run", "", 0o700)
	b.twice("file", "{path: DIR/a, state: absent}")
	b.only("")
	b.check("file", "{path: DIR, state: nonsense}", "failed")
	b.check("file", "{path: DIR, mode: rubbish}", "failed")
	b.check("file", "{path: DIR, mode: 77777}", "failed")
}

func TestFileLinks(t *testing.T) {
	b := newBench(t)
	b.write("target", "x")
	b.twice("file", "{src: target, path: DIR/link, state: link}")
	b.values(b.check("file", "{src: target, path: DIR/link, state: link}", "ok"), "src", "target", "state", "link")
	b.check("file", "{src: none, path: DIR/link2, state: link}", "failed")
	b.twice("file", "{src: none, path: DIR/link2, state: link, force: true}")
	b.check("file", "{src: link, path: DIR/target, state: link}", "failed")
	b.twice("file", "{src: DIR/target, path: DIR/hard, state: hard}")
	b.twice("file", "{path: DIR/link, state: file, mode: '0600'}")
	b.holds("target", "x", 0o600)
	b.twice("file", "{src: DIR/target, path: DIR/link2, state: link}")
	b.check("file", "{path: DIR/link, state: absent}", "changed")
	b.only("", "hard", "link2", "target")
}

func TestFileOwner(t *testing.T) {
	enginetest.NeedRoot(t, "only root can give files away")
	b := newBench(t)
	b.write("f", "")
	b.twice("file", "{path: DIR/f, owner: daemon, group: daemon, mode: '4755'}")
	b.values(b.check("file", "{path: DIR/f, owner: '1'}", "ok"), "owner", "daemon", "uid", 1, "mode", "04755")
	b.check("file", "{path: DIR/f, owner: no-such-user-here}", "failed")
}

func TestStatTells(t *testing.T) {
	b := newBench(t)
	t.Setenv("HOME", b.dir)
	b.write("f g", "hello")
	os.Symlink("f g", b.dir+"/link")
	os.Chmod(b.dir+"/f g", 0o751|os.ModeSetuid)
	stat := func(args string) *value.Dict {
		v, _ := b.check("stat", args, "ok").Values.Get("stat")
		return v.(*value.Dict)
	}
	for _, c := range []struct {
		args  string
		pairs []any
	}{
		{"path: ~/f g", []any{"exists", true, "path", b.dir + "/f g", "size", int64(5), "mode", "4751", "isreg", true, "isdir", false, "isuid", true,
			"checksum", "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d", "uid", int64(os.Getuid()), "readable", true, "xoth", true, "woth", false}},
		{"path: DIR/link", []any{"islnk", true, "lnk_target", "f g", "lnk_source", b.dir + "/f g"}},
		{"{path: DIR/link, follow: true}", []any{"islnk", false, "size", int64(5)}},
		{"{path: DIR/none}", []any{"exists", false}},
		{"path: DIR", []any{"isdir", true, "mode", "0755"}},
		{"{path: DIR/f g, checksum_algorithm: md5}", []any{"checksum", "5d41402abc4b2a76b9719d911017c592"}},
		{"path: /dev/null", []any{"ischr", true}},
	} {
		d := stat(c.args)
		for i := 0; i < len(c.pairs); i += 2 {
			if got, _ := d.Get(c.pairs[i]); got != c.pairs[i+1] {
				t.Errorf("%s: %v is %#v, want %#v", c.args, c.pairs[i], got, c.pairs[i+1])
			}
		}
	}
	if d := stat("{path: DIR/f g, get_checksum: false}"); d.Has("checksum") {
		t.Error("a checksum nobody asked for")
	}
}

func TestTempfileIsPrivate(t *testing.T) {
	b := newBench(t)
	for state, mode := range map[string]string{"file": "0600", "directory": "0700"} {
		r := b.check("tempfile", "{path: DIR, suffix: .iso, state: "+state+"}", "changed")
		b.values(r, "mode", mode, "state", state)
		p, _ := r.Values.Get("path")
		if filepath.Ext(p.(string)) != ".iso" || filepath.Dir(p.(string)) != b.dir {
			t.Error(p)
		}
	}
	b.check("tempfile", "{path: DIR/none}", "failed")
}

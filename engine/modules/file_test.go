package modules

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

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

func TestFileTimes(t *testing.T) {
	b := newBench(t)
	b.write("f", "")
	b.twice("file", "{path: DIR/f, modification_time: 2022-02-08 14, modification_time_format: '%Y-%m-%d %H', access_time: '202202081415.30'}")
	st, err := os.Stat(b.dir + "/f")
	if want := time.Date(2022, 2, 8, 14, 0, 0, 0, time.Local); err != nil || !st.ModTime().Equal(want) {
		t.Errorf("%v (%v), want %v", st.ModTime(), err, want)
	}
	b.twice("file", "{path: DIR/f, state: touch, modification_time: '202301010101.01', access_time: preserve}")
	b.check("file", "{path: DIR/f, modification_time: yesterday}", "failed")
	r := b.check("file", "{path: DIR/f, modification_time: '202402010101.01'}", "changed")
	after, _ := r.Diff.(*value.Dict).Get("after")
	if now, _ := after.(*value.Dict).Get("mtime"); now != fmt.Sprint(time.Date(2024, 2, 1, 1, 1, 1, 0, time.Local).Unix()) {
		t.Errorf("mtime after: %v", now)
	}
}

func TestFileRecursesWhereLinksLead(t *testing.T) {
	b := newBench(t)
	for _, name := range []string{"d/f", "e/g", "h"} {
		b.write(name, "")
	}
	for link, to := range map[string]string{"d/e": "../e", "d/h": "../h", "d/no": "nowhere", "e/d": "../d"} {
		os.Symlink(to, filepath.Join(b.dir, link))
	}
	b.twice("file", "{path: DIR/d, recurse: true, mode: 'u=rwX,go=', follow: false}")
	b.holds("h", "", 0o644)
	b.check("file", "{path: DIR/d, recurse: true, mode: 'u=rwX,go='}", "changed")
	b.check("file", "{path: DIR/d, recurse: true, mode: 'u=rwX,go='}", "ok")
	b.holds("h", "", 0o600)
	b.holds("e/g", "", 0o600)
	b.check("file", "{path: DIR/h, recurse: true, mode: '0600'}", "failed")
}

func TestFileRefusesAsAnsibleDoes(t *testing.T) {
	b := newBench(t)
	b.write("f", "")
	for args, want := range map[string]string{
		"{path: DIR/no, state: link}": "src is required for creating new symlinks", "{path: DIR/no, src: f}": "src option requires state to be 'link' or 'hard'",
		"{path: DIR/no, state: hard, src: DIR/none}": "src does not exist", "{path: DIR/f, recurse: true}": "recurse option requires state to be 'directory'",
	} {
		if r := b.check("file", args, "failed"); r.Msg != want {
			t.Errorf("%s: %q, want %q", args, r.Msg, want)
		}
	}
	r := b.check("file", "path: DIR/no", "failed")
	b.values(r, "state", "absent")
	b.task.Diff = true
	b.write("d/a/b", "")
	before, _ := b.check("file", "{path: DIR/d, state: absent}", "changed").Diff.(*value.Dict).Get("before")
	content, _ := before.(*value.Dict).Get("path_content")
	dirs, _ := content.(*value.Dict).Get("directories")
	files, _ := content.(*value.Dict).Get("files")
	if fmt.Sprint(dirs, files) != fmt.Sprintf("[%s/d/a] [%[1]s/d/a/b]", b.dir) {
		t.Errorf("%v %v", dirs, files)
	}
}

func TestFileFlags(t *testing.T) {
	s := newSystem(t, map[string]string{
		"lsattr": `echo "----$(cat flags)--------e------- $3"`,
		"chattr": `case $1 in +*) echo "$(cat flags)${1#+}" ;; -*) tr -d "${1#-}" <flags ;; esac >new; mv new flags`,
	})
	s.keep("flags", "d")
	s.write("f", "")
	for _, args := range []string{"+A", "-A", "Ad", "=A"} {
		s.cycle("file", "{path: DIR/f, attributes: '"+args+"'}")
	}
	s.called("chattr", "chattr +A -- "+s.dir+"/f", "chattr -A -- "+s.dir+"/f", "chattr +A -- "+s.dir+"/f", "chattr -d -- "+s.dir+"/f")
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

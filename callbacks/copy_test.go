package callbacks

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCopyAndInstall(t *testing.T) {
	im, _ := newImage(t)
	work := func(name string) string { return filepath.Join(im.TmpDir, name) }
	write(t, work("a.img"), "a")
	write(t, work("old.img"), "old")
	run := func(name string, args ...any) error { return callback(t, name, args...).Run(t.Context(), im) }
	if err := run("copy", "src", "a.img", "dest", "/home/user/tmp/b.img"); err != nil {
		t.Fatal(err)
	}
	if err := run("copy", "src", "a.img", "dest", "old.img", "force", false); err != nil || read(t, work("old.img")) != "old" {
		t.Errorf("force: false replaced the file: %v", err)
	}
	if err := run("install_to_libvirt", "src", "b.img", "dest", "sub/disk.img"); err != nil {
		t.Fatal(err)
	}
	if got := read(t, filepath.Join(im.PoolDir, "sub/disk.img")); got != "a" {
		t.Errorf("installed %q", got)
	}
	if err := run("install_to_libvirt", "src", "/home/user/tmp/a.img", "dest", "/home/user/images/c.img"); err != nil {
		t.Fatal(err)
	}
	if got := read(t, filepath.Join(im.PoolDir, "c.img")); got != "a" || len(im.Installed) != 2 {
		t.Errorf("installed %q, %v", got, im.Installed)
	}
	if err := run("install_to_libvirt", "src", "old.img", "dest", "c.img", "replace", false); err != nil || read(t, filepath.Join(im.PoolDir, "c.img")) != "a" {
		t.Errorf("replace: false replaced the file: %v", err)
	}
	for _, tt := range []struct{ callback, src, dest, want string }{
		{"copy", "missing.img", "x", `"missing.img" is not on localhost`},
		{"copy", "old.img", "/etc/x", "outside of the work folder"},
		{"install_to_libvirt", "old.img", "/etc/x", "outside of the pool folder"},
		{"install_to_libvirt", "old.img", "sub/..", "names no file"},
		{"install_to_libvirt", "old.img", "..", "outside of the pool folder"},
		{"install_to_libvirt", "old.img", "sub/../../x", "outside of the pool folder"},
		{"install_to_libvirt", "old.img", "../", "outside of the pool folder"},
		{"install_to_libvirt", "../old.img", "x", "outside of the work folder"},
		{"copy", "../../old.img", "x", "outside of the work folder"},
	} {
		if err := run(tt.callback, "src", tt.src, "dest", tt.dest); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: got %v", tt, err)
		}
	}
}

func TestLinksLeftByCallbacksAreRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		link string // in the work folder, to the victim or its folder
		dir  bool
		run  []any
	}{
		"install":             {"disk.raw", false, []any{"install_to_libvirt", "src", "disk.raw", "dest", "x.raw"}},
		"install from folder": {"sub", true, []any{"install_to_libvirt", "src", "sub/victim", "dest", "x.raw"}},
		"copy":                {"disk.raw", false, []any{"copy", "src", "disk.raw", "dest", "x.raw"}},
		"copy into folder":    {"sub", true, []any{"copy", "src", "ok.raw", "dest", "sub/victim"}},
		"convert":             {"disk.raw", false, []any{"img_convert", "src", "disk.raw", "dest", "x.qcow2", "from", "raw"}},
		"convert into folder": {"sub", true, []any{"img_convert", "src", "ok.raw", "dest", "sub/x.qcow2", "from", "raw"}},
		"extend":              {"disk.raw", false, []any{"extend_and_convert", "src", "disk.raw", "dest", "x.qcow2", "size", "1G"}},
		"unarchive":           {"disk.raw", false, []any{"unarchive", "src", "disk.raw", "dest", "x.raw"}},
		"set up":              {"disk.raw", false, []any{"setup_image", "src", "disk.raw"}},
	} {
		t.Run(name, func(t *testing.T) {
			im, _ := newImage(t)
			victim := filepath.Join(t.TempDir(), "victim")
			write(t, victim, "secret")
			write(t, filepath.Join(im.TmpDir, "ok.raw"), "ok")
			if err := os.Chmod(victim, 0o600); err != nil {
				t.Fatal(err)
			}
			target := victim
			if tt.dir {
				target = filepath.Dir(victim)
			}
			if err := os.Symlink(target, filepath.Join(im.TmpDir, tt.link)); err != nil {
				t.Fatal(err)
			}
			err := callback(t, tt.run[0].(string), tt.run[1:]...).Run(t.Context(), im)
			if err == nil || !strings.Contains(err.Error(), "symbolic link") {
				t.Errorf("got %v", err)
			}
			st, err := os.Stat(victim)
			if err != nil || st.Mode().Perm() != 0o600 || read(t, victim) != "secret" {
				t.Errorf("the link's target: %v, %v", st, err)
			}
			if files, _ := os.ReadDir(im.PoolDir); len(files) != 0 {
				t.Errorf("installed: %v", files)
			}
		})
	}
}

func TestInstallLeavesAFilesOtherNameAlone(t *testing.T) {
	im, _ := newImage(t)
	mine := filepath.Join(t.TempDir(), "mine")
	write(t, mine, "mine")
	if err := os.Chmod(mine, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(mine, filepath.Join(im.TmpDir, "disk.raw")); err != nil {
		t.Fatal(err)
	}
	if err := callback(t, "install_to_libvirt", "src", "disk.raw").Run(t.Context(), im); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(mine); err != nil || st.Mode().Perm() != 0o600 || read(t, filepath.Join(im.PoolDir, "disk.raw")) != "mine" {
		t.Errorf("the other name: %v, %v", st, err)
	}
}

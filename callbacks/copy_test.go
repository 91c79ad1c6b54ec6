package callbacks

import (
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
		{"copy", "missing.img", "x", `"missing.img" is not on testhost`},
		{"copy", "old.img", "/etc/x", "outside of the work folder"},
		{"install_to_libvirt", "old.img", "/etc/x", "outside of the pool folder"},
		{"install_to_libvirt", "old.img", "..", "names no file"},
	} {
		if err := run(tt.callback, "src", tt.src, "dest", tt.dest); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: got %v", tt, err)
		}
	}
}

package callbacks

import (
	"path/filepath"
	"strings"
	"testing"

	"farm/engine"
	"farm/inventory/value"
)

func TestPlaceStaysInTheWorkFolder(t *testing.T) {
	im := &engine.Image{TmpDir: "/work/1"}
	im.VM.Def.Metadata.TmpDir = "/home/user/tmp/"
	for name, want := range map[string]string{
		"x": "/work/1/x", "a/../x": "/work/1/x", "./a/b/../../x": "/work/1/x", "..x": "/work/1/..x", "a/..b": "/work/1/a/..b",
		"/home/user/tmp/x": "/work/1/x", "/home/user/tmp/../tmp/x": "/work/1/x", "/work/1/x": "/work/1/x",
		"../x": "", "../../x": "", "a/../../x": "", "..": "", "../1/x": "", "/x": "", "/home/user/tmp/../x": "", "/work/1/../2/x": "",
	} {
		got, err := place(im, name)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v, want %q", name, got, err, want)
		}
		if err != nil && (!strings.Contains(err.Error(), "is outside of the work folder; use a ") || engine.FaultOf(err) != engine.UserFault) {
			t.Errorf("%q: %v (%s)", name, err, engine.FaultOf(err))
		}
	}
}

func TestNoCallbackWritesOrReadsAboveItsFolders(t *testing.T) {
	im, _ := newImage(t)
	write(t, filepath.Join(im.TmpDir, "y.img"), "y")
	for name, args := range map[string][]any{
		"copy": {"src", "y.img"}, "fetch": {"src", filepath.Join(im.TmpDir, "y.img")}, "unarchive": {"src", "y.img"},
		"img_convert": {"src", "y.img"}, "extend_and_convert": {"src", "y.img", "size", "1G"}, "setup_cloudinit_iso": {},
		"install_to_libvirt": {"src", "y.img"}, "bootstrap": {}, "setup_image": {},
	} {
		wrong := "dest"
		if name == "setup_image" {
			wrong = "src"
		}
		for file, bad := range map[string]bool{"../x": true, "sub/../../x": true, "x.img": false, "sub/../y": name == "bootstrap"} {
			cb := callback(t, name, append(args, wrong, file)...)
			err := cb.(interface{ Rules() value.Rules }).Rules().Check(value.NewDict(wrong, file))
			if (err != nil) != bad {
				t.Errorf("%s with %s: %q: %v", name, wrong, file, err)
			}
			if !bad || name == "bootstrap" || name == "unarchive" || name == "setup_cloudinit_iso" || name == "extend_and_convert" {
				continue // they do other things first
			}
			if err := cb.Run(t.Context(), im); err == nil || !strings.Contains(err.Error(), "is outside of the ") || engine.FaultOf(err) != engine.UserFault {
				t.Errorf("%s with %s: %q: Run: %v", name, wrong, file, err)
			}
		}
	}
}

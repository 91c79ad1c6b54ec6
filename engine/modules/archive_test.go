package modules

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"farm/engine/enginetest"
)

// packed lists the names in an archive of the guest.
func (b *bench) packed(name string) string {
	b.Helper()
	script := map[string]string{"zip": `unzip -Z1 "$0"`, "tar": `tar -tf "$0"`}[name[strings.LastIndexByte(name, '.')+1:]]
	if script == "" {
		script = `tar -taf "$0"`
	}
	out, err := exec.Command("sh", "-c", script, b.dir+"/"+name).Output()
	if err != nil {
		b.Error(err)
	}
	return strings.Join(strings.Fields(strings.NewReplacer(" ", "_", "/\n", "\n").Replace(string(out))), " ")
}

func newArchives(t *testing.T) *bench {
	b := newBench(t)
	b.write("src/a", "a\n")
	b.write("src/sub/b c", "b\n")
	b.write("src/sub/x.tmp", "x\n")
	b.write("-dash\\n", "d\n")
	os.Symlink("a", b.dir+"/src/link")
	return b
}

func TestArchiveFormats(t *testing.T) {
	enginetest.Need(t, "zip", "unzip", "bzip2", "xz")
	b := newArchives(t)
	for format, end := range map[string]string{"gz": "tar.gz", "bz2": "tar.bz2", "xz": "tar.xz", "tar": "tar", "zip": "zip"} {
		args := fmt.Sprintf("{path: DIR/src, dest: DIR/o.%s, format: %s}", end, format)
		b.dry("archive", args, "changed")
		b.only("", "-dash\\n", "src")
		r := b.check("archive", args, "changed")
		b.values(r, "arcroot", b.dir+"/", "dest", b.dir+"/o."+end, "dest_state", "archive", "state", "file", "missing", "[]",
			"expanded_paths", "["+b.dir+"/src]")
		want := "src/sub src/a src/link src/sub/b_c src/sub/x.tmp"
		if got := b.packed("o." + end); got != want {
			t.Errorf("%s holds %q, want %q", end, got, want)
		}
		b.dry("archive", args, "ok")
		b.check("archive", args, "ok")
		os.Chtimes(b.dir+"/src/a", time.Now(), time.Now().Add(-time.Hour))
		b.write("src/a", format)
		b.check("archive", args, "changed")
		os.Remove(b.dir + "/o." + end)
	}
}

func TestArchiveOfWhatPathsName(t *testing.T) {
	b := newArchives(t)
	for args, want := range map[string]string{
		"{path: [DIR/src/sub, DIR/src/a]}":                                "a sub/b_c sub/x.tmp",
		"{path: DIR/src/}":                                                "sub a link sub/b_c sub/x.tmp",
		"{path: 'DIR/s*'}":                                                "src/sub src/a src/link src/sub/b_c src/sub/x.tmp",
		"{path: 'DIR/src/*', exclude_path: 'DIR/src/[al]*'}":              "sub/b_c sub/x.tmp",
		"{path: DIR/src, exclusion_patterns: ['*.tmp', 'src/l?nk']}":      "src/sub src/a src/sub/b_c",
		"{path: DIR/src/a, force_archive: true}":                          "a",
		"{path: [DIR/src/a, DIR/none]}":                                   "src/a",
		"{path: ['DIR/-dash\\n', DIR/src/a], exclude_path: DIR/src/none}": "-dash\\\\n src/a",
	} {
		r := b.check("archive", "{dest: DIR/o.tar, format: tar, "+trimBraces(args)+"}", "changed")
		if got := b.packed("o.tar"); got != want {
			t.Errorf("%s: %q, want %q", args, got, want)
		}
		if strings.Contains(args, "none]") {
			b.values(r, "dest_state", "incomplete", "missing", "["+b.dir+"/none]")
		}
		os.Remove(b.dir + "/o.tar")
	}
	b.values(b.check("archive", "{path: DIR/none, dest: DIR/o.tgz}", "ok"), "dest_state", "absent", "archived", "[]")
}

func TestArchiveCompressesAFile(t *testing.T) {
	b := newBench(t)
	b.write("f", "text\n")
	b.dry("archive", "path: DIR/f", "changed")
	r := b.check("archive", "{path: DIR/f, mode: '0600'}", "changed")
	b.values(r, "dest", b.dir+"/f.gz", "dest_state", "compress", "archived", "["+b.dir+"/f]", "mode", "0600")
	b.check("archive", "path: DIR/f", "ok")
	b.check("archive", "{path: DIR/f, mode: '0644'}", "changed")
	if out, err := exec.Command("gzip", "-dc", b.dir+"/f.gz").Output(); err != nil || string(out) != "text\n" {
		t.Errorf("%q, %v", out, err)
	}
	b.check("archive", "{path: DIR/f, remove: true}", "changed")
	b.only("", "f.gz")
	b.values(b.check("archive", "{path: DIR/f, dest: DIR/f.gz, remove: true}", "ok"), "dest_state", "compress", "missing", "["+b.dir+"/f]")
}

func TestArchiveRemoves(t *testing.T) {
	b := newArchives(t)
	b.dry("archive", "{path: DIR/src, dest: DIR/o.tgz, remove: true}", "changed")
	b.only("src", "a", "link", "sub")
	b.check("archive", "{path: DIR/src, dest: DIR/src/o.tgz, remove: true}", "failed")
	b.check("archive", "{path: DIR/src, dest: DIR/o.tgz, remove: true}", "changed")
	b.only("", "-dash\\n", "o.tgz")
}

func TestArchiveRefuses(t *testing.T) {
	b := newArchives(t)
	b.check("archive", "path: DIR/src", "failed")
	b.check("archive", "{path: 'DIR/none*', dest: DIR/x.tgz}", "failed")
	b.check("archive", "{path: DIR/src, dest: DIR/none/x.tgz}", "failed")
	b.check("archive", "{path: DIR/src, dest: DIR/x.tgz, format: rar}", "failed")
	b.write("src/new\nline", "")
	b.check("archive", "{path: DIR/src, dest: DIR/x.tgz}", "failed")
	b.only("", "-dash\\n", "src")
}

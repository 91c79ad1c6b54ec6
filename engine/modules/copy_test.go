package modules

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCopyWritesIntoFoldersThatTakeNoOtherFile(t *testing.T) {
	s := newSystem(t, map[string]string{"mv": `exit 1`})
	s.write("f", "old")
	s.check("copy", "{content: new, dest: DIR/f, unsafe_writes: true}", "changed")
	s.holds("f", "new", 0)
	if os.Getuid() == 0 {
		return // root may write everywhere
	}
	os.Chmod(s.dir, 0o500)
	defer os.Chmod(s.dir, 0o700)
	s.check("copy", "{content: newer, dest: DIR/f}", "failed")
	s.check("copy", "{content: newer, dest: DIR/f, unsafe_writes: true}", "changed")
	s.holds("f", "newer", 0)
}

func TestCopyRemoteTreeFollowsLinks(t *testing.T) {
	b := newBench(t)
	b.write("from/sub/f", "x")
	for link, to := range map[string]string{"l": "sub/f", "d": "sub", "none": "nowhere"} {
		os.Symlink(to, b.dir+"/from/"+link)
	}
	b.twice("copy", "{src: DIR/from/, dest: DIR/a, remote_src: true, local_follow: true}")
	b.twice("copy", "{src: DIR/from/, dest: DIR/b, remote_src: true}")
	for path, want := range map[string]string{"a/l": "", "a/d": "", "a/none": "nowhere", "b/l": "sub/f", "b/d": "sub", "b/none": "nowhere"} {
		if got, _ := os.Readlink(b.dir + "/" + path); got != want {
			t.Errorf("%s leads to %q, want %q", path, got, want)
		}
	}
	b.holds("a/d/f", "x", 0o644)
	b.holds("a/l", "x", 0o644)
}

func TestCopyTreeKeepsLinks(t *testing.T) {
	b := newBench(t)
	root := b.source + "/files/tree"
	b.write(root+"/sub/f", "x")
	for link, to := range map[string]string{"l": "sub/f", "d": "sub", "none": "nowhere", "sub/up": ".."} {
		if err := os.Symlink(to, root+"/"+link); err != nil {
			t.Fatal(err)
		}
	}
	b.twice("copy", "{src: tree, dest: DIR/a}")
	b.holds("a/tree/l", "x", 0)
	for path, want := range map[string]string{"a/tree/none": "nowhere", "a/tree/sub/up": "..", "a/tree/d/up": "..", "a/tree/l": ""} {
		if got, _ := os.Readlink(b.dir + "/" + path); got != want {
			t.Errorf("%s leads to %q, want %q", path, got, want)
		}
	}
	b.twice("copy", "{src: tree, dest: DIR/b, local_follow: false}")
	for path, want := range map[string]string{"b/tree/l": "sub/f", "b/tree/d": "sub", "b/tree/sub/up": ".."} {
		if got, _ := os.Readlink(b.dir + "/" + path); got != want {
			t.Errorf("%s leads to %q, want %q", path, got, want)
		}
	}
}

func TestCopyContent(t *testing.T) {
	b := newBench(t)
	b.twice("copy", `{content: "it's\n$HOME %s \\x", dest: DIR/f g, mode: '0600'}`)
	b.holds("f g", "it's\n$HOME %s \\x", 0o600)
	b.values(b.check("copy", "{content: hello, dest: DIR/f g}", "changed"), "checksum", "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d",
		"dest", b.dir+"/f g", "mode", "0600", "size", 5, "state", "file")
	b.check("copy", "{content: {a: 1, b: [x, 'y: z']}, dest: DIR/j}", "changed")
	b.holds("j", `{"a": 1, "b": ["x", "y: z"]}`, 0o644)
	b.twice("copy", "{content: '', dest: DIR/empty}")
	b.twice("copy", "{content: hello, dest: DIR/f g, mode: u+x}")
	r := b.check("copy", "{content: new, dest: DIR/f g, backup: true}", "changed")
	saved, _ := r.Values.Get("backup_file")
	if text, err := os.ReadFile(saved.(string)); string(text) != "hello" {
		t.Errorf("%q %v", text, err)
	}
	os.Remove(saved.(string))
	b.check("copy", "{content: newer, dest: DIR/f g, force: false}", "ok")
	b.check("copy", "{content: x, dest: DIR/new, force: false}", "changed")
	b.check("copy", "{content: x, dest: DIR}", "failed")
	b.check("copy", "{content: x, dest: DIR/no/such}", "failed")
	b.check("copy", "{content: x, dest: DIR/bad, validate: 'grep -q y %s'}", "failed")
	b.check("copy", "{content: y, dest: DIR/good, validate: 'grep -q y %s'}", "changed")
	b.check("copy", "{dest: DIR/x}", "failed")
	b.check("copy", "{content: x, dest: DIR/x, mode: 'x+y'}", "failed")
	b.only("", "empty", "f g", "good", "j", "new")
}

func TestCopyFile(t *testing.T) {
	b := newBench(t)
	big := strings.Repeat("0123456789\x00\xff\n", 20000)
	b.write(b.source+"/files/big", big)
	b.write(b.source+"/files/small", "s")
	os.Chmod(b.source+"/files/small", 0o751)
	b.twice("copy", "{src: big, dest: DIR/big2}")
	b.holds("big2", big, 0o644)
	b.twice("copy", "{src: small, dest: DIR, mode: preserve}")
	b.holds("small", "s", 0o751)
	b.twice("copy", "{src: small, dest: DIR/made/}")
	b.twice("copy", "{src: DIR/small, dest: DIR/made/other, remote_src: true, mode: preserve}")
	b.holds("made/other", "s", 0o751)
	b.check("copy", "{src: none, dest: DIR}", "failed")
	b.check("copy", "{src: DIR/none, dest: DIR/x, remote_src: true}", "failed")
	b.check("copy", "{src: small, dest: DIR/x, checksum: abc}", "failed")
	b.only("made", "other", "small")
}

func TestCopyOntoAFullDisk(t *testing.T) {
	b := newBench(t)
	b.write(b.source+"/files/big", strings.Repeat("0123456789\n", 20000))
	b.write(b.dir+"/big", "old")
	b.write(b.dir+"/bin/tee", "#!/bin/sh\nPATH=${PATH#*:}\nhead -c 1000 >\"$1\"\ncat\necho full >&2\nexit 1\n")
	os.Chmod(b.dir+"/bin/tee", 0o755)
	b.task.Env = map[string]string{"PATH": b.dir + "/bin:" + os.Getenv("PATH")}
	r := b.check("copy", "{src: big, dest: DIR/big}", "failed")
	if !strings.Contains(r.Msg, "did not arrive whole") {
		t.Errorf("it says %q", r.Msg)
	}
	b.holds("big", "old", 0o644)
	b.only("", "big", "bin")
}

func TestCopyReplacesOrFollowsALink(t *testing.T) {
	b := newBench(t)
	b.write("target", "old")
	os.Symlink("target", b.dir+"/link")
	b.check("copy", "{content: new, dest: DIR/link, follow: true}", "changed")
	b.holds("target", "new", 0)
	b.check("copy", "{content: newer, dest: DIR/link}", "changed")
	b.holds("target", "new", 0)
	if _, err := os.Readlink(b.dir + "/link"); err == nil {
		t.Error("the link is still there")
	}
}

func TestCopyFolder(t *testing.T) {
	b := newBench(t)
	for name, text := range map[string]string{"d/a": "1", "d/sub/b c": "2", "d/sub/deep/e": "3"} {
		b.write(b.source+"/files/"+name, text)
	}
	os.Mkdir(b.source+"/files/d/empty", 0o755)
	b.twice("copy", "{src: d, dest: DIR/x, directory_mode: '0700'}")
	b.holds("x/d/sub/b c", "2", 0o644)
	b.only("x/d", "a", "empty", "sub")
	b.twice("copy", "{src: d/, dest: DIR/y, mode: '0600'}")
	b.holds("y/sub/deep/e", "3", 0o600)
	b.write(b.source+"/files/d/a", "changed")
	b.twice("copy", "{src: d/, dest: DIR/y}")
	b.holds("y/a", "changed", 0o600)
	b.twice("copy", "{src: DIR/y, dest: DIR/z, remote_src: true}")
	b.holds("z/y/sub/b c", "2", 0o600)
	b.twice("copy", "{src: DIR/y/, dest: DIR/zz, remote_src: true}")
	b.holds("zz/a", "changed", 0o600)
}

func TestTemplateRenders(t *testing.T) {
	b := newBench(t)
	b.vars["name"] = "farm"
	b.write(b.source+"/templates/t.conf.j2", "hello {{ name }}\n")
	b.twice("template", "{src: t.conf.j2, dest: DIR, mode: '0640'}")
	b.holds("t.conf.j2", "hello farm\n", 0o640)
	b.twice("template", `{src: t.conf.j2, dest: DIR/crlf, newline_sequence: '\r\n'}`)
	b.holds("crlf", "hello farm\r\n", 0)
	b.write(b.source+"/templates/bad", "{{ missing }}")
	b.check("template", "{src: bad, dest: DIR/x}", "failed")
	b.check("template", "{src: none, dest: DIR/x}", "failed")
	b.only("", "crlf", "t.conf.j2")
}

func TestFetchAndSlurp(t *testing.T) {
	b := newBench(t)
	binary := string(bytes.Repeat([]byte{0, 1, 0x1e, 255, '\n'}, 5000))
	b.write("f", binary)
	out := t.TempDir()
	for _, want := range []string{"changed", "ok"} {
		b.check("fetch", "{src: DIR/f, dest: "+out+"}", want)
	}
	if got, err := os.ReadFile(filepath.Join(out, "guest", b.dir, "f")); string(got) != binary {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	b.check("fetch", "{src: DIR/f, dest: "+out+"/flat/, flat: true}", "changed")
	if _, err := os.Stat(out + "/flat/f"); err != nil {
		t.Error(err)
	}
	b.check("fetch", "{src: DIR/none, dest: "+out+"}", "failed")
	b.check("fetch", "{src: DIR/none, dest: "+out+", fail_on_missing: false}", "ok")
	b.check("fetch", "{src: DIR, dest: "+out+"}", "failed")
	b.values(b.check("slurp", "src: DIR/f", "ok"), "content", base64.StdEncoding.EncodeToString([]byte(binary)), "encoding", "base64")
	b.check("slurp", "src: DIR/none", "failed")
}

func TestFetchStaysInItsFolder(t *testing.T) {
	m := &Fetch{Dest: "/out"}
	for src, want := range map[string]string{"/etc/../../x": "/out/h/x", "../../x": "/out/h/x", "a": "/out/h/a"} {
		if got, err := m.target("", "h", src); got != want || err != nil {
			t.Errorf("%s: %s %v", src, got, err)
		}
	}
	if got, _ := m.target("", "../../h", "x"); got != "/out/h/x" {
		t.Error(got)
	}
}

// A shell's printf reads what begins with a dash as options.
func TestCopyContentThatBeginsWithADash(t *testing.T) {
	b := newBench(t)
	b.write("f", "old")
	b.task.Diff = true // the shell writes it
	b.check("copy", `{dest: DIR/f, content: "-----BEGIN x-----\n"}`, "changed")
	b.holds("f", "-----BEGIN x-----\n", 0)
}

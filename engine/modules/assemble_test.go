package modules

import (
	"os"
	"testing"
)

// The texts are what ansible-core leaves.
func TestAssemble(t *testing.T) {
	b := newBench(t)
	b.write("src/2", "two")
	b.write("src/1 a", "one\n")
	b.write("src/.hidden", "h\n")
	b.write("src/3", "")
	b.write("src/4", "four\n")
	b.write("src/sub/5", "not seen\n")
	os.Symlink("4", b.dir+"/src/link")
	for args, want := range map[string]string{
		"{}":                                   "h\none\ntwo\n\nfour\nfour\n",
		"{ignore_hidden: true}":                "one\ntwo\n\nfour\nfour\n",
		"{regexp: '^[124]'}":                   "one\ntwo\nfour\n",
		"{regexp: '^[12]', delimiter: '--'}":   "one\n--\ntwo",
		`{regexp: '^[12]', delimiter: '-\n'}`:  "one\n-\ntwo",
		`{regexp: '^[24]', delimiter: '\x41'}`: "two\nA\nfour\n",
		"{regexp: none}":                       "",
	} {
		args = "{src: DIR/src, dest: DIR/out, mode: '0640', " + trimBraces(args) + "}"
		b.dry("assemble", args, "changed")
		b.only("", "src")
		b.values(b.check("assemble", args, "changed"), "state", "file", "mode", "0640", "msg", "OK")
		b.holds("out", want, 0o640)
		b.check("assemble", args, "ok")
		os.Remove(b.dir + "/out")
	}
	b.write("out", "old\n")
	r := b.check("assemble", "{src: DIR/src, dest: DIR/out, regexp: 4, backup: true, validate: grep -q four %s}", "changed")
	if _, ok := r.Values.Get("backup_file"); !ok {
		t.Error("no backup")
	}
	b.check("assemble", "{src: DIR/src, dest: DIR/out, regexp: 1, validate: grep -q four %s}", "failed")
	b.holds("out", "four\n", 0)
	b.check("assemble", "{src: DIR/none, dest: DIR/out}", "failed")
	b.check("assemble", "{src: DIR/out, dest: DIR/out}", "failed")
	b.check("assemble", "{src: DIR/src, dest: DIR/out, regexp: '('}", "failed")
}

func TestAssembleOfTheController(t *testing.T) {
	b := newBench(t)
	b.write(b.source+"/files/d/b", "b")
	b.write(b.source+"/files/d/a", "a")
	b.write(b.source+"/files/d/sub/c", "c")
	args := `{src: d, dest: DIR/out, remote_src: false, delimiter: '#\n'}`
	b.dry("assemble", args, "changed")
	b.check("assemble", args, "changed")
	b.holds("out", "a\n#\n\nb", 0)
	b.check("assemble", args, "ok")
	b.check("assemble", "{src: none, dest: DIR/out, remote_src: false}", "failed")
	b.check("assemble", "{src: d/a, dest: DIR/out, remote_src: false}", "failed")
}

package modules

import (
	"crypto/sha1"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"farm/inventory/value"
)

// The texts are what ansible-core leaves.
func TestLineinfile(t *testing.T) {
	for i, c := range []struct{ before, args, after string }{
		{"a\nb\n", "line: c", "a\nb\nc\n"},
		{"a\nb", "line: c", "a\nb\nc\n"},
		{"", "line: c", "c\n"},
		{"x=1\ny=2\nx=3\n", "{regexp: ^x=, line: x=9}", "x=1\ny=2\nx=9\n"},
		{"x=1\ny=2\nx=3\n", "{regexp: ^x=, line: x=9, firstmatch: true}", "x=9\ny=2\nx=3\n"},
		{"x=1\n", `{regexp: '^(x)=(\d)', line: '\1 is \g<2>\n', backrefs: true}`, "x is 1\n\n"},
		{"a\nb\n", "{line: n, insertafter: ^a}", "a\nn\nb\n"},
		{"a\nb\n", "{line: n, insertbefore: ^b}", "a\nn\nb\n"},
		{"a\nb\n", "{line: n, insertbefore: BOF}", "n\na\nb\n"},
		{"a\nb\n", "{line: n, insertafter: none}", "a\nb\nn\n"},
		{"a\r\nb\r\n", "{regexp: a, line: n}", "n\nb\r\n"},
		{"a\nb\na\n", "{line: a, state: absent}", "b\n"},
		{"a1\nb\na2\n", "{regexp: '^a(?=2)', state: absent}", "a1\nb\n"},
		{"a.b\naxb\n", "{search_string: a.b, line: n}", "n\naxb\n"},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			b := newBench(t)
			b.write("f", c.before)
			os.Chmod(b.dir+"/f", 0o640)
			args := fmt.Sprintf("{path: DIR/f, %s}", trimBraces(c.args))
			b.dry("lineinfile", args, "changed")
			b.holds("f", c.before, 0)
			b.check("lineinfile", args, "changed")
			b.holds("f", c.after, 0o640)
			if c.args[0] != '{' || c.after != "x is 1\n\n" {
				b.check("lineinfile", args, "ok")
			}
			b.only("", "f")
		})
	}
}

func trimBraces(s string) string {
	if s[0] == '{' {
		return s[1 : len(s)-1]
	}
	return s
}

func TestLineinfileAndMissingFiles(t *testing.T) {
	b := newBench(t)
	b.check("lineinfile", "{path: DIR/f, line: a}", "failed")
	b.twice("lineinfile", "{path: DIR/new/f, line: a, create: true, mode: '0600'}")
	b.holds("new/f", "a\n", 0o600)
	b.check("lineinfile", "{path: DIR/none, line: a, state: absent}", "ok")
	b.check("lineinfile", "{path: DIR/new/f, line: b, validate: 'grep -q z %s'}", "failed")
	b.check("lineinfile", "{path: DIR/new/f, regexp: '(', line: b}", "failed")
	b.check("lineinfile", "{path: DIR/new/f, regexp: 'nope', line: b, backrefs: true}", "ok")
	b.check("lineinfile", "{path: DIR/new/f}", "failed")
	b.only("", "new")
	b.only("new", "f")
	os.Symlink("f", b.dir+"/new/link")
	b.check("lineinfile", "{path: DIR/new/link, line: c}", "changed")
	b.holds("new/f", "a\nc\n", 0)
}

func TestLineinfileWarnsOfEmptyExpressions(t *testing.T) {
	b := newBench(t)
	for _, arg := range []string{"regexp", "search_string"} {
		b.write("f", "a\nb\n")
		r := b.check("lineinfile", "{path: DIR/f, "+arg+": '', line: c}", "changed")
		if list, _ := r.Values.Get("warnings"); list == nil {
			t.Errorf("%s: no warning", arg)
		}
	}
	b.holds("f", "a\nc\n", 0)
}

func TestMissingFilesAreCalledAsAnsibleDoes(t *testing.T) {
	b := newBench(t)
	b.write("f", "")
	for _, c := range []struct{ module, args, end string }{
		{"lineinfile", "{path: DIR/no, line: a}", "no does not exist !"}, {"replace", "{path: DIR/no, regexp: a}", "no does not exist !"},
		{"replace", "{path: DIR, regexp: a}", " is a directory !"}, {"blockinfile", "{path: DIR/f/g, block: a}", " is below a file"},
	} {
		if r := b.check(c.module, c.args, "failed"); !strings.HasSuffix(r.Msg, c.end) {
			t.Errorf("%s %s: %q", c.module, c.args, r.Msg)
		}
	}
	for path, part := range map[string]string{"no": "file not found", ".": "source is a directory and must be a file", "f/g": "unable to slurp file"} {
		if r := b.check("slurp", "{src: DIR/"+path+"}", "failed"); !strings.HasPrefix(r.Msg, part) {
			t.Errorf("slurp %s: %q", path, r.Msg)
		}
	}
}

func TestContentMayBeginWithADash(t *testing.T) {
	b := newBench(t)
	for _, text := range []string{"-----BEGIN KEY-----", "--", "-n"} {
		b.twice("copy", "{content: '"+text+"', dest: DIR/f, backup: true}") // backup: by the script
		b.holds("f", text, 0)
	}
}

func TestPathsHaveVariables(t *testing.T) {
	b := newBench(t)
	t.Setenv("FARM_HERE", b.dir)
	b.check("copy", "{content: x, dest: $FARM_HERE/a}", "changed")
	b.check("copy", "{content: x, dest: '${FARM_HERE}/$NO_SUCH${NO}$'}", "changed")
	b.values(b.check("slurp", "{src: $FARM_HERE/a}", "ok"), "source", b.dir+"/a")
	b.check("lineinfile", "{path: '${FARM_HERE}/a', line: y}", "changed")
	b.twice("file", "{path: $FARM_HERE/d, state: directory}")
	b.only("", "$NO_SUCH${NO}$", "a", "d")
}

func TestBlockinfileSearchesWholeText(t *testing.T) {
	b := newBench(t)
	b.write("f", "a =\n (b\n)\na =\n")
	b.twice("blockinfile", `{path: DIR/f, block: x, marker: "#{mark}", insertafter: '(?m)a =\n \(b'}`)
	b.holds("f", "a =\n (b\n#BEGIN\nx\n#END\n)\na =\n", 0)
	b.write("f", "a\nb =\n (b\n")
	b.twice("blockinfile", `{path: DIR/f, block: x, marker: "#{mark}", insertbefore: '(?m)^b =\n'}`)
	b.holds("f", "a\n#BEGIN\nx\n#END\nb =\n (b\n", 0)
}

func TestBlockinfile(t *testing.T) {
	b := newBench(t)
	b.write("f", "a\nb\n")
	b.twice("blockinfile", `{path: DIR/f, block: "x\ny\n"}`)
	b.holds("f", "a\nb\n# BEGIN ANSIBLE MANAGED BLOCK\nx\ny\n# END ANSIBLE MANAGED BLOCK\n", 0)
	b.twice("blockinfile", "{path: DIR/f, block: z}")
	b.holds("f", "a\nb\n# BEGIN ANSIBLE MANAGED BLOCK\nz\n# END ANSIBLE MANAGED BLOCK\n", 0)
	b.twice("blockinfile", "{path: DIR/f, block: m, marker: '; {mark}', insertafter: ^a}")
	b.holds("f", "a\n; BEGIN\nm\n; END\nb\n# BEGIN ANSIBLE MANAGED BLOCK\nz\n# END ANSIBLE MANAGED BLOCK\n", 0)
	b.twice("blockinfile", "{path: DIR/f, state: absent}")
	b.twice("blockinfile", "{path: DIR/f, block: '', marker: '; {mark}'}")
	b.holds("f", "a\nb\n", 0)
	b.twice("blockinfile", "{path: DIR/n, block: q, create: true}")
	b.check("blockinfile", "{path: DIR/none, block: q}", "failed")
	b.check("blockinfile", "{path: DIR/f, block: q, marker: x}", "failed")
}

func TestReplace(t *testing.T) {
	b := newBench(t)
	text := "host é1 old\nhost b2 old\nend\n"
	b.write("f", text)
	b.twice("replace", `{path: DIR/f, regexp: '^host (?P<n>\w)(\d) old$', replace: '\2=\g<n>', after: "é1 old", before: end}`)
	b.holds("f", "host é1 old\n2=b\nend\n", 0)
	r := b.check("replace", "{path: DIR/f, regexp: '[eé]', replace: E}", "changed")
	if r.Msg != "2 replacements made" {
		t.Error(r.Msg)
	}
	b.check("replace", "{path: DIR/f, regexp: E, replace: '\\7'}", "failed")
	b.check("replace", "{path: DIR/f, regexp: E, replace: x, after: nowhere}", "ok")
	b.check("replace", "{path: DIR/none, regexp: a}", "failed")
}

func TestFind(t *testing.T) {
	b := newBench(t)
	for _, f := range []string{"a.log", "b.txt", ".hidden.log", "sub/c.log", "sub/deep/new\nline.log"} {
		b.write(f, f)
	}
	b.write("big.bin", string(make([]byte, 5000)))
	os.Symlink("a.log", b.dir+"/l.log")
	for args, want := range map[string]string{
		"{}":                                 "[a.log b.txt big.bin]",
		"patterns: '*.log'":                  "[a.log]",
		"{patterns: '*.log', hidden: true}":  "[.hidden.log a.log]",
		"{patterns: '*.log', recurse: true}": "[a.log sub/c.log sub/deep/new\nline.log]",
		"{patterns: '*.log', recurse: true, depth: 2}":     "[a.log sub/c.log]",
		"{patterns: ['a.*', '*.txt']}":                     "[a.log b.txt]",
		"{patterns: '[ab]\\.(log|txt)$', use_regex: true}": "[a.log b.txt]",
		"{file_type: directory}":                           "[sub]",
		"{file_type: link}":                                "[l.log]",
		"{size: 1k}":                                       "[big.bin]",
		"{size: -1k}":                                      "[a.log b.txt]",
		"{age: 1d}":                                        "[]",
		"{age: -1d, excludes: '*.bin'}":                    "[a.log b.txt]",
		"{contains: '^b.t'}":                               "[b.txt]",
		"{contains: 'txt'}":                                "[]", // from the beginning of a line on
		`{contains: '(?!a)\w\.txt$'}`:                      "[b.txt]",
		`{contains: 't\Z', read_whole_file: true}`:         "[b.txt]",
	} {
		r := b.check("find", fmt.Sprintf("{paths: DIR, %s}", trimBraces(args)), "ok")
		list, _ := r.Values.Get("files")
		got := []string{}
		for _, f := range list.([]any) {
			p, _ := f.(*value.Dict).Get("path")
			got = append(got, p.(string)[len(b.dir)+1:])
		}
		slices.Sort(got)
		if fmt.Sprint(got) != want {
			t.Errorf("%s: %q, want %q", args, got, want)
		}
		b.values(r, "matched", len(got))
	}
	r := b.check("find", "{paths: [DIR/none, DIR], patterns: a.log, get_checksum: true}", "ok")
	b.values(r, "matched", 1)
	list, _ := r.Values.Get("files")
	if sum, _ := list.([]any)[0].(*value.Dict).Get("checksum"); sum != fmt.Sprintf("%x", sha1.Sum([]byte("a.log"))) {
		t.Error(sum)
	}
	b.check("find", "{paths: DIR, age: soon}", "failed")
}

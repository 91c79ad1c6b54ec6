package modules

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"farm/engine"
)

// keeping is a bench whose run keeps files in a folder, which it returns.
func keeping(t *testing.T) (*bench, string) {
	b := newBench(t)
	b.task.Artifacts = filepath.Join(t.TempDir(), "artifacts")
	return b, b.task.Artifacts
}

// tree lists the files below dir, with their texts.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		all = append(all, name+"="+string(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, " ")
}

func TestArtifactKeepsFilesFoldersAndGlobs(t *testing.T) {
	b, dir := keeping(t)
	b.write("build/one.log", "1")
	b.write("build/two words.log", "2")
	b.write("build/sub/deep", "3")
	b.write("build/.hidden", "4")
	r := b.check("artifact", "src: DIR/build/*.log", "ok")
	if got := tree(t, dir); got != "one.log=1 two words.log=2" {
		t.Error(got)
	}
	b.values(r, "dest", dir, "size", 2)
	if !strings.Contains(b.shown(), "2 files kept in "+dir) {
		t.Error(b.shown())
	}
	b.check("artifact", "{src: [DIR/build/], dest: all/of it}", "ok")
	if got := tree(t, filepath.Join(dir, "all/of it")); got != "build/.hidden=4 build/one.log=1 build/sub/deep=3 build/two words.log=2" {
		t.Error(got)
	}
	b.write("build/one.log", "changed")
	b.check("artifact", "src: [DIR/build/one.log, DIR/build/one.log]", "ok")
	if got := tree(t, dir); !strings.Contains(got, " one.log=changed") {
		t.Error(got)
	}
}

func TestArtifactRefuses(t *testing.T) {
	b, dir := keeping(t)
	b.write("a/log", "1234567890")
	b.write("b/log", "2")
	for args, want := range map[string]string{
		"src: DIR/none":                            "nothing matches",
		"src: [DIR/a/log, DIR/b/log]":              "would both be",
		"{src: DIR/a/log, dest: ../up}":            "no folder in the run's",
		"{src: DIR/a/log, dest: /abs}":             "no folder in the run's",
		"{src: DIR/a/log, max_size: 9}":            "larger than max_size",
		"{src: DIR/a/log, max_size: -9}":           "no size",
		"{src: DIR/a/log, max_size: some}":         "no size",
		"{src: /dev/null}":                         "neither a file nor a folder",
		"{src: [DIR/a/log, DIR/b], max_size: 10b}": "larger than max_size",
	} {
		if r := b.check("artifact", args, "failed"); !strings.Contains(r.Msg, want) {
			t.Errorf("%s: %q", args, r.Msg)
		}
	}
	b.check("artifact", "{src: DIR/none*, fail_on_missing: false}", "ok")
	b.dry("artifact", "src: DIR/a/log", "skipped")
	b.task.Artifacts = ""
	if r := b.check("artifact", "src: DIR/a/log", "failed"); !strings.Contains(r.Msg, "only farm run and farm play") {
		t.Error(r.Msg)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".farm-*")); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

func TestGatheredNamesStayInside(t *testing.T) {
	for _, c := range [][3]string{
		{"", "/var/log/x", "x"}, {"", "../../x", "x"}, {"", "x/..", "."}, {"", "/", "."},
		{"/src", "/src/a/b", "src/a/b"}, {"/src", "/src/../../etc/passwd", "etc/passwd"}, {"/", "/etc/x", "etc/x"},
		{"/a/..", "/a/../../../x", "x"}, {"..", "../../x", "x"}, {"/src", "/etc/x", "src/etc/x"}, {"/s", "/s/\xff", "s/\uFFFD"},
	} {
		got := nameOf(c[0], c[1])
		if got == "" {
			got = "."
		}
		if got != c[2] || !filepath.IsLocal(got) {
			t.Errorf("%q in %q is %q, want %q", c[1], c[0], got, c[2])
		}
	}
}

const twoSuites = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites><testsuite name="s" tests="4">
<testcase name="good" classname="c" time="1.5"><system-out>said</system-out></testcase>
<testcase name="bad" time="1,000.25"><failure message="not 2">at line 7</failure></testcase>
<testcase name="odd"><error message="crash"/><failure message="too"/></testcase>
<testsuite name="inner"><testcase name="later"><skipped message="no network"/></testcase></testsuite>
</testsuite></testsuites>`

func TestJUnitResultsTellEachTest(t *testing.T) {
	b, dir := keeping(t)
	b.write("r/one.xml", twoSuites)
	b.write("r/two.xml", `<testsuite name="t"><testcase name="fine"/></testsuite>`)
	r := b.check("junit_results", "src: DIR/r/*.xml", "failed")
	if want := "2 of 5 tests failed\ns: bad: not 2\ns: odd: crash"; r.Msg != want {
		t.Errorf("%q", r.Msg)
	}
	counts, _ := r.Values.Get("counts")
	b.values(r, "failing", []any{"s: bad", "s: odd"}, "dest", filepath.Join(dir, "junit"))
	if got, _ := counts.(interface{ MarshalJSON() ([]byte, error) }).MarshalJSON(); string(got) != `{"tests":5,"passed":2,"failures":1,"errors":1,"skipped":1}` {
		t.Errorf("%s", got)
	}
	var s engine.State
	for _, e := range b.events {
		e.VM = "vm"
		s.Apply(e)
	}
	vm := s.VMs["vm"]
	if n := vm.Tests().String(); n != "2 passed, 1 failed, 1 with errors, 1 skipped" || len(vm.Kept) != 1 {
		t.Errorf("%s, %q", n, vm.Kept)
	}
	want := []engine.Test{
		{Name: "good", Class: "c", Status: engine.OK, ElapsedMS: 1500},
		{Name: "bad", Class: "s", Status: engine.Failed, Text: "not 2\nat line 7", ElapsedMS: 1000250},
		{Name: "odd", Class: "s", Status: engine.NoVerdict, Text: "crash\ntoo"},
		{Name: "later", Class: "inner", Status: engine.Skipped, Text: "no network"},
	}
	for i, got := range vm.Reports[0].Tests {
		if got != want[i] {
			t.Errorf("%+v, want %+v", got, want[i])
		}
	}
	b.check("junit_results", "{src: DIR/r, fail: false}", "ok")
	b.check("junit_results", "{src: DIR/r/two.xml, dest: other}", "ok")
	b.dry("junit_results", "src: DIR/r", "skipped")
}

func TestJUnitResultsWantEvidence(t *testing.T) {
	b, _ := keeping(t)
	b.write("empty.xml", "")
	b.write("none.xml", "<testsuites/>")
	b.write("page.xml", "<html></html>")
	b.write("cut.xml", twoSuites[:200])
	for args, want := range map[string]string{
		"src: DIR/no*.html":                  "nothing matches",
		"src: DIR/none.xml":                  "no test is in 1 report",
		"src: DIR/empty.xml":                 "it is empty",
		"{src: DIR/page.xml, fail: false}":   "its first element is <html>",
		"{src: DIR/cut.xml, fail: false}":    "no whole JUnit report",
		"{src: DIR/none.xml, dest: ../none}": "no folder in the run's",
	} {
		if r := b.check("junit_results", args, "failed"); !strings.Contains(r.Msg, want) {
			t.Errorf("%s: %q", args, r.Msg)
		}
	}
	b.check("junit_results", "{src: DIR/none.xml, fail: false}", "ok")
	b.check("junit_results", "{src: DIR/no*.html, fail_on_missing: false}", "ok")
}

func TestReportsAreBounded(t *testing.T) {
	plain := func(s string) string { return s }
	long := strings.Repeat("x", 2*maxTestText)
	one := `<testcase name="` + long + `"><failure message="m">` + long + `</failure></testcase>`
	tests, err := readJUnit([]byte("<testsuite>"+strings.Repeat(one, 200)+"</testsuite>"), plain, newAllowance())
	if err != nil || len(tests) != 200 {
		t.Fatal(len(tests), err)
	}
	total := 0
	for _, one := range tests {
		if total += len(one.Text); len(one.Name) > maxTestName+3 || len(one.Text) > maxTestText+3 {
			t.Fatalf("%d, %d bytes", len(one.Name), len(one.Text))
		}
	}
	if total > maxTexts+3*len(tests) {
		t.Errorf("%d bytes in all", total)
	}
	for text, want := range map[string]string{
		"<testsuite>" + strings.Repeat("<testcase name='a'/>", maxTests+1) + "</testsuite>": "more than 20000 tests",
		strings.Repeat("<testsuite>", 100):                                                  "nested deeper",
		"<testsuite><testcase>" + strings.Repeat("<a>", 100):                                "nested deeper",
		`<!DOCTYPE x [<!ENTITY a "aaaa">]><testsuite name="&a;"/>`:                          "document type",
		`<testsuite name="&a;"/>`:                                                           "invalid character entity",
		`<?xml version="1.0" encoding="UTF-16"?><testsuite/>`:                               `encoding is "utf-16"`,
		`<testsuite><testcase name="x"></testsuite>`:                                        "no whole JUnit report",
	} {
		if _, err := readJUnit([]byte(text), plain, newAllowance()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, want %s", text, err, want)
		}
	}
}

func TestReportsMayBeUnclean(t *testing.T) {
	secret := func(s string) string { return strings.ReplaceAll(s, "hunter2", "***") }
	for text, want := range map[string]string{
		"<testsuite><testcase name='a\x1b[1mb\x00'/></testsuite>":                                           "ok a?[1mb?",
		"<?xml version='1.0' encoding='ISO-8859-1'?><testsuite><testcase name='\xe9'/></testsuite>":         "ok é",
		"\xEF\xBB\xBF<testsuite><testcase name='\xff'/></testsuite>":                                        "ok \uFFFD",
		"<testsuite><testcase/></testsuite>":                                                                "ok (no name)",
		"<testsuite><testcase name='p'><failure>hunter2</failure></testcase></testsuite>":                   "failed p ***",
		"<testsuite name='up'><error message='no database'/></testsuite>":                                   "no_verdict up no database",
		"<testsuite><properties><property name='x'/></properties><testcase name='q' time='x'/></testsuite>": "ok q",
	} {
		tests, err := readJUnit([]byte(text), secret, newAllowance())
		if err != nil || len(tests) != 1 {
			t.Errorf("%.80s: %d tests, %v", text, len(tests), err)
			continue
		}
		if got := strings.TrimSpace(string(tests[0].Status) + " " + tests[0].Name + " " + tests[0].Text); got != want {
			t.Errorf("%.80s: %q, want %q", text, got, want)
		}
	}
}

func FuzzJUnitReports(f *testing.F) {
	f.Add([]byte(twoSuites))
	f.Add([]byte("<testsuite><testcase name='a'/></testsuite>"))
	f.Fuzz(func(t *testing.T, text []byte) {
		tests, err := readJUnit(text, func(s string) string { return s }, newAllowance())
		if n := engine.CountTests(tests); err == nil && n.Total() != len(tests) {
			t.Errorf("%d tests, %s", len(tests), n)
		}
	})
}

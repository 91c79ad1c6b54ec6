//go:build e2e

package e2e

import (
	"strings"
	"testing"
)

// TestResultsComeBack runs a guest with tests of its own, of which one fails: farm's report holds each of them, and
// the files are kept with the run.
func TestResultsComeBack(t *testing.T) {
	p := newProject(t, one, map[string]string{
		"phases/main.yaml": `- shell: |
    mkdir -p /tmp/build
    echo it was built >/tmp/build/log
    echo '<testsuite name="unit"><testcase name="plus"/><testcase name="minus"><failure message="3 is not 2"/></testcase></testsuite>' >/tmp/build/tests.xml
`,
		"phases/terminate.yaml": `- artifact: {src: /tmp/build/log}
- junit_results: {src: "/tmp/build/*.xml"}
`,
	})
	p.run(1, "--keep=never", "--junit="+p.dir+"/junit.xml").says("1 of 2 tests failed", "tests  1 passed, 1 failed, 0 skipped", "artifacts/junit")
	p.nothingLeft()
	report := p.read("junit.xml")
	for _, want := range []string{`<testcase name="plus" classname="tiny/amd64.unit"`, `<failure message="3 is not 2">`} {
		if !strings.Contains(report, want) {
			t.Errorf("no %s in the report:\n%s", want, report)
		}
	}
	if got := p.read("state/runs/" + p.runs()[0] + "/tiny-amd64/artifacts/log"); got != "it was built\n" {
		t.Errorf("the file that was kept holds %q", got)
	}
}

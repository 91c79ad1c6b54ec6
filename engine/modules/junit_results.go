package modules

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"farm/engine"
	"farm/inventory/value"
)

// JUnitResults reads JUnit reports that the project's tests have written in the guest: each test is told in farm's
// own reports, and the files are kept with the run.
type JUnitResults struct {
	Src           []string `yaml:"src|path|paths,required"` // files, folders or globs in the guest
	Dest          string   `yaml:"dest"`                    // folder below `artifacts` in the VM's folder; junit by default
	Fail          bool     `yaml:"fail"`                    // fail where a test failed or could not run, or there is none; true by default
	FailOnMissing bool     `yaml:"fail_on_missing"`         // fail where nothing matches; true by default
}

func newJUnitResults() engine.Module {
	return &JUnitResults{Dest: "junit", Fail: true, FailOnMissing: true}
}

func (m *JUnitResults) gathering() gathering {
	return gathering{src: m.Src, dest: m.Dest, most: 8 * maxReport, empty: !m.FailOnMissing}
}

// Validate checks what types cannot say.
func (m *JUnitResults) Validate() error { return m.gathering().validate() }

// Run copies the reports and reads them.
func (m *JUnitResults) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	g := m.gathering()
	if err := g.validate(); err != nil {
		return failed("junit_results: %v", err), nil
	}
	if t.Check {
		return engine.Result{Skipped: true, Msg: "nothing is read in check mode"}, nil
	}
	dir, err := g.folder(t)
	if err != nil {
		return failed("junit_results: %v", err), nil
	}
	files, bad, err := g.run(ctx, t, dir)
	if err != nil {
		return engine.Result{}, err
	}
	if bad != nil {
		return *bad, nil
	}
	if len(files) > 0 {
		t.Emit(engine.Event{Kind: engine.FilesKept, Path: dir, Text: fmt.Sprintf("%s kept in %s", counted(len(files), "report"), dir)})
	}
	return m.judge(t, g.values(dir, files), files), nil
}

// judge reads the reports that are there and tells of their tests.
func (m *JUnitResults) judge(t *engine.Task, values *value.Dict, files []gathered) engine.Result {
	mask := func(s string) string { return s }
	if t.Mask != nil {
		mask = t.Mask.Text
	}
	var all []engine.Test
	var unread []string
	left := newAllowance()
	for _, f := range files {
		tests, err := readReport(f, mask, left)
		if err != nil {
			unread = append(unread, fmt.Sprintf("%s: %v", engine.Printable(f.from), err))
			continue
		}
		n := engine.CountTests(tests)
		t.Emit(engine.Event{Kind: engine.TestsRead, Path: f.path, Tests: tests,
			Text: fmt.Sprintf("%s: %s", filepath.Base(f.path), n)})
		all = append(all, tests...)
	}
	n := engine.CountTests(all)
	failing := failingTests(all)
	names := []any{}
	for _, one := range failing[:min(len(failing), maxNamed)] {
		names = append(names, testName(one))
	}
	values.Set("counts", value.NewDict("tests", int64(n.Total()), "passed", int64(n.Passed), "failures", int64(n.Failed),
		"errors", int64(n.Errors), "skipped", int64(n.Skipped)))
	values.Set("failing", names)
	res := engine.Result{Values: values, Msg: n.String()}
	switch {
	case len(unread) > 0: // whatever fail says: nobody knows how these tests ended
		res.Failed, res.Msg = true, strings.Join(unread, "\n")
	case m.Fail && len(failing) > 0:
		res.Failed, res.Msg = true, unsuccessful(n, failing)
	case m.Fail && len(files) > 0 && n.Total() == 0:
		res.Failed, res.Msg = true, fmt.Sprintf("no test is in %s", counted(len(files), "report"))
	}
	return res
}

func readReport(f gathered, mask func(string) string, left *allowance) ([]engine.Test, error) {
	if f.size > maxReport {
		return nil, fmt.Errorf("it is larger than %d MiB", maxReport>>20)
	}
	text, err := os.ReadFile(f.path)
	if err != nil {
		return nil, err
	}
	return readJUnit(text, mask, left)
}

// maxNamed is how many tests that failed a result names, maxTold how many its message tells of.
const (
	maxNamed = 100
	maxTold  = 10
)

func failingTests(tests []engine.Test) []engine.Test {
	return slices.DeleteFunc(slices.Clone(tests), func(t engine.Test) bool {
		return t.Status != engine.Failed && t.Status != engine.NoVerdict
	})
}

func testName(t engine.Test) string {
	if t.Class == "" {
		return t.Name
	}
	return t.Class + ": " + t.Name
}

// unsuccessful names the first tests that failed, with the first line of why.
func unsuccessful(n engine.TestCount, failing []engine.Test) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %s failed", len(failing), counted(n.Total(), "test"))
	for _, t := range failing[:min(len(failing), maxTold)] {
		why, _, _ := strings.Cut(t.Text, "\n")
		fmt.Fprintf(&b, "\n%s", testName(t))
		if why != "" {
			fmt.Fprintf(&b, ": %.200s", why)
		}
	}
	if more := len(failing) - maxTold; more > 0 {
		fmt.Fprintf(&b, "\nand %d more", more)
	}
	return b.String()
}

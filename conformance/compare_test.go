package main

import (
	"strings"
	"testing"
)

func result(status string, kv ...any) *Run {
	m := map[string]any{}
	for i := 0; i < len(kv); i += 2 {
		m[kv[i].(string)] = kv[i+1]
	}
	return &Run{Outcome: "ok", Events: []Event{{Module: "stat", Status: status, Result: m}}, Vars: map[string]any{"r": m}}
}

func TestCompareFindsEveryKindOfDifference(t *testing.T) {
	base := func() *Run { return result("ok", "changed", false, "n", "1") }
	for _, test := range []struct {
		name, path string
		change     func(*Run)
	}{
		{"nothing", "", func(*Run) {}},
		{"outcome", "outcome", func(r *Run) { r.Outcome = "failed" }},
		{"status", "events.1.status", func(r *Run) { r.Events[0].Status = "changed" }},
		{"order", "order", func(r *Run) { r.Events = append(r.Events, r.Events[0]) }},
		{"value", "events.1(stat).n", func(r *Run) { r.Events[0].Result = map[string]any{"changed": false, "n": "2"} }},
		{"missing key", "vars.r.n", func(r *Run) { r.Vars = map[string]any{"r": map[string]any{"changed": false}} }},
		{"further key", "vars.s", func(r *Run) { r.Vars["s"] = 1 }},
		{"file", "files.f", func(r *Run) { r.Files = map[string]File{"f": {Mode: "-rw-r--r--"}} }},
	} {
		other := base()
		test.change(other)
		found := Compare(&Case{}, []*Run{base()}, []*Run{other})
		switch {
		case test.path == "" && len(found) > 0:
			t.Errorf("%s: %v", test.name, found)
		case test.path != "" && (len(found) != 1 || found[0].Path != test.path):
			t.Errorf("%s: %v, want one at %s", test.name, found, test.path)
		}
	}
}

func TestNormalLeavesOutWhatVaries(t *testing.T) {
	a := result("ok", "changed", false, "start", "10:00", "invocation", map[string]any{}, "src", "/root/.ansible/tmp/x", "_ansible_no_log", false)
	f := result("ok", "changed", false, "start", "10:01")
	if found := Compare(&Case{}, []*Run{a}, []*Run{f}); len(found) > 0 {
		t.Error(found)
	}
	f = result("ok", "changed", false)
	if found := Compare(&Case{}, []*Run{a}, []*Run{f}); len(found) == 0 {
		t.Error("a start that is missing is no difference")
	}
}

func TestNormalKeepsTheFailuresOfCommands(t *testing.T) {
	c, err := ParseCase("x", []byte("- shell: exit 3\n  register: r\n- stat: {path: x}\n  register: s\n"))
	if err != nil {
		t.Fatal(err)
	}
	run := func(rc string) *Run {
		m := map[string]any{"failed": true, "rc": rc, "msg": rc}
		return &Run{Vars: map[string]any{"r": m, "s": m}}
	}
	found := Compare(c, []*Run{run("3")}, []*Run{run("4")})
	if len(found) != 1 || found[0].Path != "vars.r.rc" {
		t.Error(found)
	}
}

func TestUnexpectedHoldsDirectivesToTheirWord(t *testing.T) {
	found := []Difference{{Run: 1, Path: "vars.r.stat.version"}, {Run: 2, Path: "outcome"}}
	for _, test := range []struct {
		header, page   string
		differs, fault int
	}{
		{"", "", 2, 0},
		{"# differs: vars.r.stat: No attributes.\n", "* No attributes. Since", 1, 0},
		{"# differs: vars.r.stat: No attributes.\n", "nothing", 1, 1},
		{"# differs: vars.q: No attributes.\n", "No attributes.", 2, 1},
		{"# differs: vars.r: No attributes.\n# differs: outcome: Refused.\n", "No attributes. Refused.", 0, 0},
	} {
		c, err := ParseCase("x", []byte(test.header+"- debug:\n"))
		if err != nil {
			t.Fatal(err)
		}
		differs, faults := Unexpected(c, found, test.page)
		if len(differs) != test.differs || len(faults) != test.fault {
			t.Errorf("%q: %v, %v", test.header, differs, faults)
		}
	}
}

func TestParseCaseRefuses(t *testing.T) {
	for _, text := range []string{"", "a: 1\n", "vars: {a: 1}\n", "- debug:\n" + strings.Repeat("#\n", maxLines), "# differs: no reason\n- debug:\n"} {
		if _, err := ParseCase("x", []byte(text)); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestCasesAreRead(t *testing.T) {
	cases, err := ReadCases("cases", nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(cases) < 400 {
		t.Errorf("%d cases, fewer than 400", len(cases))
	}
	slugs := map[string]string{}
	for _, c := range cases {
		if other, ok := slugs[c.Slug]; ok {
			t.Errorf("%s and %s share the folder %s", c.Name, other, c.Slug)
		}
		slugs[c.Slug] = c.Name
	}
}

func TestBatchesKeepFlagsApart(t *testing.T) {
	var cases []*Case
	for range batchSize + 1 {
		cases = append(cases, &Case{})
	}
	cases = append(cases, &Case{Directives: Directives{Check: true}}, &Case{Directives: Directives{Alone: true}})
	var sizes []int
	for _, b := range batches(cases) {
		sizes = append(sizes, len(b))
	}
	if len(sizes) != 4 || sizes[0] != batchSize || sizes[1]+sizes[2]+sizes[3] != 3 {
		t.Error(sizes)
	}
}

package task_test

import (
	"path/filepath"
	"strings"
	"testing"

	"farm/engine/task"
	"farm/inventory/expr"
)

// What a task has wrong is told before anything runs, unless it may never run or is meant to fail.
func TestFaultsOfTasksThatMayNotRun(t *testing.T) {
	for _, tt := range []struct{ name, text, later, err string }{
		{"certain", "- other: x\n- {say: {wrong: x}}\n", "", `1:3: "other" is neither a keyword nor a module|2:10: say: unknown key "wrong"`},
		{"condition", "- {other: x, when: a}\n- {say: {wrong: x}, loop: []}\n", `1:4: "other" is neither|2:10: say: unknown key "wrong"`, ""},
		{"near name", "- {sya: x, when: a}\n- {say: {txet: x}, when: a}\n", "", `1:4: "sya" is neither|2:10: say: unknown key "txet"`},
		{"other fault", "- {say: '{{ a | nofilter }}', when: a}\n", "", `1:17: unknown filter "nofilter"`},
		{"ignored", "- {say: '{{ a | nofilter }}', ignore_errors: true}\n- {sya: x, failed_when: false}\n", `1:17: unknown filter|2:4: "sya"`, ""},
		{"rescued", "- block: [{sya: x}]\n  rescue: [{other: x}, {sya: y}]\n  always: [{other: y}]\n", `1:12: "sya"|2:13: "other"`, `2:25: "sya"|3:13: "other"`},
		{"included", "- {include_tasks: some.yaml, when: a}\n- {include_tasks: nowhere.yaml, when: a}\n", `main.yaml:2:4: include_tasks: find|some.yaml:1:3: "other"`, ""},
		{"both ways", "- {include_tasks: some.yaml, when: a}\n- include_tasks: some.yaml\n", "", `some.yaml:1:3: "other"`},
		{"misspelt keyword", "- {say: x, wehn: a, ignore_errors: true}\n", "", `1:12: "wehn" is neither`},
		{"never", "- {other: x, tags: [never, y]}\n- {other: x, tags: [y]}\n", `1:4: "other"`, `2:4: "other"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, map[string]string{"main.yaml": tt.text, "some.yaml": "- other: x\n"})
			v := task.New(b.o).Validation(expr.New(expr.Options{}))
			v.File(filepath.Join(b.dir, "main.yaml"))
			var later []string
			for _, err := range v.Later() {
				later = append(later, err.Error())
			}
			hasAll(t, "later", strings.Join(later, "\n"), tt.later)
			now := ""
			if err := v.Err(); err != nil {
				now = err.Error()
			}
			hasAll(t, "now", now, tt.err)
		})
	}
}

// hasAll looks for parts, one a line.
func hasAll(t *testing.T, what, got, parts string) {
	t.Helper()
	want := strings.FieldsFunc(parts, func(r rune) bool { return r == '|' })
	lines := strings.FieldsFunc(got, func(r rune) bool { return r == '\n' })
	if len(lines) != len(want) {
		t.Errorf("%s: got %d\n%s\nwant %d", what, len(lines), got, len(want))
		return
	}
	for i, part := range want {
		if !strings.Contains(lines[i], part) {
			t.Errorf("%s: %q has no %q", what, lines[i], part)
		}
	}
}

func TestFaultyTasksFailAtTheirTurn(t *testing.T) {
	b := newBench(t, map[string]string{"main.yaml": `
- {other: x, when: false}
- {other: x, ignore_errors: true, register: r}
- {say: "{{ r.msg }}"}
- block:
    - {say: [1]}
  rescue:
    - {say: rescued}
- {include_tasks: {}, ignore_errors: true}
- {meta: nothing, ignore_errors: true}
- {say: end}
`})
	if err := b.run(); err != nil {
		t.Fatal(err)
	}
	if got := b.said(); !strings.Contains(got, `"other" is neither a keyword nor a module|rescued|end`) {
		t.Errorf("said %q", got)
	}
}

package expr

import (
	"strings"
	"testing"

	"farm/inventory/source"
	"farm/inventory/value"
)

func TestErrorsSayWhereAndWhat(t *testing.T) {
	v := New(Options{}).Vars(value.NewDict("disks", []any{int64(1)}, "vm", value.NewDict("ram", int64(1), "metadata", value.NewDict("name", "x")),
		"uses", value.Template{Text: "{{ hidden }}", Pos: source.Pos{File: "group.yaml", Line: 9, Col: 8}}))
	tests := []struct{ text, want string }{
		{"{{ disk }}", `vm.yaml:3:9: "disk" is undefined (did you mean "disks"?)`},
		{"x {{ disk }}", `vm.yaml:3:10: "disk" is undefined (did you mean "disks"?)`},
		{"{{ vm.metadta.name ~ 'a' }}", `vm.yaml:3:12: "vm.metadta" is undefined (did you mean "metadata"?)`},
		{"{{ vm.ran }}", `vm.yaml:3:12: "vm.ran" is undefined (did you mean "ram"?)`},
		{"{{ disks[3] }}", `vm.yaml:3:14: "item 3 of a list of 1" is undefined`},
		{"{{ uses }}", `group.yaml:9:12: "hidden" is undefined`},
		{"{{ vm | combin({}) }}", `vm.yaml:3:14: unknown filter "combin" (did you mean "combine"?)`},
		{"{{ vm is mappin }}", `vm.yaml:3:15: unknown test "mappin" (did you mean "mapping"?)`},
		{"{{ 'a' + 1 }}", `vm.yaml:3:13: text + a whole number is not possible (convert with | int, | float or | string)`},
		{"{{ false | ternary('a', nothere) ~ '' }}", `vm.yaml:3:30: "nothere" is undefined`},
		{"{{ 1 / 0 }}", `vm.yaml:3:11: division by zero`},
		{"{{ vm.ram }", `vm.yaml:3:6: an expression that is never closed (close it with "}}")`},
		{"{{ vm.ram", `vm.yaml:3:6: an expression that is never closed (close it with "}}")`},
		{"{% if vm %}x", `vm.yaml:3:9: "endif" is missing`},
		{"{% fro x in y %}", `vm.yaml:3:9: unknown statement "fro" (did you mean "from"?)`},
		{"{{ {{ vm }} }}", `vm.yaml:3:10: unexpected "{{" inside an expression (inside {{ }} variables are named without braces)`},
		{"{{ 'x'.splitt() }}", `vm.yaml:3:13: text has no method "splitt" (did you mean "split"?)`},
		{"{{ lookup('pip', 'ls') }}", `vm.yaml:3:15: unknown lookup "pip" (did you mean "pipe"?)`},
		{"{{ lookup('pipe', 'ls') }}", `vm.yaml:3:15: the lookup "pipe" is not allowed: it would act on the machine that farm runs on (use a task with register)`},
		{"{{ vm | combine({}, recursiv=true) }}", `vm.yaml:3:14: 'recursive' and 'list_merge' are the only valid keyword arguments (did you mean "recursive"?)`},
		{"{{ 'x' | regex_replace('(', '') }}", "vm.yaml:3:15: the regular expression \"(\": missing closing ) in `(`"},
		{"one\ntwo {{ nothere }}\n", `vm.yaml:3:5: in line 2 of the text, "two {{ nothere }}": "nothere" is undefined`},
	}
	for _, tt := range tests {
		got, err := v.Eval(tmpl(tt.text))
		if err == nil {
			t.Errorf("%s = %v, want an error", tt.text, got)
		} else if err.Error() != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.text, err, tt.want)
		}
	}
	_, err := v.EvalText("t/x.j2", "one\n  {{ disk }}\n")
	if want := `t/x.j2:2:6: "disk" is undefined (did you mean "disks"?)`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestCheckFindsUnknownNamesWithoutVariables(t *testing.T) {
	e := New(Options{})
	for _, text := range []string{"{{ a | default(b.c) }}", "{% for x in y %}{{ x is defined }}{% endfor %}", "{{ q('first_found', x) | ansible.builtin.basename }}"} {
		if err := e.Check(tmpl(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	err := e.Check(tmpl("{% if a | nofilter %}{{ b is notest(c | nofilter2) }}{% else %}{{ lookup('nolookup') }}{% endif %}"))
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{`unknown filter "nofilter"`, `unknown test "notest"`, `unknown filter "nofilter2"`, `unknown lookup "nolookup"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not in %v", want, err)
		}
	}
	if err := e.CheckExpression("a is definedd", source.Pos{File: "t.yaml", Line: 1, Col: 9}); err == nil || err.Error() != `t.yaml:1:14: unknown test "definedd" (did you mean "defined"?)` {
		t.Errorf("error %v", err)
	}
}

package task_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"farm/engine/task"
	"farm/inventory/expr"
)

func TestAllFaultsOfAFileAreToldAtTheirPlaces(t *testing.T) {
	b := newBench(t, map[string]string{"f.yaml": `- say: ok
- nmae: x
  say: y
- sya: y
- name: nothing
- say: {txet: x}
- say: {fail: perhaps}
- {say: a, set_fact: {b: 1}}
- {say: a, register: 1x}
- {say: a, loop: [1], loop_control: {lop_var: x}}
- block: []
  regster: x
- {say: a, rescue: []}
- include_tasks:
- {meta: flush}
`})
	v := task.New(b.o).Validation(expr.New(expr.Options{}))
	v.File(filepath.Join(b.dir, "f.yaml"))
	want := []string{
		`f.yaml:2:3: "nmae" is neither a keyword nor a module (did you mean "name"?)`,
		`f.yaml:4:3: "sya" is neither a keyword nor a module (did you mean "say"?)`,
		`f.yaml:5:3: the task calls no module`,
		`f.yaml:6:9: say: unknown key "txet" (did you mean "text"?)`,
		`f.yaml:7:15: say: fail is text, not true or false`,
		`f.yaml:8:12: "set_fact": the task calls "say" already (one task calls one module)`,
		`f.yaml:9:12: Invalid variable name in register: "1x" (use letters, digits and _)`,
		`f.yaml:10:38: unknown key "lop_var" (did you mean "loop_var"?)`,
		`f.yaml:12:3: "regster" is no keyword of a block`,
		`f.yaml:13:12: "rescue" stands only beside "block" (put the tasks under "block")`,
		`f.yaml:14:3: include_tasks: the name of the file is missing`,
		`f.yaml:15:4: meta: unknown action "flush" (did you mean "flush_handlers"?)`,
	}
	if got := strings.ReplaceAll(v.Err().Error(), b.dir+"/", ""); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

func TestParseKeyValueEscapes(t *testing.T) {
	f, err := task.NewParser(defs(nil)).Parse("f.yaml", []byte("- say: text=a\\n\\\\b\\x41\\u00fc\\.\\1 fail=no\n- say: |\n    a \\\n    b \\\n      c\\\n    d\n"))
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := f.Tasks[0].Args.Get("text"); text != "a\n\\bAü\\.\\1" {
		t.Errorf("%q", text)
	}
	if want := "a b  c\\\nd\n"; f.Tasks[1].Free != want {
		t.Errorf("%q, want %q", f.Tasks[1].Free, want)
	}
}

func TestParseFreeForm(t *testing.T) {
	f, err := task.NewParser(defs(nil)).Parse("f.yaml", []byte(`
- say: echo "a=b c" x=1 fail=yes {{ a b=c }}
- community.general.say: text=t
- action: say hello
- local_action: {module: say, text: hi}
- say:
  args: {text: z}
`))
	if err != nil {
		t.Fatal(err)
	}
	first := f.Tasks[0]
	if fail, _ := first.Args.Get("fail"); fail != "yes" {
		t.Errorf("fail is %v", fail)
	}
	for i, want := range []string{`t`, ``, `hi`, `z`} {
		if got, _ := f.Tasks[i+1].Args.Get("text"); want != "" && got != want {
			t.Errorf("task %d: text is %v, want %q", i+2, got, want)
		}
	}
	if f.Tasks[2].Free != "hello" {
		t.Errorf("action's text is %v", f.Tasks[2].Free)
	}
	if to, _ := f.Tasks[3].Keys.Get("delegate_to"); to != "localhost" {
		t.Errorf("local_action delegates to %v", to)
	}
}

func TestValidateFollowsIncludes(t *testing.T) {
	b := newBench(t, map[string]string{
		"main.yaml": "- {say: '{{ a | nofilter }}'}\n- import_tasks: more.yaml\n- include_tasks: nowhere.yaml\n- include_tasks: '{{ x }}.yaml'\n",
		"more.yaml": "- {say: x, when: a ==}\n- {sya: x}\n",
	})
	v := task.New(b.o).Validation(expr.New(expr.Options{}))
	v.File(filepath.Join(b.dir, "main.yaml"))
	err := v.Err()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"main.yaml:1:17: unknown filter", "main.yaml:3:3: include_tasks: find \"nowhere.yaml\"", "more.yaml:1:", "more.yaml:2:4: "} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %q:\n%v", want, err)
		}
	}
	if n := strings.Count(err.Error(), "\n") + 1; n != 4 {
		t.Errorf("%d errors:\n%v", n, err)
	}
}

func TestClosureListsWhatIsRead(t *testing.T) {
	files := map[string]string{
		"main.yaml":     "- import_tasks: more.yaml\n- include_vars: '{{ os }}.yaml'\n- include_role: {name: r}\n- include_tasks: '{{ unknown }}.yaml'\n",
		"more.yaml":     "- include_tasks: '{{ item }}.yaml'\n  loop: [a]\n",
		"a.yaml":        "- say: x\n",
		"vars/deb.yaml": "x: 1\n", "roles/r/tasks/main.yml": "- say: y\n", "roles/r/README": "no part of it\n",
	}
	b := newBench(t, files, "os", "deb")
	list := func() (names []string, digests string) {
		in, err := task.New(b.o).Closure(filepath.Join(b.dir, "main.yaml"), b.host.Vars)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range in {
			names = append(names, i.Name)
			digests += i.Digest
		}
		return names, digests
	}
	names, before := list()
	want := "file a.yaml|file main.yaml|file more.yaml|file roles/r/tasks/main.yml|file vars/deb.yaml"
	if got := strings.Join(names, "|"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if err := os.WriteFile(filepath.Join(b.dir, "a.yaml"), []byte("- say: z\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, after := list(); after == before {
		t.Error("a changed file has the same digest")
	}
}

func FuzzParse(f *testing.F) {
	f.Add("- say: a\n  when: b\n")
	f.Add("- block:\n    - action: say x=1 'q\n  rescue: [{say: }]\n  always: []\n")
	f.Add("- {say: '{{ a', loop: [1], loop_control: {a: 1}, args: [], vars: 3}\n")
	f.Add("- local_action: {module: [], x: 1}\n- 3\n- []\n- {1: 2}\n")
	p := task.NewParser(defs(new([]string)))
	f.Fuzz(func(t *testing.T, text string) {
		file, err := p.Parse("f.yaml", []byte(text))
		if err == nil && file == nil {
			t.Error("neither a file nor an error")
		}
	})
}

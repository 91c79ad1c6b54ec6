package task_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"farm/engine"
	"farm/engine/task"
	"farm/inventory/expr"
	"farm/inventory/value"
)

// closure lists what main.yaml reads: its files, and after a bar what is unknown.
func closure(t *testing.T, files map[string]string, before ...string) (names []string, digests string) {
	t.Helper()
	b := newBench(t, files)
	b.host.Vars = expr.New(expr.Options{ReadFile: os.ReadFile}).Vars(value.NewDict("os", "deb", "file", "a"))
	for i := range before {
		before[i] = filepath.Join(b.dir, before[i])
	}
	in, err := task.New(b.o).Closure(filepath.Join(b.dir, "main.yaml"), b.host.Vars, before...)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range in {
		name := strings.ReplaceAll(i.Name, b.dir+"/", "")
		if (i.Unknown == "") != (i.Digest != "") {
			t.Errorf("%+v is neither known nor unknown", i)
		}
		if i.Unknown != "" {
			_, why, _ := strings.Cut(i.Unknown, ": ")
			name += ": " + why
		}
		names = append(names, name)
		digests += i.Digest
	}
	return names, digests
}

func TestClosureKnowsWhatItCannotKnow(t *testing.T) {
	const runs = "is known only when it runs"
	files := map[string]string{"files/a": "a", "files/b": "b", "vars/Debian.yaml": "x: 1", "vars/Fedora.yaml": "x: 2", "vars/other.json": "{}",
		"tasks/Debian.yaml": "- say: deb\n", "tasks/Alpine.yaml": "- {copy: {src: a, dest: /}}\n",
		"roles/on_Debian/tasks/main.yml": "- say: r\n", "roles/off/tasks/main.yml": "- say: r\n", "templates/plain.j2": "x", "templates/in.j2": "{% include 'plain.j2' %}",
		"templates/look.j2": "{{ lookup('file', 'a') }}"}
	for _, c := range []struct{ name, main, want string }{
		{"a registered name", "- {say: x, register: r}\n- {copy: {src: '{{ r.stdout }}', dest: /}}\n", "file main.yaml|unknown main.yaml:2:3: what copy reads " + runs + ": it depends on r"},
		{"a default for a registered name", "- {copy: {src: \"{{ r.stdout | default('a') }}\", dest: /}}\n- {say: x, register: r}\n", "file main.yaml|unknown main.yaml:1:3: what copy reads " + runs + ": it depends on r"},
		{"a default that stands", "- {copy: {src: \"{{ nobody_sets_it | default('a') }}\", dest: /}}\n", "file files/a|file main.yaml"},
		{"a variable that a task changes", "- set_fact: {file: b}\n- {copy: {src: '{{ file }}', dest: /}}\n", "file main.yaml|unknown main.yaml:2:3: what copy reads " + runs + ": it depends on file"},
		{"a fact in the name", "- include_vars: '{{ ansible_distribution }}.yaml'\n- {include_tasks: '{{ ansible_facts.distribution }}.yaml'}\n- {include_role: {name: 'on_{{ ansible_distribution }}'}}\n",
			"file files/a|file main.yaml|file roles/on_Debian/tasks/main.yml|file tasks/Alpine.yaml|file tasks/Debian.yaml|file vars/Debian.yaml|file vars/Fedora.yaml"},
		{"a fact is all of the name", "- {copy: {src: '{{ ansible_distribution }}', dest: /}}\n", "file main.yaml|unknown main.yaml:1:3: what copy reads " + runs + ": it depends on ansible_distribution"},
		{"a fact and a result", "- {say: x, register: r}\n- include_vars: '{{ ansible_distribution }}{{ r.stdout }}.yaml'\n",
			"file main.yaml|unknown main.yaml:2:3: what include_vars reads " + runs + ": it depends on ansible_distribution"},
		{"the first that is found", "- {include_vars: '{{ item }}', with_first_found: ['{{ ansible_distribution }}.yaml', other.json, none]}\n",
			"file main.yaml|file vars/Debian.yaml|file vars/Fedora.yaml|file vars/other.json"},
		{"a loop over results", "- {say: x, register: r}\n- {copy: {src: '{{ item }}', dest: /}, loop: '{{ r.list }}'}\n", "file main.yaml|unknown main.yaml:2:3: what copy reads " + runs},
		{"variables of a file", "- include_vars: other.yaml\n- {copy: {src: '{{ y }}', dest: /}}\n", "file main.yaml|file vars/other.yaml|unknown main.yaml:2:3: what copy reads " + runs + ": it depends on y"},
		{"lookups", "- {say: \"{{ lookup('file', dir) }}\", vars: {dir: '/dev/null'}}\n", "file main.yaml|lookup main.yaml {{ lookup('file', dir) }}"},
		{"a lookup of a result", "- {say: x, register: r}\n- {say: \"{{ lookup('file', r.stdout) }}\"}\n", "file main.yaml|unknown main.yaml:2:3: what say reads " + runs + ": it depends on r"},
		{"templates that include", "- {template: {src: in.j2, dest: /}}\n", "file main.yaml|file templates/in.j2|file templates/look.j2|file templates/plain.j2"},
		{"templates that look up", "- {template: {src: look.j2, dest: /}}\n", "file main.yaml|file templates/look.j2|unknown templates/look.j2: what the template looks up is known only when it is rendered"},
	} {
		t.Run(c.name, func(t *testing.T) {
			defer func(old string) { files["main.yaml"] = old }(files["main.yaml"])
			files["main.yaml"] = c.main
			if strings.Contains(c.main, "other.yaml") {
				files["vars/other.yaml"] = "y: a"
				defer delete(files, "vars/other.yaml")
			}
			names, _ := closure(t, files)
			if got := strings.Join(names, "|"); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestClosureMindsWhatRanBefore(t *testing.T) {
	files := map[string]string{"main.yaml": "- {copy: {src: '{{ file }}', dest: /}}\n", "first.yaml": "- set_fact: {file: b}\n", "files/a": "a"}
	if names, _ := closure(t, files); strings.Join(names, "|") != "file files/a|file main.yaml" {
		t.Errorf("alone: %q", names)
	}
	if names, _ := closure(t, files, "first.yaml"); len(names) != 2 || !strings.HasPrefix(names[1], "unknown ") {
		t.Errorf("after a file that sets the variable: %q", names)
	}
}

func TestClosureChangesWithALookup(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	files := map[string]string{"main.yaml": "- say: \"{{ lookup('file', '" + path + "') }}\"\n"}
	digest := func(text string) string {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		_, d := closure(t, files)
		return d
	}
	if digest("one") == digest("two") {
		t.Error("what is looked up does not count")
	}
}

func TestClosureHoldsTheUsersModules(t *testing.T) {
	b := newBench(t, map[string]string{"main.yaml": "- mine: {x: 1}\n", "modules/mine": "#!/bin/sh\n"})
	b.o.Modules = append(b.o.Modules, engine.ModuleDef{Name: "mine", File: filepath.Join(b.dir, "modules/mine"), New: func() engine.Module { return &anyArguments{} }})
	digest := func() string {
		t.Helper()
		in, err := task.New(b.o).Closure(filepath.Join(b.dir, "main.yaml"), b.host.Vars)
		if err != nil || len(in) != 2 || !strings.HasSuffix(in[1].Name, "modules/mine") {
			t.Fatalf("%+v, %v", in, err)
		}
		return in[1].Digest
	}
	was := digest()
	if err := os.WriteFile(filepath.Join(b.dir, "modules/mine"), []byte("#!/bin/sh\necho\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if digest() == was {
		t.Error("another program is the same input")
	}
}

// anyArguments is a module that takes what it is given.
type anyArguments struct {
	Args *value.Dict `yaml:",rest"`
}

func (*anyArguments) Run(context.Context, *engine.Task) (engine.Result, error) {
	return engine.Result{}, nil
}

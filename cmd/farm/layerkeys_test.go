package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"farm/engine"
	"farm/inventory"
)

// testProject is a folder with an inventory of one VM and its phases.
type testProject struct{ dir string }

func newProject(t interface {
	TempDir() string
	Fatal(...any)
}, files map[string]string) testProject {
	p := testProject{t.TempDir()}
	for name, text := range files {
		if err := p.write(name, text); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func (p testProject) write(name, text string) error {
	path := filepath.Join(p.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o600)
}

// vars writes the inventory with the lines of vars as its variables.
func (p testProject) vars(lines ...string) error {
	text := "all:\n  hosts: {localhost: {config: {permutations: {platforms: [debian_12], targets: [amd64]}}}}\n  vars:\n    of_all: x\n"
	for _, line := range lines {
		text += "    " + line + "\n"
	}
	return p.write("inventory.yaml", text)
}

// inputs are what the file init.yaml leads to for the inventory's VM.
func (p testProject) inputs() ([]engine.Input, error) {
	inv, err := inventory.Load(filepath.Join(p.dir, "inventory.yaml"), inventory.Options{})
	if err != nil {
		return nil, err
	}
	a := &app{out: io.Discard, err: io.Discard}
	vms, err := inv.Expand(context.Background(), inventory.ExpandOptions{})
	if err != nil {
		return nil, err
	}
	return a.layerInputs(inv, nil, nil).Of(vms[0], filepath.Join(p.dir, "init.yaml"))
}

// inputsOf are the digests of what init.yaml depends on.
func inputsOf(t *testing.T, init string, files map[string]string, vars ...string) map[string]string {
	t.Helper()
	p := newProject(t, files)
	for _, err := range []error{p.write("init.yaml", init), p.vars(vars...)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	inputs, err := p.inputs()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, in := range inputs {
		all[in.Name] = in.Digest + in.Unknown
	}
	return all
}

func TestLayerKeysHaveTheVariablesThatAreRead(t *testing.T) {
	vars := []string{"a: 1", `b: "{{ c }}"`, "c: 2", "d: {e: 3, f: 4}", "g: [5]", "unread: 6", "vm_size: big", "h: {i: '{{ a }}'}"}
	for name, c := range map[string]struct {
		init  string
		files map[string]string
		want  string
	}{
		"nothing":          {"- command: 'true'\n", nil, ""},
		"an argument":      {"- command: 'echo {{ a }}'\n", nil, "a"},
		"a condition":      {"- command: 'true'\n  when: a == 1\n", nil, "a"},
		"a list of them":   {"- command: 'true'\n  when: [a, g | length > 0]\n", nil, "a g"},
		"what is asserted": {"- assert: {that: [a is defined]}\n", nil, "a"},
		"what is shown":    {"- debug: {var: a}\n", nil, "a"},
		"a result's":       {"- command: 'true'\n  register: r\n  changed_when: r.rc == a\n  failed_when: c\n", nil, "a c"},
		"a loop":           {"- command: 'echo {{ item }}'\n  loop: '{{ g }}'\n", nil, "g"},
		"with_items":       {"- command: 'echo {{ item }}'\n  with_items: g\n", nil, "g"},
		"a block's":        {"- block: [{command: 'true'}]\n  when: a\n  vars: {x: '{{ c }}'}\n", nil, "a c"},
		"through another":  {"- command: 'echo {{ b }}'\n", nil, "b c"},
		"a part":           {"- command: 'echo {{ d.e }}'\n", nil, "d.e"},
		"a part by []":     {"- command: \"echo {{ d['e'] }}\"\n", nil, "d.e"},
		"all by an item":   {"- command: 'echo {{ d[a] }}'\n", nil, "a d"},
		"part of one":      {"- command: 'echo {{ h.i }}'\n", nil, "a h.i"},
		"a template's":     {"- template: {src: x.j2, dest: /x}\n", map[string]string{"templates/x.j2": "{% if a %}{{ c }}{% endif %}"}, "a c"},
		"one it includes":  {"- template: {src: x.j2, dest: /x}\n", map[string]string{"templates/x.j2": "{% include 'y.j2' %}", "templates/y.j2": "{{ a }}"}, "a"},
		"a copied file":    {"- copy: {src: x, dest: /x}\n", map[string]string{"files/x": "{{ a }}"}, ""},
		"an include's":     {"- include_tasks: more.yaml\n", map[string]string{"more.yaml": "- command: 'echo {{ a }}'\n"}, "a"},
		"file of vars'":    {"- include_vars: v.yaml\n", map[string]string{"vars/v.yaml": "x: '{{ a }}'\n"}, "a"},
		"a role's": {"- include_role: {name: r}\n", map[string]string{"roles/r/tasks/main.yml": "- command: 'echo {{ x }}'\n  notify: n\n",
			"roles/r/defaults/main.yml": "x: '{{ a }}'\n", "roles/r/handlers/main.yml": "- name: n\n  command: 'echo {{ c }}'\n"}, "a c"},
		"by its name":       {"- command: \"echo {{ lookup('vars', 'a') }}\"\n", nil, "a"},
		"by vars":           {"- command: \"echo {{ vars['a'] }}\"\n", nil, "a"},
		"the VM's hardware": {"- command: 'echo {{ vm.arch }}'\n", nil, "vm.arch"},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for name := range inputsOf(t, c.init, c.files, vars...) {
				if v, ok := strings.CutPrefix(name, "variable "); ok && !slices.Contains([]string{"ansible_user", "ansible_become", "ansible_become_user", "ansible_become_method"}, v) {
					got = append(got, v)
				}
			}
			slices.Sort(got)
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("got %q, want %q", s, c.want)
			}
		})
	}
}

func TestLayerKeysHaveAllVariablesWhereNamesAreMadeUp(t *testing.T) {
	for _, init := range []string{
		"- command: \"echo {{ vars[x] }}\"\n", "- command: \"echo {{ lookup('vars', x) }}\"\n", "- debug: {var: vars}\n",
		"- command: \"echo {{ query('varnames', '^o') }}\"\n",
	} {
		if have := inputsOf(t, init, nil, "x: of_all"); have["variable of_all"] == "" || have["all variables"] == "" {
			t.Errorf("%s gives %v", init, have)
		}
	}
}

func TestLayerKeysHaveEveryHostWhereHostvarsAreRead(t *testing.T) {
	init := "- command: \"echo {{ hostvars['localhost'].x }}\"\n"
	before, after := inputsOf(t, init, nil, "x: 1"), inputsOf(t, init, nil, "x: 2")
	if name := "variables of all hosts"; before[name] == "" || before[name] == after[name] {
		t.Errorf("%q, then %q", before[name], after[name])
	}
}

func TestLayerKeysLeaveOutCommentsAndLayout(t *testing.T) {
	plain := inputsOf(t, "- command: 'echo {{ a }}'\n", nil, "a: 1")
	noted := inputsOf(t, "# says it\n\n- command: \"echo {{ a }}\"   # here\n", nil, "a: 1", "# of a")
	if fmt.Sprint(plain) != fmt.Sprint(noted) {
		t.Errorf("%v, then %v", plain, noted)
	}
}

func TestLayerKeysHaveTheNumberWhereItIsRead(t *testing.T) {
	if have := inputsOf(t, "- command: 'true'\n", nil, `port: "{{ 8000 + vm_index }}"`); have["variable vm_index"] != "" {
		t.Error("VMs of a count that differ in nothing else would not share their states")
	}
	if have := inputsOf(t, "- command: 'echo {{ port }}'\n", nil, `port: "{{ 8000 + vm_index }}"`); have["variable vm_index"] == "" {
		t.Error("a variable's value depends on the number, and the key does not")
	}
}

func TestLayerKeysHaveTheSizeWhereFactsTellIt(t *testing.T) {
	if have := inputsOf(t, "- command: 'make -j{{ ansible_processor_vcpus }}'\n", nil); have["machine size"] == "" {
		t.Error("the number of CPUs does not count")
	}
	if have := inputsOf(t, "- command: 'echo {{ ansible_distribution }}'\n", nil); have["machine size"] != "" {
		t.Error("the number of CPUs counts for nothing")
	}
}

func TestLayerKeysKeepNoSecret(t *testing.T) {
	p := newProject(t, nil)
	for _, err := range []error{p.write("init.yaml", "- debug: {var: [api_token, plain, login, url]}\n- debug: {msg: '{{ api_token }}{{ plain }}{{ login }}{{ url }}'}\n"),
		p.vars("api_token: hunter2hunter2", "plain: visible", "login: {user: me, password: hunter2hunter2}", "url: 'https://me:hunter2hunter2@host/'")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	inputs, err := p.inputs()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, in := range inputs {
		switch {
		case strings.Contains(in.Text, "hunter2"):
			t.Errorf("%s: %s", in.Name, in.Text)
		case in.Name == "variable plain" && !strings.Contains(in.Text, "visible"):
			t.Errorf("%s: %q does not help `why`", in.Name, in.Text)
		case in.Name == "variable api_token" || in.Name == "variable login" || in.Name == "variable url":
			seen++
		}
	}
	if seen != 3 {
		t.Errorf("%d of 3 secrets count", seen)
	}
}

// TestLayerKeysMissWhatChangedAndNothingElse changes one input of a random project at a time.
func TestLayerKeysMissWhatChangedAndNothingElse(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		p := testProject{filepath.Join(dir, fmt.Sprint(rapid.Uint64().Draw(rt, "dir")))}
		defer os.RemoveAll(p.dir)
		must := func(errs ...error) {
			for _, err := range errs {
				if err != nil {
					rt.Fatal(err)
				}
			}
		}
		n := rapid.IntRange(1, 4).Draw(rt, "variables")
		uses := make([][]int, n) // what each variable's template reads
		for i := range uses {
			for j := range i {
				if rapid.IntRange(0, 3).Draw(rt, "uses") == 0 {
					uses[i] = append(uses[i], j)
				}
			}
		}
		write := func(changed int) {
			var lines []string
			for i, list := range uses {
				text := fmt.Sprintf("value %d", i)
				if i == changed {
					text = "another"
				}
				for _, j := range list {
					text += fmt.Sprintf(" {{ v%d }}", j)
				}
				lines = append(lines, fmt.Sprintf("v%d: %q", i, text))
			}
			must(p.vars(lines...))
		}
		read := map[int]bool{}
		var reach func(i int)
		reach = func(i int) {
			read[i] = true
			for _, j := range uses[i] {
				reach(j)
			}
		}
		files := map[string]string{}
		init := "- command: 'true'\n"
		for i := range n {
			name := fmt.Sprintf("v%d", i)
			switch rapid.IntRange(0, 8).Draw(rt, "read by") {
			case 0:
				init += "- command: 'echo {{ " + name + " }}'\n"
			case 1:
				init += "- command: 'true'\n  when: " + name + " is defined\n"
			case 2:
				files["templates/"+name+".j2"] = "{% if true %}{{ " + name + " | upper }}{% endif %}"
				init += "- template: {src: " + name + ".j2, dest: /x}\n"
			case 3:
				files[name+".yaml"] = "- command: 'echo {{ " + name + " }}'\n"
				init += "- include_tasks: " + name + ".yaml\n"
			case 4:
				files["roles/"+name+"/tasks/main.yml"] = "- debug: {var: x" + name + "}\n"
				files["roles/"+name+"/defaults/main.yml"] = "x" + name + ": '{{ " + name + " }}'\n"
				init += "- include_role: {name: " + name + "}\n"
			default:
				files["files/"+name] = "{{ " + name + " }}" // copied as it is
				init += "- copy: {src: " + name + ", dest: /x}\n"
				continue
			}
			reach(i)
		}
		for name, text := range files {
			must(p.write(name, text))
		}
		must(p.write("init.yaml", init), p.write("files/unread", "x"), p.write("unread.yaml", "- command: 'true'\n"))
		key := func() string {
			inputs, err := p.inputs()
			must(err)
			return fmt.Sprint(inputs)
		}
		write(-1)
		was := key()
		for i := range n {
			write(i)
			if moved := key() != was; moved != read[i] {
				rt.Fatalf("v%d is read: %v, moves the key: %v\n%s", i, read[i], moved, init)
			}
		}
		write(-1)
		for name, text := range files {
			must(p.write(name, strings.Replace(text, "{{ ", "{{ 1 ~ ", 1)+" "))
			if strings.HasSuffix(name, ".yml") || strings.HasSuffix(name, ".yaml") {
				must(p.write(name, text+"# a comment\n"))
				if key() != was {
					rt.Fatalf("a comment in %s moves the key", name)
				}
				must(p.write(name, strings.Replace(strings.Replace(text, "debug: {", "debug: {verbosity: 1, ", 1), "{{ ", "{{ 1 ~ ", 1)))
			}
			if key() == was {
				rt.Fatalf("a change of %s leaves the key", name)
			}
			must(p.write(name, text))
		}
		must(p.write("files/unread", "y"), p.write("unread.yaml", "- command: 'false'\n"))
		if key() != was {
			rt.Fatal("a file that nothing reads moves the key")
		}
	})
}

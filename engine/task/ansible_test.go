package task_test

import (
	"context"
	"strings"
	"testing"

	"farm/engine"
	"farm/engine/task"
	"farm/inventory/expr"
	"farm/inventory/value"
)

// playbooks takes what ansible takes, as far as its files go, and says that it ran one task.
type playbooks struct {
	Playbook string   `yaml:"playbook"`
	Roles    []string `yaml:"roles"`
	Reads    []string `yaml:"reads"`
	Vault    string   `yaml:"vault_password_file"`
}

func (m *playbooks) Run(_ context.Context, t *engine.Task) (engine.Result, error) {
	t.Emit(engine.Event{Kind: engine.TaskStarted, Task: "inner", Module: "dnf", File: "site.yml:1:3"})
	t.Emit(engine.Event{Kind: engine.TaskEnded, Task: "inner", Module: "dnf", File: "site.yml:1:3", Status: engine.Changed, Text: "\x1b[1mfine",
		Result: value.NewDict("stdout", strings.Repeat("x", 100<<10), "diff", value.NewDict("before", "a\n", "after", "b\n"))})
	return engine.Result{Changed: true}, nil
}

func withPlaybooks(o *task.Options) {
	o.Modules = append(o.Modules, engine.ModuleDef{Name: "ansible", New: func() engine.Module { return &playbooks{} }})
}

func TestTasksOfATaskAreToldAsParts(t *testing.T) {
	b := newBench(t, map[string]string{"main.yaml": "- {name: outer, ansible: {playbook: site.yml}}\n- {name: hidden, ansible: {playbook: site.yml}, no_log: true}\n"})
	withPlaybooks(&b.o)
	b.o.Diff = true
	var inner []engine.Event
	b.o.Emit = func(e engine.Event) {
		if e.Within != "" {
			inner = append(inner, e)
		}
	}
	if err := task.New(b.o).RunFile(t.Context(), b.dir+"/main.yaml", b.host, nil); err != nil {
		t.Fatal(err)
	}
	if len(inner) != 2 {
		t.Fatalf("%d events of parts, want 2: %+v", len(inner), inner)
	}
	e := inner[1]
	if e.Within != "outer" || e.Task != "inner" || e.Module != "dnf" || e.File != "site.yml:1:3" || e.Text != "fine" {
		t.Errorf("%+v", e)
	}
	res := e.Result.(*value.Dict)
	out, _ := res.Get("stdout")
	if n := len(value.Text(out)); n > 65<<10 || n < 60<<10 || res.Has("diff") || !strings.Contains(e.Diff, "-a\n+b\n") {
		t.Errorf("%d bytes of output, diff %q", n, e.Diff)
	}
}

func TestClosureOfAnsibleIsWhatItSaysItReads(t *testing.T) {
	files := map[string]string{"site.yml": "[]", "more/a": "a", "more/b": "b", "roles/web/tasks/main.yml": "[]", "roles/web/x": "x"}
	for name, c := range map[string]struct{ args, want string }{
		"nothing is said": {"{playbook: site.yml}",
			"unknown main.yaml:1:3: what the playbook reads is known only when it runs; the argument reads can say it before"},
		"nothing more":     {"{playbook: site.yml, reads: []}", "file site.yml"},
		"files and roles":  {"{roles: [web], reads: [more]}", "file more/a|file more/b|file roles/web/tasks/main.yml|file roles/web/x"},
		"a role elsewhere": {"{roles: [ns.name.role], reads: more/a}", "file more/a|unknown main.yaml:1:3: what the playbook reads is known only when it runs; the argument reads can say it before"},
	} {
		t.Run(name, func(t *testing.T) {
			files["main.yaml"] = "- ansible: " + c.args + "\n"
			b := newBench(t, files)
			withPlaybooks(&b.o)
			inputs, err := task.New(b.o).Closure(b.dir+"/main.yaml", b.host.Vars)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, in := range inputs {
				name := in.Name
				if in.Unknown != "" {
					name = "unknown " + in.Unknown
				}
				if in.Name != "file main.yaml" && !strings.HasPrefix(name, "variable") {
					got = append(got, strings.ReplaceAll(name, b.dir+"/", ""))
				}
			}
			if all := strings.Join(got, "|"); all != c.want {
				t.Errorf("got  %s\nwant %s", all, c.want)
			}
		})
	}
}

func TestValidateFindsFilesOfAnsible(t *testing.T) {
	for name, c := range map[string]struct{ args, want string }{
		"all there":       {"{playbook: site.yml, roles: [web, ns.name.role], reads: [more/a]}", ""},
		"no playbook":     {"{playbook: sit.yml}", `main.yaml:1:23: ansible: find "sit.yml": file does not exist`},
		"a folder":        {"{playbook: more}", "main.yaml:1:23: ansible: read more: it is a folder, not a playbook"},
		"no such role":    {"{roles: [web, wob]}", `main.yaml:1:26: ansible: there is no role "wob"`},
		"a hint":          {"{roles: wob}", `did you mean "web"?`},
		"nothing to read": {"{playbook: site.yml, reads: [none]}", `main.yaml:1:41: ansible: find "none": file does not exist`},
		"no list":         {"{playbook: site.yml, roles: {a: b}}", "main.yaml:1:40: ansible: roles"},
		"no such key":     {"{playbok: site.yml}", `main.yaml:1:13: ansible: unknown key "playbok" (did you mean "playbook"?)`},
		"named later":     {"{playbook: '{{ x }}.yml', roles: ['{{ y }}']}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, map[string]string{"main.yaml": "- ansible: " + c.args + "\n", "site.yml": "[]", "more/a": "a", "roles/web/tasks/main.yml": "[]"})
			withPlaybooks(&b.o)
			v := task.New(b.o).Validation(expr.New(expr.Options{}))
			v.File(b.dir + "/main.yaml")
			got := ""
			if err := v.Err(); err != nil {
				got = strings.ReplaceAll(err.Error(), b.dir+"/", "")
			}
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

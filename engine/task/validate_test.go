package task_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"farm/engine"
	"farm/engine/task"
	"farm/inventory/expr"
)

// copyFile takes what copy takes, as far as validation looks at it.
type copyFile struct {
	Src   string `yaml:"src"`
	Dest  string `yaml:"dest,required"`
	Force bool   `yaml:"force"`
}

func (m *copyFile) Run(context.Context, *engine.Task) (engine.Result, error) {
	return engine.Result{}, nil
}

// setState has arguments that go together.
type setState struct {
	Name  string `yaml:"name,required"`
	State string `yaml:"state"`
	Old   string `yaml:"old"`
	New   string `yaml:"new"`
	Mode  any    `yaml:"mode"`
}

func (m *setState) Run(context.Context, *engine.Task) (engine.Result, error) {
	return engine.Result{}, nil
}

func (m *setState) Validate() error {
	switch {
	case m.Name == "root":
		return errors.New("name: root stays as it is")
	case m.State == "moved" && m.Old == "":
		return errors.New("state: moved needs old")
	case m.State == "moved" && m.New == "":
		return errors.New("state: moved needs new")
	case m.State != "" && m.State != "moved" && m.State != "made":
		return errors.New("state is neither made nor moved")
	}
	return nil
}

// validate returns the complaints about main.yaml, a line each, without the folder.
func validate(t *testing.T, files map[string]string) string {
	t.Helper()
	b := newBench(t, files)
	b.o.Modules = append(b.o.Modules, engine.ModuleDef{Name: "copy", New: func() engine.Module { return &copyFile{} }},
		engine.ModuleDef{Name: "fetch", New: func() engine.Module { return &anything{} }},
		engine.ModuleDef{Name: "set_state", New: func() engine.Module { return &setState{} }})
	v := task.New(b.o).Validation(expr.New(expr.Options{}))
	v.Topics, v.Hosts = []string{"known_topic"}, []string{"metal"}
	v.File(filepath.Join(b.dir, "main.yaml"))
	err := v.Err()
	if err == nil {
		return ""
	}
	return strings.ReplaceAll(err.Error(), b.dir+"/", "")
}

func TestValidateFindsFaults(t *testing.T) {
	for name, c := range map[string]struct {
		main string
		want string // of the one complaint; "" = none
	}{
		"imports itself":          {"- import_tasks: main.yaml\n", "main.yaml:1:3: import_tasks: the file brings in itself, without an end: main.yaml -> main.yaml"},
		"imports itself over":     {"- import_tasks: back.yaml\n", "back.yaml:1:3: import_tasks: the file brings in itself, without an end: main.yaml -> back.yaml -> main.yaml"},
		"includes itself always":  {"- include_tasks: main.yaml\n", "main.yaml:1:3: include_tasks: the file brings in itself"},
		"includes itself maybe":   {"- include_tasks: main.yaml\n  when: n is defined\n", ""},
		"twice":                   {"- import_tasks: fine.yaml\n- import_tasks: fine.yaml\n", ""},
		"no role":                 {"- say: x\n- include_role: {name: nosuch}\n", `main.yaml:2:3: there is no role "nosuch" (searched`},
		"nearly a role":           {"- import_role: {name: gnix}\n", `(did you mean "ginx"?)`},
		"bad role":                {"- include_role: {name: bad}\n", `roles/bad/handlers/main.yml:2:3: "sya" is neither`},
		"role needs none":         {"- include_role: {name: needs}\n", `there is no role "absent"`},
		"no such part":            {"- include_role: {name: ginx, tasks_from: setup}\n", `main.yaml:1:3: include_role: role "ginx" has no tasks/setup.yml`},
		"a role of any name":      {"- include_role: {name: '{{ x }}'}\n", ""},
		"become":                  {"- say: x\n  become: perhaps\n", `main.yaml:2:11: become is "perhaps" (true, false, or a template)`},
		"become by template":      {"- say: x\n  become: '{{ x }}'\n", ""},
		"become as text":          {"- say: x\n  become: 'yes'\n", ""},
		"negative retries":        {"- say: x\n  until: a\n  retries: -1\n", "main.yaml:3:12: retries is -1 (a number from 0)"},
		"timeout":                 {"- say: x\n  timeout: abc\n", "main.yaml:2:3: timeout is text, not a number"},
		"text in a list":          {"- say: x\n- just text\n", "main.yaml:2:3: a task file: item 2 is text, not a task"},
		"text in a block":         {"- block:\n  - say: x\n  - text\n", "main.yaml:3:5: block: item 2 is text, not a task"},
		"duplicate key":           {"- say: x\n  say: y\n", "main.yaml:2:3: duplicate key"},
		"missing beside template": {"- copy: {src: '{{ a }}'}\n", `main.yaml:1:9: copy: "dest" is missing`},
		"type beside template":    {"- copy: {dest: '{{ a }}', force: perhaps}\n", "main.yaml:1:34: copy: force is text, not true or false"},
		"all templates":           {"- copy: {dest: '{{ a }}', force: '{{ b }}'}\n", ""},
		"defaults may fill":       {"- copy: {src: '{{ a }}'}\n  module_defaults: {copy: {dest: /x}}\n", ""},
		"no file":                 {"- copy: {src: nosuch, dest: /x}\n", `main.yaml:1:3: copy: find "nosuch"`},
		"a file":                  {"- copy: {src: here, dest: /x}\n", ""},
		"no file if":              {"- copy: {src: nosuch, dest: /x}\n  when: a\n", ""},
		"no file yet":             {"- fetch: {src: /x, dest: nosuch}\n- copy: {src: nosuch, dest: /x}\n", ""},
		"no file, forgiven":       {"- copy: {src: nosuch, dest: /x}\n  ignore_errors: true\n", ""},
		"no variables":            {"- include_vars: nosuch.yaml\n", `main.yaml:1:3: include_vars: find "nosuch.yaml"`},
		"bad variables":           {"- include_vars: list.yaml\n", "list.yaml:1:1: variables are a mapping"},
		"become method":           {"- say: x\n  become_method: sudu\n", `main.yaml:2:18: become_method is "sudu" (one of sudo, su, doas)`},
		"environment":             {"- say: x\n  environment: PATH\n", "main.yaml:2:3: environment is text, not a mapping"},
		"one of conditions":       {"- say: x\n  when:\n  - a\n  - b ==\n", "main.yaml:4:9: unexpected end"},
		"role as text":            {"- include_role: ginx\n", "main.yaml:1:3: include_role: the name of the role is missing"},
		"unknown lookup":          {"- say: \"{{ lookup('nosuch') }}\"\n", `unknown lookup "nosuch"`},
		"tags as a mapping":       {"- say: x\n  tags: {a: b}\n", "main.yaml:2:3: tags: a mapping is no tag (such as tags: [build, slow])"},
		"tags in a list":          {"- say: x\n  tags: [a, [b]]\n", "main.yaml:2:3: tags: a list is no tag"},
		"tags":                    {"- say: x\n  tags: [a, 1]\n- say: x\n  tags: a,b\n", ""},
		"choice":                  {"- set_state:\n    name: x\n    state: maid\n", "main.yaml:3:12: set_state: state is neither made nor moved"},
		"choice beside template":  {"- set_state: {name: '{{ a }}', mode: '{{ b }}', state: maid}\n", "main.yaml:1:56: set_state: state is neither made nor moved"},
		"goes with template":      {"- set_state: {name: x, state: moved, old: '{{ a }}', new: '{{ b }}'}\n", ""},
		"goes with required":      {"- set_state: {name: '{{ a }}', state: moved, old: x, new: '{{ b }}'}\n", ""},
		"lacks what it needs":     {"- set_state: {name: '{{ a }}', state: moved, new: '{{ b }}'}\n", "main.yaml:1:39: set_state: state: moved needs old"},
		"lacks what all need":     {"- set_state: {name: x, state: moved}\n", "main.yaml:1:31: set_state: state: moved needs old"},
		"free of choice":          {"- set_state: {name: '{{ a }}', state: '{{ b }}'}\n", ""},
		"no handler":              {"- say: x\n  notify: nosuch\n", `main.yaml:2:11: notify: no handler is called "nosuch" (neither the name of a handler nor a topic that one listens to)`},
		"nearly a handler":        {"- include_role: {name: hand}\n- say: x\n  notify: [restart x, restrat x]\n", `main.yaml:3:23: notify: no handler is called "restrat x" (did you mean "restart x"?)`},
		"handlers":                {"- include_role: {name: hand}\n- say: x\n  notify: [restart x, 'hand : restart x', topic, imported, known_topic]\n", ""},
		"handlers of any role":    {"- include_role: {name: '{{ x }}'}\n- say: x\n  notify: nosuch\n", ""},
		"handlers of any file":    {"- include_tasks: '{{ x }}'\n- say: x\n  notify: nosuch\n", ""},
		"handlers from elsewhere": {"- include_role: {name: hand, handlers_from: other}\n- say: x\n  notify: [other, restart x]\n", `main.yaml:3:19: notify: no handler is called "restart x"`},
		"notify by template":      {"- say: x\n  notify: '{{ x }}'\n", ""},
		"handler of any name":     {"- include_role: {name: named}\n- say: x\n  notify: nosuch\n", ""},
		"no host":                 {"- say: x\n  delegate_to: mteal\n", `main.yaml:2:16: delegate_to: there is no host "mteal" (did you mean "metal"?)`},
		"hosts":                   {"- say: x\n  delegate_to: metal\n- say: x\n  delegate_to: localhost\n- say: x\n  delegate_to: '{{ h }}'\n- local_action: say x\n", ""},
		"host if":                 {"- say: x\n  delegate_to: other\n  when: \"'other' in groups.all\"\n", ""},
		"no host if":              {"- block:\n  - say: x\n  delegate_to: other\n  when: a\n", `main.yaml:3:16: delegate_to: there is no host "other" (a hypervisor of the inventory, or localhost)`},
		"host of any role":        {"- include_role: {name: '{{ x }}'}\n- say: x\n  delegate_to: other\n", ""},
		"text for arguments":      {"- set_state: here\n", `main.yaml:1:3: "set_state" takes no free text: "here" (give`},
		"list for arguments":      {"- meta: [1]\n", `main.yaml:1:3: the arguments of "meta" are a list`},
		"unknown test":            {"- say: x\n  when: x is nosuch\n", `main.yaml:2:14: unknown test "nosuch"`},
	} {
		t.Run(name, func(t *testing.T) {
			got := validate(t, map[string]string{
				"main.yaml": c.main, "back.yaml": "- import_tasks: main.yaml\n", "fine.yaml": "- say: x\n", "here": "", "vars/list.yaml": "- 1\n",
				"roles/ginx/tasks/main.yml": "- say: x\n", "roles/bad/handlers/main.yml": "- say: x\n- sya: x\n",
				"roles/needs/meta/main.yml":     "dependencies: [absent]\n",
				"roles/hand/tasks/main.yml":     "- say: x\n  notify: topic\n",
				"roles/hand/handlers/main.yml":  "- name: restart x\n  say: x\n  listen: [topic, more]\n- import_tasks: more.yml\n",
				"roles/hand/handlers/more.yml":  "- name: imported\n  say: x\n",
				"roles/hand/handlers/other.yml": "- name: other\n  say: x\n- name: restart y\n  say: x\n  listen: [again, topic]\n",
				"roles/named/handlers/main.yml": "- name: restart {{ x }}\n  say: x\n",
			})
			if c.want == "" && got != "" || c.want != "" && (!strings.Contains(got, c.want) || strings.Contains(got, "\n")) {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

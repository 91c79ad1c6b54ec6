package task_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"farm/engine"
	"farm/engine/task"
	"farm/inventory"
	"farm/inventory/expr"
	"farm/inventory/value"
)

func TestRunOrder(t *testing.T) {
	tests := []struct {
		name  string
		files map[string]string
		want  string
		fault engine.Fault
	}{
		{"rescue and always", map[string]string{"main.yaml": `
- block:
    - say: one
    - {say: {text: two, fail: true}, name: bad}
    - say: never
  rescue:
    - say: rescued {{ ansible_failed_task.name }} {{ ansible_failed_result.msg }}
  always:
    - say: always
- say: after
`}, "one|two|rescued bad two|always|after", ""},
		{"always after a failure", map[string]string{"main.yaml": `
- block:
    - say: {text: one, fail: true}
  always:
    - say: always
- say: never
`}, "one|always", engine.TestFault},
		{"an undefined variable can be rescued", map[string]string{"main.yaml": `
- block:
    - say: "{{ nowhere }}"
  rescue:
    - say: rescued
`}, "rescued", ""},
		{"undefined variable", map[string]string{"main.yaml": "- say: '{{ nowhere }}'\n"}, "", engine.UserFault},
		{"lost host", map[string]string{"main.yaml": `
- block:
    - say: {text: one, lost: true}
  rescue:
    - say: never
`}, "one", engine.FarmFault},
		{"when, register, loop", map[string]string{"main.yaml": `
- say: "{{ item }}{{ i }}"
  loop: [a, b, c]
  loop_control: {index_var: i}
  when: item != 'b'
  register: r
- say: "{{ r.results | length }} {{ r.results[1] is skipped }} {{ r.results[2].item }}"
- {say: no, when: false}
- {say: both, when: [true, "r is changed"]}
- say: never
  loop: "{{ nowhere }}"
  when: false
`}, "a0|c2|3 True c|both", ""},
		{"with_items flattens, with_dict gives pairs", map[string]string{"main.yaml": `
- {say: "{{ item }}", with_items: [[1, 2], 3]}
- {say: "{{ item.key }}={{ item.value }}", with_dict: {a: 1}}
`}, "1|2|3|a=1", ""},
		{"until", map[string]string{"main.yaml": `
- {say: x, register: r, until: r.attempts is defined and r.attempts == 3, retries: 5, delay: 0}
- say: "{{ r.attempts }}"
`}, "x|x|x|3", ""},
		{"ignore_errors, failed_when, changed_when", map[string]string{"main.yaml": `
- {say: {text: a, fail: true}, ignore_errors: true, register: r}
- {say: "{{ r is failed }}"}
- {say: {text: b, fail: true}, failed_when: false, changed_when: false, register: r}
- {say: "{{ r is failed }} {{ r is changed }}"}
- {say: c, failed_when: "'c' in r2.stdout", register: r2}
`}, "a|True|b|False False|c", engine.TestFault},
		{"become and environment are inherited", map[string]string{"main.yaml": `
- block:
    - say: a
    - {say: b, become: false, environment: {WHO: you}}
  become: true
  become_user: root
  environment: {WHO: me}
`}, "a as root for me|b for you", ""},
		{"precedence", map[string]string{"main.yaml": `
- vars: {x: block, y: block}
  block:
    - {say: "{{ x }} {{ y }} {{ inv }}", vars: {x: task}}
    - set_fact: {x: fact}
    - {say: "{{ x }}", vars: {x: task}}
    - {include_tasks: more.yaml, vars: {x: param}}
    - {import_tasks: more.yaml, vars: {x: import}}
    - {say: "{{ e }}", vars: {e: task}}
`, "more.yaml": "- say: '{{ x }}'\n"}, "task block here|fact|param|fact|extra", ""},
		{"include in a loop", map[string]string{"main.yaml": `
- {include_tasks: "tasks/{{ item }}.yaml", loop: [a, b]}
- {include_tasks: nowhere.yaml, when: false}
- {import_tasks: tasks/a.yaml, when: false}
- {include_vars: v.yaml}
- say: "{{ v }}"
`, "tasks/a.yaml": "- say: a {{ item }}\n", "tasks/b.yaml": "- include_tasks: c.yaml\n", "tasks/c.yaml": "- say: c\n", "vars/v.yaml": "v: 7\n"},
			"a a|c|7", ""},
		{"roles, handlers, dependencies", map[string]string{"main.yaml": `
- {include_role: {name: web}, vars: {port: 1}}
- say: end
`, "roles/web/tasks/main.yml": "- {say: 'web {{ port }} {{ d }} {{ role_name }}', notify: [restart, topic]}\n",
			"roles/web/defaults/main.yml": "d: def\nport: 0\n", "roles/web/meta/main.yml": "dependencies: [base]\n",
			"roles/web/handlers/main.yml":  "- {name: other, say: other, listen: topic}\n- {name: restart, say: restart}\n- {name: idle, say: idle}\n",
			"roles/base/tasks/main.yml":    "- say: base\n",
			"roles/base/defaults/main.yml": "z: 1\n"}, "base|web 1 def web|end|other|restart", ""},
		{"meta", map[string]string{"main.yaml": `
- meta: flush_handlers
- {meta: end_host, when: true}
- say: never
`}, "", ""},
		{"tags never", map[string]string{"main.yaml": "- {say: a, tags: never}\n- say: b\n"}, "b", ""},
		{"local_action without a controller", map[string]string{"main.yaml": "- local_action: say x\n"}, "", engine.UserFault},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, tt.files, "inv", "here", "x", "inv", "e", "inv")
			b.o.Extra = value.NewDict("e", "extra")
			err := b.run()
			if got := b.said(); got != tt.want {
				t.Errorf("ran %q, want %q (error %v)", got, tt.want, err)
			}
			if got := faultOf(err); got != tt.fault {
				t.Errorf("fault %q, want %q: %v", got, tt.fault, err)
			}
			if err != nil && !strings.HasPrefix(err.Error(), filepath.Join(b.dir, "main.yaml")+":") {
				t.Errorf("the error has no place: %v", err)
			}
		})
	}
}

func TestEventsHideNoLog(t *testing.T) {
	b := newBench(t, map[string]string{"main.yaml": "- {say: {text: secret, fail: true}, no_log: true, ignore_errors: true}\n- {name: n, say: open}\n"})
	if err := b.run(); err != nil {
		t.Fatal(err)
	}
	if len(b.events) != 4 {
		t.Fatalf("%d events, want 4: %v", len(b.events), b.events)
	}
	text, err := value.From(b.events[1].Result).(*value.Dict).MarshalJSON()
	if err != nil || strings.Contains(string(text)+b.events[1].Text, "secret") || b.events[1].Status != engine.Ignored {
		t.Errorf("no_log shows %s %q %s", text, b.events[1].Text, b.events[1].Status)
	}
	if e := b.events[3]; e.Task != "n" || e.Status != engine.Changed || !strings.HasSuffix(e.File, "main.yaml:2:3") {
		t.Errorf("event %+v", e)
	}
}

func TestNoLogHidesItemsAndErrors(t *testing.T) {
	b := newBench(t, map[string]string{"main.yaml": "- {name: n, say: {text: 'of {{ item }}', fail: true}, loop: [hunter2], no_log: true}\n"})
	err := b.run()
	if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "no_log") {
		t.Errorf("the error is %v", err)
	}
	for _, e := range b.events {
		if text := fmt.Sprintf("%+v", e); strings.Contains(text, "hunter2") {
			t.Errorf("an event shows the item: %s", text)
		}
	}
}

func TestUnreachableWrapsItsError(t *testing.T) {
	b := newBench(t, map[string]string{"main.yaml": "- say: {text: a, lost: true}\n"})
	if err := b.run(); !errors.Is(err, engine.ErrUnreachable) || engine.FaultOf(err) != engine.FarmFault {
		t.Errorf("error %v, fault %s", err, engine.FaultOf(err))
	}
}

func TestUnknownNotificationIsOffered(t *testing.T) {
	b := newBench(t, map[string]string{"main.yaml": "- {say: a, notify: shutdown_hypervisor}\n"})
	if err := b.run(); err == nil {
		t.Error("a notification that nobody listens to passed")
	}
	var heard string
	b.o.Notified = func(_ *task.HostState, name string) bool { heard = name; return true }
	if err := b.run(); err != nil || heard != "shutdown_hypervisor" {
		t.Errorf("heard %q, error %v", heard, err)
	}
}

func TestDefinitionInheritsAndEdits(t *testing.T) {
	b := newBench(t, map[string]string{"debian.yaml": `
- vars:
    vm_name: "VM {{ vm.target }}"
  block:
    - add_host: {name: "{{ vm_name }}", ansible_port: 2222}
    - set_fact:
        vm:
          name: "{{ vm_name }}"
          release: "{{ version_name }}"
          cpu: "{{ '' | default(omit, true) }}"
          sources: [a, b]
`, "debian_12.yaml": `
- block:
    - import_tasks: debian.yaml
  vars: {version_name: bookworm}
- vars: {new: c}
  block:
    - set_fact:
        vm: "{{ vm | combine(over, recursive=true) }}"
      vars:
        over:
          sources: "{{ vm.sources[:1] + [new] + vm.sources[1:] }}"
`})
	vars := expr.New(expr.Options{}).Vars(value.NewDict("vm", value.NewDict("target", "arm64")))
	got, err := task.Definitions(b.o, nil)(context.Background(), inventory.DefinitionRequest{Path: filepath.Join(b.dir, "debian_12.yaml"), Host: "localhost", Vars: vars})
	if err != nil {
		t.Fatal(err)
	}
	text, _ := got.Facts.MarshalJSON()
	if want := `{"vm":{"name":"VM arm64","release":"bookworm","sources":["a","c","b"]}}`; string(text) != want {
		t.Errorf("facts %s\nwant  %s", text, want)
	}
	if port, _ := got.Hosts["VM arm64"].Get("ansible_port"); port != int64(2222) {
		t.Errorf("hosts %v", got.Hosts)
	}
}

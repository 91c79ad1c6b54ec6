package task_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"farm/engine"
	"farm/engine/enginetest"
	"farm/engine/task"
	"farm/inventory/expr"
	"farm/inventory/value"
)

// The orders and values are those of ansible-core 2.14.
func TestKeywordsDoWhatAnsibleDoes(t *testing.T) {
	tests := []struct {
		name  string
		files map[string]string
		want  string
		fault engine.Fault
	}{
		{"results of loops", map[string]string{"main.yaml": `
- {say: x, loop: [1], register: r}
- say: "{{ r.keys() | sort }} {{ r.skipped }} {{ r.msg }}"
- {say: x, loop: [1, 2], when: item == 1, register: r}
- say: "{{ r.skipped }} {{ r.results[1].keys() | sort }}"
- {say: x, loop: [1, 2], when: false, register: r}
- say: "{{ r.skipped }} {{ r.msg }} {{ r is failed }}"
- {say: x, loop: [], register: r}
- say: "{{ r.keys() | sort }} {{ r.skipped_reason }}"
- {say: {text: x, fail: true}, loop: [1], ignore_errors: true, register: r}
- say: "{{ r.keys() | sort }} {{ r.msg }}"
- {say: x, when: false, register: r}
- say: "{{ r.keys() | sort }} {{ r.skip_reason }}"
`}, "x|['changed', 'msg', 'results', 'skipped'] False All items completed|x|False ['ansible_loop_var', 'changed', 'item', 'skip_reason', 'skipped']|" +
			"True All items skipped False|['changed', 'results', 'skipped', 'skipped_reason'] No items in the list|" +
			"x|['changed', 'failed', 'msg', 'results', 'skipped'] One or more items failed|['changed', 'skip_reason', 'skipped'] Conditional result was False", ""},
		{"what failed outlives its block", map[string]string{"main.yaml": `
- block: [{name: 'bad {{ 1 + 1 }}', say: {text: 'no {{ 3 }}', fail: true}, register: r, vars: {q: 1}}]
  rescue: [{say: "{{ ansible_failed_task.name }} {{ ansible_failed_task.action }} {{ ansible_failed_task.args.text }} {{ ansible_failed_task.vars.q }} {{ ansible_failed_task.register }}"}]
  always: [{say: "{{ ansible_failed_result.msg }}"}]
- say: "{{ ansible_failed_task.name }}"
`}, "no 3|bad 2 say no {{ 3 }} 1 r|no 3|bad 2", ""},
		{"giving up counts no last attempt", map[string]string{"main.yaml": `
- {say: x, until: false, retries: 2, delay: 0, register: r, ignore_errors: true}
- say: "{{ r.attempts }} {{ r is failed }}"
`}, "x|x|x|2 True", ""},
		{"of handlers with one name the first of the last file runs", map[string]string{"main.yaml": `
- {include_role: {name: a}}
- {say: x, notify: [same, 'topic', 'b : other', 'named 1']}
- {include_role: {name: b}, when: false}
`, "roles/a/tasks/main.yml": "- say: a\n",
			"roles/a/meta/main.yml": "dependencies: [b]\n", "roles/b/tasks/main.yml": "- say: b\n",
			"roles/a/handlers/main.yml": "- {name: same, say: first}\n- {name: same, say: second}\n- {name: t, say: topic, listen: [topic]}\n- {name: 'named {{ 1 }}', say: named}\n",
			"roles/b/handlers/main.yml": "- {name: other, say: other, notify: last}\n- {name: last, say: last}\n- {name: same, say: of b, listen: topic}\n"},
			"b|a|x|topic|named|other|last|of b", ""},
		{"module_defaults", map[string]string{"main.yaml": `
- module_defaults:
    - community.general.say: {text: outer, fail: false}
    - say: {text: later}
  block:
    - say:
    - {say: {}, module_defaults: {say: {still: true}}, register: r}
    - {say: {}, module_defaults: '{{ d }}'}
- say: "{{ r is changed }}"
`}, "later||var|False", ""},
		{"throttle, run_once and any_errors_fatal on one host", map[string]string{"main.yaml": `
- {say: a, throttle: 1, run_once: true, any_errors_fatal: true}
- {say: {text: b, fail: true}, any_errors_fatal: true, ignore_errors: true}
`}, "a|b", ""},
		{"meta", map[string]string{"main.yaml": `
- set_fact: {f: 1}
- meta: clear_facts
- meta: clear_host_errors
- meta: noop
- meta: refresh_inventory
- meta: reset_connection
- {meta: end_play, when: false}
- say: "{{ f }}"
- meta: end_batch
- say: never
`}, "1", ""},
		{"include_vars of a folder", map[string]string{"main.yaml": `
- {include_vars: {dir: d, ignore_unknown_extensions: true, name: all}, register: r}
- say: "{{ all.keys() | sort }} {{ r.ansible_included_var_files | map('basename') | list }}"
- {include_vars: {dir: d, depth: 1, files_matching: '^[ab]', ignore_files: [b.yaml], ignore_unknown_extensions: 'yes', name: some}}
- say: "= {{ some.keys() | list }}"
- {include_vars: {file: a.yaml, hash_behaviour: merge}}
- say: "= {{ d }}"
- {include_vars: {dir: d, extensions: [txt]}, ignore_errors: true, register: r}
- say: "{{ 'a valid extension: txt' in r.message }}"
`, "vars/d/a.yaml": "a: 1\n", "vars/d/b.yaml": "b: 1\n", "vars/d/sub/c.json": `{"c": 1}`, "vars/d/README": "no variables", "vars/a.yaml": "d: {more: 1}\n"},
			"['a', 'b', 'c'] ['a.yaml', 'b.yaml', 'c.json']|= ['a']|= {'say': {'text': 'var'}, 'more': 1}|True", ""},
		{"notify from a loop", map[string]string{"main.yaml": `
- {include_role: {name: n}}
- {say: "{{ item }}", loop: [x, y], notify: "after {{ item }}"}
`, "roles/n/tasks/main.yml": "[]\n", "roles/n/handlers/main.yml": "- {name: after x, say: x again}\n- {name: after y, say: y again}\n- {name: after z, say: never}\n"},
			"x|y|x again|y again", ""},
		{"until gives way to failed_when", map[string]string{"main.yaml": `
- {say: a, until: false, retries: 1, delay: 0, failed_when: false, register: r}
- say: "{{ r.failed }} {{ r.attempts }}"
- {say: b, loop: }
- say: |
    two
    lines
`}, "a|a|True 1|b|two\nlines\n", ""},
		{"a failed loop in rescue", map[string]string{"main.yaml": `
- block: [{say: {text: "{{ item }}", fail: true}, loop: [1, 2]}]
  rescue: [{say: "{{ ansible_failed_result.results | length }} {{ ansible_failed_task.name }}."}]
`}, "1|2|2 .", ""},
		{"another user", map[string]string{"main.yaml": "- {say: a, remote_user: me}\n- {say: b, remote_user: you}\n"}, "a", engine.UserFault},
		{"another port", map[string]string{"main.yaml": "- {say: a, port: 23}\n"}, "", engine.UserFault},
		{"connections", map[string]string{"main.yaml": "- {say: a, connection: ssh}\n- {say: b, connection: chroot}\n"}, "a", engine.UserFault},
		{"the controller is not for everybody", map[string]string{"main.yaml": "- {say: a, connection: local}\n"}, "", engine.UserFault},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, tt.files, "d", value.NewDict("say", value.NewDict("text", "var")))
			b.host.LoginUser = "me"
			err := b.run()
			if got := b.said(); got != tt.want || faultOf(err) != tt.fault {
				t.Errorf("ran  %q\nwant %q\nerror %v", got, tt.want, err)
			}
		})
	}
}

func TestKeywordsWithoutEffectAreRefused(t *testing.T) {
	_, err := task.NewParser(defs(nil)).Parse("f.yaml", []byte(`- {include_tasks: a.yaml, become: true}
- {include_role: {name: a}, notify: x}
- {import_tasks: a.yaml, loop: [1]}
- {say: a, debugger: on_failed}
- {say: a, debugger: never}
- {say: a, module_defaults: {sya: {}, group/aws: {}, say: {}}}
- {meta: noop, async: 5}
`))
	want := []string{
		`f.yaml:1:27: "become" has no meaning on include_tasks (put it under apply, or on a block around it)`,
		`f.yaml:2:29: "notify" has no meaning on include_role (put it under apply, or on a block around it)`,
		`f.yaml:3:26: "loop" has no meaning on import_tasks (include_tasks can be repeated)`,
		`f.yaml:4:12: debugger: there is no debugger here (take it out, or set it to never)`,
		`f.yaml:6:30: module_defaults: there is no module "sya" (did you mean "say"?)`,
		`f.yaml:6:39: module_defaults: there are no groups of modules: "group/aws" (name each module)`,
		`f.yaml:7:16: meta cannot run in the background`,
	}
	if got := err.Error(); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

func TestDelegateFactsAreTheOthers(t *testing.T) {
	b := newBench(t, map[string]string{"main.yaml": `
- {set_fact: {f: theirs}, delegate_to: host, delegate_facts: true}
- {set_fact: {g: mine}, delegate_to: host}
- say: "{{ hostvars.host.f }} {{ f is defined }} {{ g }} {{ hostvars.guest.g }}"
`})
	b.o.Conn = func(context.Context, string) (engine.Conn, error) { return &enginetest.Conn{}, nil }
	if err := b.run(); err != nil {
		t.Fatal(err)
	}
	if want := "theirs False mine mine"; b.said() != want {
		t.Errorf("got %q, want %q", b.said(), want)
	}
}

func TestAnyErrorsFatalIsToldApart(t *testing.T) {
	b := newBench(t, map[string]string{"main.yaml": "- {say: {text: a, fail: true}, any_errors_fatal: true}\n", "other.yaml": "- say: {text: a, fail: true}\n"})
	if err := b.run(); !errors.Is(err, task.ErrFatal) {
		t.Errorf("error %v", err)
	}
	if err := b.runFile("other.yaml"); err == nil || errors.Is(err, task.ErrFatal) {
		t.Errorf("error %v", err)
	}
}

func TestBecomeFlagsAreNotPassedOverInSilence(t *testing.T) {
	b := newBench(t, map[string]string{"main.yaml": "- {say: a, become: true, become_flags: -i}\n- {say: b, become: true, become_flags: -i}\n"})
	if err := b.run(); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range b.events {
		if e.Kind == engine.Warning && strings.Contains(e.Text, "become_flags is not used") {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d warnings", n)
	}
}

func TestResetConnectionOpensItAnew(t *testing.T) {
	b := newBench(t, map[string]string{"main.yaml": "- meta: reset_connection\n"})
	old, fresh := &enginetest.Conn{}, &enginetest.Conn{}
	b.host.Conn = old
	b.host.Reconnect = func(context.Context) (engine.Conn, error) { return fresh, nil }
	if err := b.run(); err != nil || b.host.Conn != engine.Conn(fresh) {
		t.Errorf("the connection is %v, error %v", b.host.Conn, err)
	}
	b.host.Reconnect = func(context.Context) (engine.Conn, error) { return nil, engine.ErrUnreachable }
	if err := b.run(); !errors.Is(err, engine.ErrUnreachable) {
		t.Errorf("error %v", err)
	}
}

// counting is a module that tells how many hosts run it at once.
type counting struct {
	mu        *sync.Mutex
	now, most *int
}

func (m *counting) Run(context.Context, *engine.Task) (engine.Result, error) {
	m.mu.Lock()
	*m.now++
	*m.most = max(*m.most, *m.now)
	m.mu.Unlock()
	time.Sleep(time.Second) // of the test's own clock
	m.mu.Lock()
	*m.now--
	m.mu.Unlock()
	return engine.Result{Changed: true, Values: value.NewDict("stdout", "result")}, nil
}

func TestThrottleAndRunOnceHoldAmongHosts(t *testing.T) {
	for text, want := range map[string]int{"- {count: , throttle: 2}\n": 2, "- {count: }\n": 5, "- {count: , run_once: true, register: r}\n- {say: '{{ r.stdout }}', run_once: true}\n": 1} {
		b := newBench(t, map[string]string{"main.yaml": text})
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			now, most := 0, 0
			o := task.Options{Project: b.dir, Slots: &task.Slots{}, Modules: append(defs(&b.log), engine.ModuleDef{Name: "count", New: func() engine.Module { return &counting{&mu, &now, &most} }})}
			once := &task.Once{}
			var wait sync.WaitGroup
			errs := make([]error, 5)
			hosts := make([]*task.HostState, 5)
			for i := range hosts {
				hosts[i] = task.NewHost(string(rune('a'+i)), nil, expr.New(expr.Options{}).Vars())
				hosts[i].Once = once
				wait.Go(func() {
					errs[i] = task.New(o).RunFile(context.Background(), filepath.Join(b.dir, "main.yaml"), hosts[i], nil)
				})
			}
			wait.Wait()
			if err := errors.Join(errs...); err != nil || most != want {
				t.Errorf("%s: %d at once, want %d; error %v", text, most, want, err)
			}
			if !strings.Contains(text, "run_once") {
				return
			}
			if b.said() != "result" {
				t.Errorf("said %q", b.said())
			}
			for _, h := range hosts {
				if r, _ := h.Set.Get("r"); value.Text(r) == "" {
					t.Errorf("host %s has no result", h.Name)
				}
			}
		})
	}
}

func TestThrottleEndsWithItsContext(t *testing.T) {
	b := newBench(t, map[string]string{"main.yaml": "- {hang: , throttle: 1}\n"})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		o := task.Options{Project: b.dir, Slots: &task.Slots{}, Modules: []engine.ModuleDef{{Name: "hang", New: func() engine.Module { return &hanging{} }}}}
		var wait sync.WaitGroup
		for _, name := range []string{"a", "b"} {
			wait.Go(func() {
				h := task.NewHost(name, nil, expr.New(expr.Options{}).Vars())
				if err := task.New(o).RunFile(ctx, filepath.Join(b.dir, "main.yaml"), h, nil); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%s: error %v", name, err)
				}
			})
		}
		wait.Wait()
	})
}

type hanging struct{}

func (*hanging) Run(ctx context.Context, _ *engine.Task) (engine.Result, error) {
	<-ctx.Done()
	return engine.Result{}, ctx.Err()
}

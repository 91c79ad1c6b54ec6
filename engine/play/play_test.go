package play

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"farm/engine"
	"farm/engine/task"
	"farm/inventory/expr"
	"farm/inventory/value"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// say tells its text; with fail set to the host's name it fails there.
type say struct {
	Text string `yaml:"text"`
	Fail string `yaml:"fail"`
	Gone bool   `yaml:"gone"`
}

func (s *say) SetFreeForm(text string) { s.Text = text }

func (s *say) Run(_ context.Context, t *engine.Task) (engine.Result, error) {
	if s.Gone {
		return engine.Result{}, fmt.Errorf("%q: %w", t.Host, engine.ErrUnreachable)
	}
	return engine.Result{Changed: true, Failed: slices.Contains(strings.Split(s.Fail, ","), t.Host), Msg: s.Text}, nil
}

// setFact is enough of the module.
type setFact struct {
	Rest *value.Dict `yaml:",rest"`
}

func (s *setFact) Run(context.Context, *engine.Task) (engine.Result, error) {
	return engine.Result{Facts: s.Rest}, nil
}

// addTo puts the host into a group.
type addTo struct {
	Group string `yaml:"group"`
}

func (a *addTo) Run(_ context.Context, t *engine.Task) (engine.Result, error) {
	return engine.Result{AddHost: &engine.NewHost{Name: t.Host, Groups: []string{a.Group}}}, nil
}

func defs() []engine.ModuleDef {
	return []engine.ModuleDef{
		{Name: "say", New: func() engine.Module { return &say{} }},
		{Name: "set_fact", New: func() engine.Module { return &setFact{} }},
		{Name: "setup", New: func() engine.Module { return &setFact{} }},
		{Name: "group_by", New: func() engine.Module { return &addTo{} }},
	}
}

// few are hosts without variables.
type few []string

func (f few) HostNames() []string { return f }

func (f few) HostVars(name string) *expr.Vars {
	return expr.New(expr.Options{}).Vars(value.NewDict("inventory_hostname", name))
}

func (f few) Joined(name string, groups []string) (*expr.Vars, []string) {
	vars := value.NewDict("inventory_hostname", name)
	for _, g := range groups {
		vars.Set("in_"+g, true)
	}
	return expr.New(expr.Options{}).Vars(vars), append(groups, "above")
}

// perform runs a playbook on the hosts a, b, c and returns what was said, as "host: text",
// and how each host fared.
func perform(t *testing.T, book string, change func(*Options)) (said []string, ended map[string]engine.Status, err error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "book.yaml")
	if err := os.WriteFile(path, []byte(book), 0o600); err != nil {
		t.Fatal(err)
	}
	plays, err := Read(task.NewParser(defs()), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	ended = map[string]engine.Status{}
	o := Options{
		Task: task.Options{Modules: defs()}, Hosts: few{"a", "b", "c"}, Forks: 2,
		Login: func(string, *expr.Vars) (Login, error) { return Login{}, nil },
		Emit: func(e engine.Event) {
			mu.Lock()
			defer mu.Unlock()
			switch {
			case e.Kind == engine.VMEnded:
				ended[e.VM] = e.Status
			case e.Kind == engine.TaskEnded && e.Module == "say" && e.Status == engine.Changed:
				said = append(said, e.VM+": "+e.Text)
			}
		},
	}
	if change != nil {
		change(&o)
	}
	err = Run(t.Context(), t.Context(), plays, o)
	return said, ended, err
}

func TestHostsGoThroughPlays(t *testing.T) {
	for name, c := range map[string]struct {
		book   string
		want   []string // said, in order
		failed map[string]engine.Status
	}{
		"in step": {book: `
- hosts: all
  gather_facts: false
  tasks:
    - block: [{say: one}, {say: two}]
    - say: three`, want: []string{"a: one", "b: one", "c: one", "a: two", "b: two", "c: two", "a: three", "b: three", "c: three"}},
		"serial": {book: `
- hosts: all
  gather_facts: false
  serial: [1, 2]
  tasks: [{say: "{{ ansible_play_batch | join }}"}, {say: x}]`, want: []string{"a: a", "a: x", "b: bc", "c: bc", "b: x", "c: x"}},
		"handlers after each section": {book: `
- hosts: a
  gather_facts: false
  pre_tasks: [{say: pre, notify: h}]
  tasks: [{say: task, notify: h}, {say: more, notify: h}]
  post_tasks: [{say: post}]
  handlers: [{name: h, say: handled}]`, want: []string{"a: pre", "a: handled", "a: task", "a: more", "a: handled", "a: post"}},
		"a failed host takes no part": {book: `
- hosts: all
  gather_facts: false
  tasks: [{say: {text: x, fail: b}}, {say: "{{ ansible_play_hosts | join }}"}]
- hosts: b:c
  gather_facts: false
  tasks: [{say: next}]`, want: []string{"a: x", "c: x", "a: ac", "c: ac", "c: next"}, failed: map[string]engine.Status{"b": engine.Failed}},
		"any_errors_fatal": {book: `
- hosts: all
  gather_facts: false
  any_errors_fatal: true
  tasks: [{say: {text: x, fail: b}}, {say: not reached}]
- hosts: c
  gather_facts: false
  tasks: [{say: not reached}]`, want: []string{"a: x", "c: x"}, failed: map[string]engine.Status{"b": engine.Failed}},
		"max_fail_percentage": {book: `
- hosts: all
  gather_facts: false
  max_fail_percentage: 40
  tasks: [{say: {text: x, fail: b}}, {say: {text: "y", fail: c}}, {say: not reached}]`,
			want: []string{"a: x", "c: x", "a: y"}, failed: map[string]engine.Status{"b": engine.Failed, "c": engine.Failed}},
		"a batch that failed ends the play": {book: `
- hosts: all
  gather_facts: false
  serial: 1
  tasks: [{say: {text: x, fail: b}}]`, want: []string{"a: x"}, failed: map[string]engine.Status{"b": engine.Failed}},
		"a host that is lost": {book: `
- hosts: a
  gather_facts: false
  tasks: [{say: x}, {say: {gone: true}}]`, want: []string{"a: x"}, failed: map[string]engine.Status{"a": engine.Unreachable}},
		"handlers are forced": {book: `
- hosts: a
  gather_facts: false
  force_handlers: true
  tasks: [{say: x, notify: h}, {say: {fail: a}}]
  handlers: [{name: h, say: handled}]`, want: []string{"a: x", "a: handled"}, failed: map[string]engine.Status{"a": engine.Failed}},
		"once, on the first host": {book: `
- hosts: all
  gather_facts: false
  order: reverse_sorted
  tasks: [{say: "{{ inventory_hostname }}", run_once: true, register: r}, {say: "{{ r.msg }}"}]`, want: []string{"c: c", "c: c", "b: c", "a: c"}},
		"what other hosts set": {book: `
- hosts: all
  gather_facts: false
  tasks: [{set_fact: {mine: "{{ inventory_hostname }}!"}}, {say: "{{ hostvars.a.mine }}{{ hostvars['c'].mine }}"}]`,
			want: []string{"a: a!c!", "b: a!c!", "c: a!c!"}},
		"groups that tasks make": {book: `
- hosts: b,c
  gather_facts: false
  tasks: [{group_by: {group: made}}]
- hosts: made:!b
  gather_facts: false
  tasks: [{say: "{{ groups.made | length }} {{ group_names | join }} {{ in_made }}"}]`, want: []string{"c: 2 abovemade True"}},
		"end of the play": {book: `
- hosts: all
  gather_facts: false
  serial: 1
  tasks: [{say: x}, {meta: end_play}, {say: not reached}]
- hosts: a
  gather_facts: false
  tasks: [{say: next}]`, want: []string{"a: x", "a: next"}},
		"variables of the play are under set facts": {book: `
- hosts: a
  gather_facts: true
  vars: {v: play, w: play}
  tasks: [{set_fact: {v: set}}, {say: "{{ v }} {{ w }}"}]`, want: []string{"a: set play"}},
	} {
		t.Run(name, func(t *testing.T) {
			said, ended, err := perform(t, c.book, func(o *Options) { o.Forks = 1 })
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, said); diff != "" {
				t.Errorf("said (-want +got):\n%s", diff)
			}
			for host, status := range ended {
				want := c.failed[host]
				if want == "" {
					want = engine.OK
				}
				if status != want {
					t.Errorf("%s ended %q, not %q", host, status, want)
				}
			}
		})
	}
}

func TestFreeHostsDoNotWait(t *testing.T) {
	first := make(chan struct{})
	book := "- hosts: a,b\n  gather_facts: false\n  strategy: free\n  tasks: [{say: one}, {say: two}]"
	_, _, err := perform(t, book, func(o *Options) {
		emit := o.Emit
		o.Emit = func(e engine.Event) {
			// a waits in its first task until b has done both.
			if e.Kind == engine.TaskEnded && e.VM == "a" && e.Text == "one" {
				<-first
			}
			if e.Kind == engine.TaskEnded && e.VM == "b" && e.Text == "two" {
				close(first)
			}
			emit(e)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestInterruptStartsNoTask(t *testing.T) {
	soft, interrupt := context.WithCancel(t.Context())
	path := filepath.Join(t.TempDir(), "book.yaml")
	book := "- hosts: all\n  gather_facts: false\n  tasks: [{say: one}, {say: not reached}]\n- hosts: all\n  tasks: [{say: not reached}]"
	if err := os.WriteFile(path, []byte(book), 0o600); err != nil {
		t.Fatal(err)
	}
	plays, err := Read(task.NewParser(defs()), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	err = Run(soft, t.Context(), plays, Options{
		Task: task.Options{Modules: defs()}, Hosts: few{"a"}, Forks: 1,
		Login: func(string, *expr.Vars) (Login, error) { return Login{}, nil },
		Emit: func(e engine.Event) {
			mu.Lock()
			defer mu.Unlock()
			switch {
			case e.Text == "not reached":
				t.Error("a task was started after the interrupt")
			case e.Kind == engine.TaskEnded:
				interrupt()
			case e.Kind == engine.VMEnded && e.Status != engine.Interrupted:
				t.Errorf("%s ended %q", e.VM, e.Status)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestNoHostIsAnError(t *testing.T) {
	_, _, err := perform(t, "- hosts: nobody\n  tasks: []", nil)
	if !errors.Is(err, ErrNoHosts) {
		t.Errorf("got %v", err)
	}
	_, _, err = perform(t, "- hosts: '~('\n  tasks: []", nil)
	if engine.FaultOf(err) != engine.UserFault {
		t.Errorf("got %v", err)
	}
}

func TestReadTellsAllFaultsAtTheirPlaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.yaml")
	book := `- hosts: []
- hosts: all
  serial: x
  strategy: fast
  order: any
  max_fail_percentage: 200
  vars: [1]
  roles: [{vars: {}}]
  become: 3
- tasks: []
`
	if err := os.WriteFile(path, []byte(book), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Read(task.NewParser(defs()), path, nil)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`f.yaml:1:3: hosts is empty (all for every host)`,
		`f.yaml:3:3: serial: "x" is neither a number of hosts nor a share such as "30%"`,
		`f.yaml:4:3: there is no strategy "fast" (linear, free or host_pinned)`,
		`f.yaml:5:3: there is no order "any"`,
		`f.yaml:6:3: max_fail_percentage: "200" is not between 0 and 100`,
		`f.yaml:7:3: vars is a list, not a mapping`,
		`f.yaml:8:11: the entry of roles names no role`,
		`f.yaml:9:3: become is `,
		`f.yaml:10:3: the play has no hosts`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("want %s in\n%v", want, err)
		}
	}
}

func TestBatches(t *testing.T) {
	hosts := []string{"1", "2", "3", "4", "5"}
	for _, c := range []struct {
		serial []any
		want   string
	}{
		{nil, "[[1 2 3 4 5]]"},
		{[]any{int64(2)}, "[[1 2] [3 4] [5]]"},
		{[]any{int64(1), "40%"}, "[[1] [2 3] [4 5]]"},
		{[]any{"1%"}, "[[1] [2] [3] [4] [5]]"},
		{[]any{int64(0)}, "[[1 2 3 4 5]]"},
		{[]any{"9"}, "[[1 2 3 4 5]]"},
	} {
		got, err := batches(hosts, c.serial)
		if err != nil || fmt.Sprint(got) != c.want {
			t.Errorf("serial %v: %v, %v, not %s", c.serial, got, err, c.want)
		}
	}
	if _, err := batches(hosts, []any{"-1"}); err == nil {
		t.Error("a size below 0 is accepted")
	}
}

package modules

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"farm/engine"
	"farm/engine/local"
	"farm/inventory/source"
	"farm/inventory/value"
)

// fakeVars knows the variables it was given; a template is the name of one in braces, or
// text with such names in it.
type fakeVars map[string]any

func (v fakeVars) Get(name string) (any, bool, error) {
	x, ok := v[name]
	return x, ok, nil
}

// fakeUndefined is the error about a variable that there is not.
type fakeUndefined string

func (fakeUndefined) Undefined() bool { return true }
func (u fakeUndefined) Error() string { return string(u) + " is undefined" }

func (v fakeVars) Names() []string { return slices.Sorted(maps.Keys(v)) }

func (v fakeVars) Eval(x any) (any, error) {
	switch t := x.(type) {
	case value.Template:
		name := strings.TrimSpace(t.Text)
		if strings.HasPrefix(name, "{{") && strings.HasSuffix(name, "}}") && strings.Count(name, "{{") == 1 {
			name = strings.TrimSpace(name[2 : len(name)-2])
			if x, ok := v[name]; ok {
				return x, nil
			}
			return nil, fakeUndefined(name)
		}
		return v.EvalFile("", t.Text, nil, value.Syntax{})
	case []any:
		list := make([]any, len(t))
		for i, item := range t {
			var err error
			if list[i], err = v.Eval(item); err != nil {
				return nil, err
			}
		}
		return list, nil
	}
	return x, nil
}

func (v fakeVars) Condition(text string, pos source.Pos) (bool, error) {
	x, err := v.Eval(value.Template{Text: "{{ " + text + " }}", Pos: pos})
	return truth(x), err
}

func (v fakeVars) EvalFile(name, text string, more *value.Dict, _ value.Syntax) (string, error) {
	for k, x := range more.All() {
		text = strings.ReplaceAll(text, "{{ "+value.Text(k)+" }}", value.Text(x))
	}
	for k, x := range v {
		text = strings.ReplaceAll(text, "{{ "+k+" }}", value.Text(x))
	}
	if strings.Contains(text, "{{") {
		return "", fmt.Errorf("%s: a variable is undefined", name)
	}
	return text, nil
}

// fakeFiles finds files in one folder.
type fakeFiles string

func (f fakeFiles) Find(kind, name string) (string, error) {
	path := name
	if !filepath.IsAbs(name) {
		path = filepath.Join(string(f), kind, name)
	}
	_, err := os.Stat(path)
	return path, err
}
func (fakeFiles) ReadFile(path string) ([]byte, error) { return os.ReadFile(path) }
func (fakeFiles) Open(path string) (fs.File, error)    { return os.Open(path) }

// bench is where a module is tried: real shells on this machine.
type bench struct {
	*testing.T
	task   *engine.Task
	dir    string // the guest's, empty at first
	source string // the controller's
	vars   fakeVars

	mu     sync.Mutex
	events []engine.Event
}

func newBench(t *testing.T) *bench {
	t.Helper()
	conn := local.New()
	t.Cleanup(func() { conn.Close() })
	b := &bench{T: t, dir: t.TempDir(), source: t.TempDir(), vars: fakeVars{}}
	b.task = &engine.Task{
		Conn: conn, Local: conn, Vars: b.vars, Files: fakeFiles(b.source), Host: "guest", State: map[string]any{},
		Emit: func(e engine.Event) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.events = append(b.events, e)
		},
	}
	b.underBusybox()
	b.withResident()
	return b
}

func (b *bench) shown() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []string
	for _, e := range b.events {
		all = append(all, e.Text)
	}
	return strings.Join(all, "\n")
}

// module makes a module with arguments written as YAML; DIR stands for the guest's folder.
func (b *bench) module(name, args string) engine.Module {
	b.Helper()
	for _, def := range All() {
		if def.Name != name {
			continue
		}
		m := def.New()
		f, err := source.Parse("task.yaml", []byte(strings.ReplaceAll(args, "DIR", b.dir)))
		if err != nil {
			b.Fatal(err)
		}
		v, err := value.FromNode(f, f.Root)
		if err != nil {
			b.Fatal(err)
		}
		switch v := v.(type) {
		case *value.Dict:
			if err := value.Decode(v, m); err != nil {
				b.Fatal(err)
			}
		case string:
			m.(engine.FreeForm).SetFreeForm(v)
		}
		return m
	}
	b.Fatalf("no module %q", name)
	return nil
}

func (b *bench) run(name, args string) engine.Result {
	b.Helper()
	m := b.module(name, args)
	if v, ok := m.(engine.Validator); ok {
		if err := v.Validate(); err != nil {
			return failed("%v", err)
		}
	}
	ctx, cancel := context.WithTimeout(b.Context(), 30*time.Second)
	defer cancel()
	r, err := m.Run(ctx, b.task)
	if err != nil {
		b.Fatalf("%s: %v", name, err)
	}
	return r
}

// want checks a result's outcome: "ok", "changed", "skipped" or "failed".
func (b *bench) want(r engine.Result, outcome string) engine.Result {
	b.Helper()
	got := "ok"
	switch {
	case r.Failed:
		got = "failed"
	case r.Skipped:
		got = "skipped"
	case r.Changed:
		got = "changed"
	}
	if got != outcome {
		b.Errorf("%s, want %s: %s", got, outcome, r.Msg)
	}
	return r
}

func (b *bench) check(name, args, outcome string) engine.Result {
	b.Helper()
	return b.want(b.run(name, args), outcome)
}

// dry runs a module in check mode.
func (b *bench) dry(name, args, outcome string) engine.Result {
	b.Helper()
	b.task.Check = true
	defer func() { b.task.Check = false }()
	return b.check(name, args, outcome)
}

// values checks keys of a result.
func (b *bench) values(r engine.Result, pairs ...any) {
	b.Helper()
	for i := 0; i < len(pairs); i += 2 {
		got, ok := r.Values.Get(pairs[i])
		if !ok || fmt.Sprint(got) != fmt.Sprint(pairs[i+1]) {
			b.Errorf("%v is %#v (%T), want %#v; %s", pairs[i], got, got, pairs[i+1], r.Msg)
		}
	}
}

func (b *bench) write(name, text string) {
	b.Helper()
	if !filepath.IsAbs(name) {
		name = filepath.Join(b.dir, name)
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		b.Fatal(err)
	}
}

// holds checks a file of the guest: its text, and its mode unless that is 0.
func (b *bench) holds(name, text string, mode fs.FileMode) {
	b.Helper()
	path := filepath.Join(b.dir, name)
	got, err := os.ReadFile(path)
	if err != nil {
		b.Error(err)
		return
	}
	if string(got) != text {
		b.Errorf("%s holds %q, want %q", name, got, text)
	}
	if st, _ := os.Stat(path); mode != 0 && st.Mode().Perm() != mode {
		b.Errorf("%s has mode %o, want %o", name, st.Mode().Perm(), mode)
	}
}

// only checks that a folder of the guest holds just these names, temporary files included.
func (b *bench) only(dir string, names ...string) {
	b.Helper()
	list, err := os.ReadDir(filepath.Join(b.dir, dir))
	if err != nil {
		b.Fatal(err)
	}
	var got []string
	for _, e := range list {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(names, " ") {
		b.Errorf("%s holds %q, want %q", dir, got, names)
	}
}

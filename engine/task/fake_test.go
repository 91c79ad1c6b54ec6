package task_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"farm/engine"
	"farm/engine/task"
	"farm/inventory/expr"
	"farm/inventory/value"
)

// said is a module that records what it was told; it fails when told to.
type said struct {
	Text  string `yaml:"text"`
	Fail  bool   `yaml:"fail"`
	Lost  bool   `yaml:"lost"`
	Still bool   `yaml:"still"` // reports changed: false
	log   *[]string
}

func (m *said) SetFreeForm(text string) { m.Text = text }

func (m *said) Run(_ context.Context, t *engine.Task) (engine.Result, error) {
	line := m.Text
	if t.Become != nil {
		line += " as " + t.Become.User
	}
	if v := t.Env["WHO"]; v != "" {
		line += " for " + v
	}
	*m.log = append(*m.log, line)
	if m.Lost {
		return engine.Result{}, fmt.Errorf("dial: %w", engine.ErrUnreachable)
	}
	return engine.Result{Changed: !m.Still, Failed: m.Fail, Msg: m.Text, Values: value.NewDict("stdout", m.Text)}, nil
}

// setFact sets variables, as the module of that name.
type setFact struct {
	Facts *value.Dict `yaml:",rest"`
}

func (m *setFact) Run(context.Context, *engine.Task) (engine.Result, error) {
	return engine.Result{Facts: m.Facts}, nil
}

type addHost struct {
	Name string      `yaml:"name,required"`
	Vars *value.Dict `yaml:",rest"`
}

func (m *addHost) Run(context.Context, *engine.Task) (engine.Result, error) {
	return engine.Result{Changed: true, AddHost: &engine.NewHost{Name: m.Name, Vars: m.Vars}}, nil
}

// anything takes every argument.
type anything struct {
	Rest *value.Dict `yaml:",rest"`
}

func (m *anything) SetFreeForm(string) {}
func (m *anything) Run(context.Context, *engine.Task) (engine.Result, error) {
	return engine.Result{}, nil
}

func defs(log *[]string) []engine.ModuleDef {
	out := []engine.ModuleDef{
		{Name: "say", Aliases: []string{"community.general.say"}, New: func() engine.Module { return &said{log: log} }},
		{Name: "set_fact", New: func() engine.Module { return &setFact{} }},
		{Name: "add_host", New: func() engine.Module { return &addHost{} }},
	}
	for _, n := range []string{"shell", "git", "stat", "debug", "apt", "package", "raw", "file", "pacman", "copy", "template"} {
		out = append(out, engine.ModuleDef{Name: n, New: func() engine.Module { return &anything{} }})
	}
	return out
}

// bench is a Runner over a folder of files, with what its tasks said.
type bench struct {
	dir    string
	log    []string
	mu     sync.Mutex // guards events
	events []engine.Event
	host   *task.HostState
	o      task.Options
}

func newBench(t *testing.T, files map[string]string, vars ...any) *bench {
	t.Helper()
	b := &bench{dir: t.TempDir()}
	for name, text := range files {
		path := filepath.Join(b.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b.host = task.NewHost("guest", nil, expr.New(expr.Options{}).Vars(value.NewDict(vars...)))
	b.o = task.Options{Modules: defs(&b.log), Project: b.dir, Emit: b.emit}
	return b
}

// emit is called by jobs in the background too.
func (b *bench) emit(e engine.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = append(b.events, e)
}

func (b *bench) run() error {
	return task.New(b.o).RunFile(context.Background(), filepath.Join(b.dir, "main.yaml"), b.host, nil)
}

func (b *bench) said() string { return strings.Join(b.log, "|") }

func faultOf(err error) engine.Fault {
	var fe *engine.FaultError
	errors.As(err, &fe)
	if fe == nil {
		return engine.NoFault
	}
	return fe.Fault
}

func newRunner(b *bench) *task.Runner { return task.New(b.o) }

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	xssh "golang.org/x/crypto/ssh"
	"gopkg.in/yaml.v3"

	"farm/bench/sshd"
	"farm/engine"
	"farm/engine/local"
	"farm/engine/modules"
	"farm/engine/ssh"
	"farm/engine/task"
	"farm/inventory"
	"farm/inventory/source"
	"farm/inventory/value"
)

// caseTime bounds one run of one case by farm.
const caseTime = 2 * time.Minute

// Farm runs cases by farm's own runner and modules.
type Farm struct {
	Stage  Stage
	Server *sshd.Server
	conn   engine.Conn
}

// Open connects to the server, as a run does to a guest.
func (f *Farm) Open(ctx context.Context) error {
	conn, err := ssh.Dial(ctx, ssh.Config{Name: "loopback", Addr: f.Server.Addr, User: f.Server.User, KeyFiles: []string{f.Server.KeyFile},
		HostKeys: []string{string(xssh.MarshalAuthorizedKey(f.Server.HostKey))}})
	f.conn = conn
	return err
}

// Close ends the connection.
func (f *Farm) Close() error { return f.conn.Close() }

// Run runs a case once.
func (f *Farm) Run(ctx context.Context, c *Case) (*Run, error) {
	ctx, cancel := context.WithTimeout(ctx, caseTime)
	defer cancel()
	run := &Run{}
	h, err := f.play(ctx, c, run)
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("farm: %s: %w", c.Name, errors.Join(err, ctx.Err()))
	case err == nil:
		run.Outcome = "ok"
	case h == nil: // refused before anything ran
		run.Outcome, run.Detail = "error", err.Error()
	default:
		run.Outcome, run.Detail = "failed", err.Error()
	}
	run.Vars = map[string]any{}
	if h != nil && h.Set != nil {
		if err := recode(h.Set, &run.Vars); err != nil {
			return nil, err
		}
	}
	run.Files, err = Snapshot(f.Stage.work(c))
	return run, err
}

// play runs the tasks; the host is nil where they were refused before.
func (f *Farm) play(ctx context.Context, c *Case, run *Run) (*task.HostState, error) {
	src := f.Stage.src(c)
	hosts := filepath.Join(src, "hosts.yaml")
	if err := os.WriteFile(hosts, []byte(hostsFile(f.Server, f.Stage, []*Case{c})), 0o644); err != nil {
		return nil, err
	}
	var extra []string
	if c.Extra != "" {
		extra = []string{c.Extra}
	}
	inv, err := inventory.Load(hosts, inventory.Options{Extra: extra})
	if err != nil {
		return nil, err
	}
	var failed error // of taking events
	o := task.Options{
		Modules: modules.All(), Project: src, Check: c.Check, Tags: words(c.Tags), SkipTags: words(c.SkipTags), StartAt: c.StartAt,
		Extra: inv.Extra(), Local: local.New(),
		Conn: func(context.Context, string) (engine.Conn, error) { return f.conn, nil },
		Emit: func(e engine.Event) {
			if e.Kind != engine.TaskEnded {
				return
			}
			ev := Event{Task: e.Task, Module: e.Module, Status: string(e.Status)}
			if err := recode(e.Result, &ev.Result); err != nil {
				failed = errors.Join(failed, err)
			}
			_, ev.Item = ev.Result["ansible_loop_var"]
			run.Events = append(run.Events, ev)
		},
	}
	r := task.New(o)
	handlers, err := r.Parser().ReadFile(filepath.Join(src, "handlers.yaml"))
	if err != nil {
		return nil, err
	}
	if _, err := r.Parser().ReadFile(filepath.Join(src, "tasks.yaml")); err != nil {
		return nil, err
	}
	vars, err := playVars(c)
	if err != nil {
		return nil, err
	}
	h := task.NewHost(c.Slug, f.conn, inv.HostVars(c.Slug))
	h.LoginUser = f.Server.User
	h.AddHandlers(handlers.Tasks)
	err = r.RunFile(ctx, filepath.Join(src, "tasks.yaml"), h, vars)
	if failed != nil {
		return nil, failed
	}
	return h, err
}

func playVars(c *Case) (*value.Dict, error) {
	if c.Vars.Kind == 0 {
		return nil, nil
	}
	text, err := yaml.Marshal(&c.Vars)
	if err != nil {
		return nil, err
	}
	file, err := source.Parse("vars", text)
	if err != nil {
		return nil, err
	}
	v, err := value.FromNode(file, file.Root)
	if err != nil {
		return nil, err
	}
	d, ok := v.(*value.Dict)
	if !ok {
		return nil, fmt.Errorf("%s: vars is %s, not a mapping", c.Name, value.Kind(v))
	}
	return d, nil
}

// recode turns farm's values into those of JSON.
func recode(from, into any) error {
	text, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return decode(text, into)
}

func words(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}

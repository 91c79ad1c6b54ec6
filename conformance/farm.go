package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	xssh "golang.org/x/crypto/ssh"

	"farm/bench/sshd"
	"farm/engine"
	"farm/engine/local"
	"farm/engine/modules"
	"farm/engine/play"
	"farm/engine/ssh"
	"farm/engine/task"
	"farm/inventory"
	"farm/inventory/expr"
	"farm/inventory/value"
)

// caseTime bounds one run of one case by farm.
const caseTime = 2 * time.Minute

// Farm runs cases as `farm play` does.
type Farm struct {
	Stage  Stage
	Server *sshd.Server
	conn   *ssh.Conn
}

// Open connects to the server, once for all cases.
func (f *Farm) Open(ctx context.Context) (err error) {
	f.conn, err = ssh.Dial(ctx, ssh.Config{Name: "loopback", Addr: f.Server.Addr, User: f.Server.User, KeyFiles: []string{f.Server.KeyFile},
		HostKeys: []string{string(xssh.MarshalAuthorizedKey(f.Server.HostKey))}})
	return err
}

// Close ends the connection.
func (f *Farm) Close() error { return f.conn.Close() }

// lent is a connection that outlives a play.
type lent struct{ *ssh.Conn }

// Close leaves it open.
func (lent) Close() error { return nil }

// Run runs a case once.
func (f *Farm) Run(ctx context.Context, c *Case) (*Run, error) {
	ctx, cancel := context.WithTimeout(ctx, caseTime)
	defer cancel()
	s := &seen{host: c.Slug, run: &Run{Vars: map[string]any{}}}
	err := f.play(ctx, c, s)
	if ctx.Err() != nil {
		return nil, fmt.Errorf("farm: %s: %w", c.Name, errors.Join(err, ctx.Err()))
	}
	if s.bad != nil {
		return nil, fmt.Errorf("farm: %s: %w", c.Name, s.bad)
	}
	if err != nil { // refused before anything ran
		s.run.Outcome, s.run.Detail = "error", err.Error()
	}
	s.run.Files, err = Snapshot(f.Stage.work(c))
	return s.run, err
}

// play reads, checks and runs the case's playbook; an error is about the playbook itself.
func (f *Farm) play(ctx context.Context, c *Case, s *seen) error {
	src := f.Stage.src(c)
	hosts := filepath.Join(src, "hosts.yaml")
	if err := os.WriteFile(hosts, []byte(hostsFile(f.Server, f.Stage, []*Case{c})), 0o644); err != nil {
		return err
	}
	var extra []string
	if c.Extra != "" {
		extra = []string{c.Extra}
	}
	inv, err := inventory.Load(hosts, inventory.Options{Extra: extra})
	if err != nil {
		return err
	}
	tasks := task.Options{
		Modules: modules.WithPlugins(src), Project: src, Check: c.Check, Tags: words(c.Tags), SkipTags: words(c.SkipTags), StartAt: c.StartAt,
		Extra: inv.Extra(), Local: local.New(),
	}
	r := task.New(tasks)
	plays, err := play.Read(r.Parser(), filepath.Join(src, "playbook.yaml"), inv.Extra())
	if err != nil {
		return err
	}
	if _, err := play.Check(r, plays, inv.Engine(), true); err != nil {
		return err
	}
	return play.Run(ctx, ctx, plays, play.Options{Task: tasks, Hosts: inv, Login: f.login, Forks: 1, Emit: s.event, Ended: s.ended})
}

func (f *Farm) login(string, *expr.Vars) (play.Login, error) {
	return play.Login{Key: f.Server.Addr, User: f.Server.User, Open: func(context.Context) (engine.Conn, error) { return lent{f.conn}, nil }}, nil
}

// seen takes what a play tells of one host. Safe for concurrent use.
type seen struct {
	host string

	mu  sync.Mutex // guards what follows while the play runs
	run *Run
	bad error // a value that cannot be written as JSON
}

func (s *seen) event(e engine.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case e.VM != s.host:
	case e.Kind == engine.VMEnded && e.Status == engine.OK:
		s.run.Outcome = "ok"
	case e.Kind == engine.VMEnded:
		s.run.Outcome, s.run.Detail = "failed", e.Text
	case e.Kind == engine.TaskEnded:
		ev := Event{Task: e.Task, Module: e.Module, Status: string(e.Status)}
		s.bad = errors.Join(s.bad, recode(e.Result, &ev.Result))
		_, ev.Item = ev.Result["ansible_loop_var"]
		ev.Item = ev.Item || e.Item != ""
		s.run.Events = append(s.run.Events, ev)
	}
}

func (s *seen) ended(host string, set *value.Dict) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if host == s.host && set != nil {
		s.bad = errors.Join(s.bad, recode(set, &s.run.Vars))
	}
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

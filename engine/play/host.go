package play

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"farm/engine"
	"farm/engine/task"
	"farm/inventory/source"
	"farm/inventory/value"
)

// host is one host in all plays. Its goroutine in the play under way uses it, but for
// what run.mu guards.
type host struct {
	name  string
	state *task.HostState
	err   error                   // why it takes no part any more
	see   func(magic *value.Dict) // has its tasks see these variables of the play
	gone  int                     // hosts that had failed when it did so last
	age   int                     // of the world then
	began time.Time
	path  []int // of the task that was started last, in the play under way

	login Login         // guarded by run.mu
	conn  engine.Conn   // guarded by run.mu
	opens []engine.Conn // guarded by run.mu; all that were opened
}

// ended is the event that tells how a host fared.
func (h *host) ended() engine.Event {
	e := engine.Event{Kind: engine.VMEnded, VM: h.name, Status: engine.OK, ElapsedMS: time.Since(h.began).Milliseconds()}
	if h.err == nil {
		return e
	}
	e.Fault, e.Text = engine.FaultOf(h.err), h.err.Error()
	switch {
	case e.Fault == engine.Cancelled:
		e.Status = engine.Interrupted
	case errors.Is(h.err, engine.ErrUnreachable):
		e.Status = engine.Unreachable
	case e.Fault == engine.TestFault:
		e.Status = engine.Failed
	default:
		e.Status = engine.NoVerdict
	}
	return e
}

// member is the host of that name, made when it is first needed.
func (r *run) member(name string) *host {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.hosts[name]
	if h == nil {
		h = &host{name: name, began: time.Now(), state: task.NewHost(name, nil, nil)}
		if r.o.Artifacts != nil {
			h.state.Artifacts = r.o.Artifacts(name)
		}
		r.hosts[name] = h
	}
	return h
}

// prepare has a host see the play: its variables, how it is logged into, its handlers.
func (b *batch) prepare(h *host) error {
	p, s := b.play, h.state
	h.age = b.run.world.age()
	vars := b.run.world.vars(h.name)
	magic := b.magic()
	files, err := b.varsFiles(p, vars.With(magic, p.Vars).With(s.Snapshot()...).With(b.run.o.Task.Extra).Eval)
	if err != nil {
		return engine.Blame(engine.UserFault, err)
	}
	h.see = func(magic *value.Dict) {
		if now := b.run.world.age(); now != h.age {
			vars, h.age = b.run.world.vars(h.name), now
		}
		s.Vars = vars.With(magic, p.Vars, files)
		s.Stronger = []*value.Dict{p.Vars, files}
	}
	h.see(magic)
	h.gone, h.path = len(b.gone), nil
	if err := b.run.connect(h, p.Keys); err != nil {
		return err
	}
	s.Forget()
	s.AddHandlers(p.Handlers)
	return nil
}

// connect sets how h is reached. keys are the play's connection, remote_user and port,
// which variables win over.
func (r *run) connect(h *host, keys *value.Dict) error {
	vars := r.world.vars(h.name)
	if h.state.Vars != nil {
		vars = h.state.Vars.With(h.state.Snapshot()...)
	}
	vars = vars.With(r.o.Task.Extra)
	over := value.NewDict()
	for keyword, name := range map[string]string{"connection": "ansible_connection", "remote_user": "ansible_user", "port": "ansible_port"} {
		_, set := vars.Raw(name)
		if v, ok := keys.Get(keyword); ok && !set {
			over.Set(name, v)
		}
	}
	login, err := r.o.Login(h.name, vars.With(over))
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if h.conn == nil || login.Key != h.login.Key {
		h.conn = task.Lazy(h.name, func(ctx context.Context, _ string) (engine.Conn, error) { return r.open(ctx, h, login) })
		h.state.Conn = h.conn
	}
	h.login = login
	h.state.LoginUser, h.state.Become = login.User, login.Become
	h.state.Reconnect = func(ctx context.Context) (engine.Conn, error) {
		c, err := r.open(ctx, h, login)
		if err == nil {
			r.mu.Lock()
			h.conn = c
			r.mu.Unlock()
		}
		return c, err
	}
	return nil
}

func (r *run) open(ctx context.Context, h *host, login Login) (engine.Conn, error) {
	c, err := login.Open(ctx)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	h.opens = append(h.opens, c)
	return c, nil
}

// delegate gives the connection of a host that delegate_to names.
func (r *run) delegate(_ context.Context, name string) (engine.Conn, error) {
	h := r.member(name)
	r.mu.Lock()
	conn := h.conn
	r.mu.Unlock()
	if conn == nil { // a host outside the play
		if err := r.connect(h, nil); err != nil {
			return nil, err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return h.conn, nil
}

// close ends all connections.
func (r *run) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, h := range r.hosts {
		for _, c := range h.opens {
			c.Close()
		}
	}
}

// magic are the variables that tell of the play.
func (b *batch) magic() *value.Dict {
	return value.NewDict(
		"playbook_dir", absolute(filepath.Dir(b.play.File)), "ansible_play_name", b.title,
		"ansible_play_hosts_all", texts(b.all), "ansible_play_batch", texts(b.names),
		"ansible_play_hosts", texts(b.live()), "play_hosts", texts(b.live()),
		"ansible_forks", int64(b.run.o.Forks), "ansible_limit", b.run.o.Limit,
		"role_names", b.play.roleNames(), "ansible_play_role_names", b.play.roleNames(),
	)
}

func (p *Play) roleNames() []any {
	names := []any{}
	for _, t := range p.Roles {
		name, _ := t.Args.Get("name")
		names = append(names, filepath.Base(value.Text(name)))
	}
	return names
}

// absolute is path from the root; path itself where the folder that it counts from is gone.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

func texts(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}

// varsFiles reads the play's vars_files; of an entry that is a list the first file that exists.
func (b *batch) varsFiles(p *Play, eval func(any) (any, error)) (*value.Dict, error) {
	out := value.NewDict()
	for _, entry := range p.VarsFiles {
		v, err := eval(entry)
		if err != nil {
			return nil, err
		}
		path, err := firstFile(filepath.Dir(p.File), listOf(v))
		if err != nil {
			return nil, &source.Error{Pos: p.Pos, What: "vars_files", Err: err}
		}
		d, err := b.run.readVars(path)
		if err != nil {
			return nil, err
		}
		for k, v := range d.All() {
			out.Set(k, v)
		}
	}
	return out, nil
}

func firstFile(dir string, names []any) (string, error) {
	var tried []string
	for _, n := range names {
		name := value.Text(n)
		places := []string{name}
		if !filepath.IsAbs(name) {
			places = []string{filepath.Join(dir, "vars", name), filepath.Join(dir, name)}
		}
		for _, path := range places {
			if st, err := os.Stat(path); err == nil && !st.IsDir() {
				return path, nil
			}
		}
		tried = append(tried, places...)
	}
	return "", fmt.Errorf("there is no file %s", strings.Join(tried, " or "))
}

// readVars reads a file of variables once for all hosts.
func (r *run) readVars(path string) (*value.Dict, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if d := r.files[path]; d != nil {
		return d, nil
	}
	d, err := task.ReadVars(path)
	if err == nil {
		r.files[path] = d
	}
	return d, err
}

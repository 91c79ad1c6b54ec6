package task

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"farm/engine"
	"farm/inventory/expr"
	"farm/inventory/source"
	"farm/inventory/value"
)

// Options are what a Runner works with.
type Options struct {
	Modules []engine.ModuleDef
	// Conn opens the host that delegate_to names; nil = no delegation but to localhost.
	// The Runner does not close it.
	Conn func(ctx context.Context, host string) (engine.Conn, error)
	// Local is the controller; nil = nothing may run there.
	Local engine.Conn
	Emit  engine.Emit // nil = events are dropped
	Mask  engine.Mask // takes secrets out of events before they are cut; nil = there are none
	Check bool        // say what would change, change nothing
	Diff  bool
	// Tags and SkipTags select tasks as --tags and --skip-tags do.
	Tags, SkipTags []string
	// StartAt is the name of the first task to run, or a shell's pattern for it, with or without "ROLE : ";
	// "" = from the start. Imports are looked through, includes are not.
	StartAt string
	// Extra are variables over all others (-e).
	Extra *value.Dict
	// Project is the folder in which files, roles and includes are looked up last.
	Project string
	// RolePaths are further folders that hold roles.
	RolePaths []string
	// Roles are roles made in Go, by their name without a collection.
	Roles map[string]func(ctx context.Context, c RoleCall) error
	// Notified hears of a notification that no handler listens to; false = unknown, an error.
	Notified func(h *HostState, name string) bool
	// Slots bounds tasks with throttle over all runners that have it; nil = the Runner's own.
	Slots *Slots
	// AddHost hears of add_host and group_by, and reports whether anything is new; may be nil.
	AddHost func(n engine.NewHost) (changed bool)
}

// RoleCall is a call of a role made in Go.
type RoleCall struct {
	Name      string
	TasksFrom string // "main" if not given
	Host      *HostState
	Vars      *expr.Vars
	Pos       source.Pos
}

// HostState is one host as tasks see it, kept between the files that run on it. One
// goroutine uses it at a time.
type HostState struct {
	Name string
	Conn engine.Conn
	// Vars are the inventory's variables of the host, magic ones included.
	Vars *expr.Vars
	// Become is how to become another user where neither a keyword nor a variable says; its
	// Password counts where no variable ansible_become_password is set. May be nil.
	Become *engine.Become

	// LoginUser is the user that Conn is logged in as; a task that becomes the same one just
	// runs. "" = not known.
	LoginUser string
	// Reconnect opens Conn anew after a reboot; nil = it cannot be.
	Reconnect func(ctx context.Context) (engine.Conn, error)

	// Artifacts is the folder of the controller for what tasks keep of the host's files; "" = they keep none.
	Artifacts string
	// Emit hears of the events on the host instead of the Runner's; may be nil.
	Emit engine.Emit
	// Once is what the hosts of a batch run together; nil = the host is alone.
	Once *Once
	// Gate has each task wait for its turn; may be nil.
	Gate Gate

	// Facts are what setup found (ansible_*); under the variables of plays, blocks and tasks.
	Facts *value.Dict
	// Stronger are variables among Vars that win over Facts: those of the play.
	Stronger []*value.Dict
	// Set are facts that set_fact set and results that register took.
	Set *value.Dict
	// Included are the variables that include_vars read.
	Included *value.Dict

	elsewhere map[string]*value.Dict // facts of other hosts, by delegate_facts
	warned    map[string]bool        // what it was told already
	jobs      jobs
	roles     []any           // names of those that were run
	dependent []any           // of those among them that others depend on
	ran       map[string]bool // roles that were run, with their parameters
	notified  map[*Task]bool
	handlers  []*Task
	shared    map[string]any
	public    *value.Dict // variables of roles that were imported or included as public
}

// NewHost returns the state of a host on which nothing ran yet.
func NewHost(name string, conn engine.Conn, vars *expr.Vars) *HostState {
	return &HostState{Name: name, Conn: conn, Vars: vars}
}

// set replaces a layer by one with more in it: layers in use are not changed.
func set(layer **value.Dict, more *value.Dict) {
	out := (*layer).Copy()
	for k, v := range more.All() {
		out.Set(k, v)
	}
	*layer = out
}

// Runner runs task files. Safe for concurrent use with different hosts.
type Runner struct {
	o      Options
	parser *Parser

	mu    sync.Mutex // guards files
	files map[string]*File
}

// New returns a Runner.
func New(o Options) *Runner {
	if o.Emit == nil {
		o.Emit = func(engine.Event) {}
	}
	if o.Slots == nil {
		o.Slots = &Slots{}
	}
	if o.Mask == nil {
		o.Mask = unmasked{}
	}
	return &Runner{o: o, parser: NewParser(o.Modules), files: map[string]*File{}}
}

// Parser is the parser with the Runner's modules.
func (r *Runner) Parser() *Parser { return r.parser }

// file reads a task file once.
func (r *Runner) file(path string) (*File, error) {
	r.mu.Lock()
	f := r.files[path]
	r.mu.Unlock()
	if f != nil {
		return f, nil
	}
	f, err := r.parser.ReadFile(path)
	if err != nil {
		return nil, engine.Blame(engine.UserFault, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.files[path] = f
	return f, nil
}

// RunFile runs the task file at path with vars over the host's variables.
func (r *Runner) RunFile(ctx context.Context, path string, h *HostState, vars *value.Dict) error {
	f, err := r.file(path)
	if err != nil {
		return err
	}
	return r.Run(ctx, f, h, vars)
}

// Run runs a parsed file on h, then the handlers that it notified. vars are the
// variables of the play or phase; nil = none.
//
// A failed task ends it with a TestFault, an unreachable host with a FarmFault that wraps
// engine.ErrUnreachable, a wrong task file (an undefined variable too) with a
// UserFault; each error starts with the place of the task.
func (r *Runner) Run(ctx context.Context, f *File, h *HostState, vars *value.Dict) error {
	run := r.Begin(h, f.Path, nil, vars)
	err := run.Run(ctx, f.Tasks)
	if errors.Is(err, ErrEndHost) {
		return nil
	}
	if err == nil {
		err = run.Flush(ctx)
	}
	if errors.Is(err, ErrEndHost) {
		return nil
	}
	return err
}

const sharedConn = "task: connection"

// play is one Run.
type play struct {
	*Runner
	h       *HostState
	root    *scope      // what everything is in
	path    []int       // where in root the task under way is
	last    *value.Dict // the result of the task that ended last
	same    *value.Dict // the magic variables that do not change
	started bool
	depth   int

	handling int // above 0 while handlers run
}

// scope is what a task inherits: from blocks, includes and roles around it.
type scope struct {
	parent *scope
	keys   *value.Dict // keywords of the block, include or role
	vars   *value.Dict // its variables
	params *value.Dict // variables of include_*, over facts that were set
	file   string      // the task file
	role   *role
	doubt  doubt // Validation alone notes it
}

func (s *scope) within(t *Task) *scope {
	vars, _ := t.Keys.Get("vars")
	d, _ := vars.(*value.Dict)
	c := &scope{parent: s, keys: t.Keys, vars: d, file: s.file, role: s.role}
	return c
}

// key finds an inherited keyword, the innermost winning.
func (s *scope) key(name string) (any, *value.Dict, bool) {
	for ; s != nil; s = s.parent {
		if v, ok := s.keys.Get(name); ok {
			return v, s.keys, true
		}
	}
	return nil, nil, false
}

// outermost calls f for every scope from the outside in.
func (s *scope) outermost(f func(*scope)) {
	if s == nil {
		return
	}
	s.parent.outermost(f)
	f(s)
}

// vars builds what a task sees, by Ansible's order of precedence.
// https://docs.ansible.com/ansible/latest/playbook_guide/playbooks_variables.html
func (p *play) vars(s *scope, top *value.Dict) *expr.Vars {
	h := p.h
	magic := p.magic(s)
	layers := []*value.Dict{h.public, magic, h.facts()}
	var roles, params []*value.Dict
	var seen *role
	var low *value.Dict
	s.outermost(func(c *scope) {
		if c.role != nil && c.role != seen {
			seen = c.role
			low = value.Merge(low, p.absent(c.role.defaults))
			roles = append(roles, c.role.vars, c.role.magic())
		}
	})
	if low.Len() > 0 {
		layers = append([]*value.Dict{low}, layers...)
	}
	layers = append(layers, roles...)
	v := h.Vars.With(layers...)
	s.outermost(func(c *scope) {
		if c.vars.Len() > 0 {
			v = v.With(c.vars)
		}
		if c.params.Len() > 0 {
			params = append(params, c.params)
		}
	})
	rest := append([]*value.Dict{h.Included, h.Set}, params...)
	return v.With(append(rest, top, p.o.Extra)...)
}

// absent keeps what the inventory does not set: defaults of roles are weaker than that.
func (p *play) absent(d *value.Dict) *value.Dict {
	out := value.NewDict()
	for k, v := range d.All() {
		name, _ := k.(string)
		if _, ok := p.h.Vars.Raw(name); !ok {
			out.Set(k, v)
		}
	}
	return out
}

// plainFacts is the variable ansible_facts: names without their prefix.
func plainFacts(facts *value.Dict) *value.Dict {
	out := value.NewDict()
	for k, v := range facts.All() {
		name := fmt.Sprint(k)
		if len(name) > 8 && name[:8] == "ansible_" {
			name = name[8:]
		}
		out.Set(name, v)
	}
	return out
}

// failure is a task that failed, with what rescue shows of it.
type failure struct {
	fault  engine.Fault
	pos    source.Pos
	task   *Task
	name   string // the task's, evaluated
	title  string // the same with the loop's item
	msg    string
	result *value.Dict
	cause  error
	fatal  bool // any_errors_fatal
}

func (f *failure) Error() string {
	return fmt.Sprintf("%s: task %q: %s", f.pos, f.title, f.msg)
}

func (f *failure) Unwrap() []error {
	out := []error{&engine.FaultError{Fault: f.fault, Err: errors.New(f.msg)}}
	if f.cause != nil {
		out = append(out, f.cause)
	}
	if f.fatal {
		out = append(out, ErrFatal)
	}
	return out
}

// rescuable reports whether rescue and ignore_errors apply.
func rescuable(err error) bool {
	return err != nil && !errors.Is(err, engine.ErrUnreachable) && !errors.Is(err, context.Canceled) && !errors.Is(err, ErrEndHost)
}

// tasks runs a list.
func (p *play) tasks(ctx context.Context, tasks []*Task, s *scope) error {
	for i, t := range tasks {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("%s: task %q: %w", t.Pos, t.Title(), context.Cause(ctx))
		}
		err := p.in(i, func() error {
			if t.IsBlock() {
				return p.block(ctx, t, s.within(t))
			}
			return p.task(ctx, t, s.within(t))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// block runs a block, its rescue after a failure, and always in any case.
func (p *play) block(ctx context.Context, t *Task, s *scope) error {
	err := p.in(0, func() error { return p.tasks(ctx, t.Block, s) })
	if rescuable(err) && len(t.Rescue) > 0 && ctx.Err() == nil {
		p.remember(err)
		err = p.in(1, func() error { return p.tasks(ctx, t.Rescue, s) })
	}
	if errors.Is(err, engine.ErrUnreachable) || errors.Is(err, ErrEndHost) {
		return err
	}
	if ctx.Err() != nil || len(t.Always) == 0 {
		return err
	}
	if err != nil {
		p.remember(err)
	}
	if aerr := p.in(2, func() error { return p.tasks(ctx, t.Always, s) }); aerr != nil {
		return aerr
	}
	return err
}

// dirs are the folders in which the files that a task names are looked up, in order.
func (s *scope) dirs(project string) []string {
	var out []string
	add := func(d string) {
		for _, o := range out {
			if o == d {
				return
			}
		}
		out = append(out, d)
	}
	for c := s; c != nil; c = c.parent {
		if c.role != nil {
			add(c.role.dir)
			add(filepath.Join(c.role.dir, "tasks"))
		}
	}
	for c := s; c != nil; c = c.parent {
		if c.file != "" {
			add(filepath.Dir(c.file))
		}
	}
	if project != "" {
		add(project)
	}
	return out
}

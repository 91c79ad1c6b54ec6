package task

import (
	"context"
	"errors"
	"fmt"

	"farm/engine"
	"farm/inventory/source"
	"farm/inventory/value"
)

// Section is a stretch of one host's tasks that its caller runs piece by piece, as a play does
// to keep its hosts in step. Used by one goroutine at a time.
type Section struct {
	p *play
	n int // pieces run
}

// Gate has a host wait for its turn before each task. path is the place of the task t in
// all that the host runs: compared from the left it only grows, and is the same on every
// host that gets to the task the same way. leave is called when the task is over, or before what it includes
// runs. An error ends the host's tasks; one that wraps ErrLeaveOut leaves out this one alone.
type Gate func(ctx context.Context, t *Task, path []int) (leave func(), err error)

func (p *play) turn(ctx context.Context, t *Task) (leave func(), err error) {
	if p.h.Gate == nil {
		return func() {}, nil
	}
	leave, err = p.h.Gate(ctx, t, p.path)
	if err == nil && owned[t.Module] != nil {
		leave()
		leave = func() {}
	}
	return leave, err
}

// in runs f one level deeper in the order of tasks, as its part i.
func (p *play) in(i int, f func() error) error {
	n := len(p.path)
	p.path = append(p.path, i)
	err := f()
	p.path = p.path[:n]
	return err
}

// Begin starts a section on h. file is where the tasks stand, keys are the keywords that
// all of them and the handlers inherit, vars the variables; both may be nil.
func (r *Runner) Begin(h *HostState, file string, keys, vars *value.Dict) *Section {
	if keys == nil {
		keys = value.NewDict()
	}
	p := &play{Runner: r, h: h, started: r.o.StartAt == ""}
	p.root = &scope{vars: vars, file: file, keys: keys}
	if h.notified == nil {
		h.notified = map[*Task]bool{}
	}
	if h.shared == nil {
		h.shared = map[string]any{}
	}
	if h.Conn != nil {
		if _, ok := h.shared[sharedConn]; ok && h.shared[sharedConn] != h.Conn {
			h.shared = map[string]any{} // another connection, another machine state
		}
		h.shared[sharedConn] = h.Conn
	}
	return &Section{p: p}
}

// Run runs tasks. Its errors are those of Runner.Run, and ErrEndHost where a task ended
// the host's tasks or the play.
func (s *Section) Run(ctx context.Context, tasks []*Task) error {
	s.n++
	return s.p.in(s.n, func() error { return s.p.tasks(ctx, tasks, s.p.root) })
}

// Flush runs the handlers that were notified; errors as of Run.
func (s *Section) Flush(ctx context.Context) error {
	s.n++
	return s.p.in(s.n, func() error { return s.p.flush(ctx) })
}

// Forget drops what is notified, the handlers and which roles ran: those are a play's own.
func (h *HostState) Forget() { h.notified, h.handlers, h.public, h.ran = nil, nil, nil, nil }

// First runs tasks that come before all others, those before Options.StartAt too; errors as of Run.
func (s *Section) First(ctx context.Context, tasks []*Task) error {
	started := s.p.started
	s.p.started = true
	err := s.Run(ctx, tasks)
	s.p.started = started
	return err
}

// Start has the section begin with its first task, whatever Options.StartAt says.
func (s *Section) Start() { s.p.started = true }

// Started reports whether the task to start at was found, or none is wanted.
func (s *Section) Started() bool { return s.p.started }

// Snapshot is what other hosts see of h through hostvars, over its inventory variables:
// facts, then what tasks set. The dicts are not changed any more.
func (h *HostState) Snapshot() []*value.Dict {
	return []*value.Dict{h.facts(), h.Included, h.Set}
}

// facts are Facts without those that variables of the play stand over.
func (h *HostState) facts() *value.Dict {
	out := h.Facts
	for _, over := range h.Stronger {
		for k := range over.All() {
			if !out.Has(k) {
				continue
			}
			if out == h.Facts {
				out = out.Copy()
			}
			out.Delete(k)
		}
	}
	return out
}

// ErrEndHost is wrapped by the error of a host's tasks that were ended without a failure,
// by meta: end_host.
var ErrEndHost = errors.New("the host's tasks end here")

// ErrLeaveOut is wrapped by the error of a Gate for a task that is not to run.
var ErrLeaveOut = errors.New("the task is left out")

// ErrFatal is wrapped by the failure of a task with any_errors_fatal: the other hosts of the
// play are to end too.
var ErrFatal = errors.New("any_errors_fatal")

// ErrEndBatch is ErrEndHost for every host of the batch, and ErrEndPlay for all of the
// play (meta: end_batch, meta: end_play).
var (
	ErrEndBatch = fmt.Errorf("of the batch: %w", ErrEndHost)
	ErrEndPlay  = fmt.Errorf("of the play: %w", ErrEndBatch)
)

// ParseTasks parses v, a list of tasks of the file at path as value.FromNode gives it; pos
// is where it stands and item where its item i does, what names it in errors ("handlers"). All faults
// are told at once; with them come the tasks for Validation to find more.
func (p *Parser) ParseTasks(path string, v any, pos source.Pos, item func(i int) source.Pos, what string) ([]*Task, error) {
	r := &reader{Parser: p, path: path}
	tasks := r.items(v, pos, item, what)
	return tasks, source.Join(r.errs...)
}

// CheckKeyword checks the type of a keyword's value as for a task; nil where it may be right.
func (p *Parser) CheckKeyword(path, name string, v any, pos source.Pos) error {
	r := &reader{Parser: p, path: path}
	if _, isTemplate := v.(value.Template); !isTemplate {
		r.keywordType(name, v, pos)
	}
	return source.Join(r.errs...)
}

// emit tells of an event on the host.
func (p *play) emit(e engine.Event) {
	if p.h.Emit != nil {
		p.h.Emit(e)
		return
	}
	p.o.Emit(e)
}

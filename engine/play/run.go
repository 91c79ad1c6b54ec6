package play

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"farm/engine"
	"farm/engine/task"
	"farm/inventory/expr"
	"farm/inventory/source"
	"farm/inventory/value"
)

// Options are what plays are run with.
type Options struct {
	// Task are the options of every task. Its Emit, Conn and AddHost are the package's own.
	Task  task.Options
	Hosts Hosts
	// Login says how a host is logged into; vars is what its tasks see. No connection is made
	// before Login.Open, which a task that needs the host calls. It is called by many hosts at once.
	Login func(host string, vars *expr.Vars) (Login, error)
	Limit string // host pattern that narrows every play; "" = none
	// Only is a host that every play runs on, whatever its pattern says; "" = none.
	Only string
	// Step asks, before a task is started on the first host of a batch, whether it is to run; nil = all are.
	// It is called for one task at a time.
	Step  func(ctx context.Context, title string) (bool, error)
	Forks int         // tasks that run at once; at least 1
	Emit  engine.Emit // VM is the host's name, Phase the play's
	// Artifacts is the folder of the controller for what tasks keep of a host's files; nil = they keep none.
	Artifacts func(host string) string
	// Ended hears what the tasks of a host registered and set, when all plays are over; may be nil.
	Ended func(host string, set *value.Dict)
}

// Login is how a host is logged into.
type Login struct {
	Key    string // equal for equal logins: then a connection is used again
	User   string // "" = not known
	Become *engine.Become
	// Open connects; Run closes what it returned.
	Open func(ctx context.Context) (engine.Conn, error)
}

// ErrNoHosts is wrapped where no play has a host to run on, ErrNoTask where no task is the one to
// start at.
var (
	ErrNoHosts = errors.New("no host matches")
	ErrNoTask  = errors.New("no task has that name")
)

// Run runs plays one after another. When soft ends no task is started any more, when hard
// does the tasks under way are killed. A host that fails takes no part in what follows. How
// each host fared is told by an event VMEnded; the error is about the plays themselves.
func Run(soft, hard context.Context, plays []*Play, o Options) error {
	r := &run{
		o: o, soft: soft, world: newWorld(o.Hosts, o.Task.Extra),
		hosts: map[string]*host{}, files: map[string]*value.Dict{}, begun: o.Task.StartAt == "",
	}
	t := o.Task
	t.Emit, t.AddHost, t.Conn = o.Emit, r.world.add, r.delegate
	r.tasks = task.New(t)
	defer r.close()
	err := r.all(hard, plays)
	for _, h := range r.order {
		h.state.EndJobs()
		r.o.Emit(h.ended())
		if r.o.Ended != nil {
			r.o.Ended(h.name, h.state.Set)
		}
	}
	return err
}

// run is one Run.
type run struct {
	o     Options
	soft  context.Context
	tasks *task.Runner
	world *world

	mu    sync.Mutex // guards what follows
	hosts map[string]*host
	order []*host                // that took part
	files map[string]*value.Dict // variables that were read, by path
	begun bool                   // the task to start at was found
}

func (r *run) all(ctx context.Context, plays []*Play) error {
	any := false
	for _, p := range plays {
		if !r.started() && !p.holds(r.o.Task.StartAt) {
			any = true
			continue
		}
		names, err := r.find(p)
		if err != nil {
			return err
		}
		if len(names) == 0 {
			r.o.Emit(engine.Event{Kind: engine.Warning, Phase: r.title(p), Text: fmt.Sprintf("play %q is left out: no host matches", r.title(p))})
			continue
		}
		any = true
		goOn, err := r.play(ctx, p, names)
		if err != nil || !goOn {
			return err
		}
	}
	if !any {
		return fmt.Errorf("%w: %s", ErrNoHosts, r.wanted(plays))
	}
	if !r.started() && ctx.Err() == nil && r.soft.Err() == nil && !r.anyFailed() {
		return fmt.Errorf("%w: %q%s", ErrNoTask, r.o.Task.StartAt, nearest(plays, r.o.Task.StartAt))
	}
	return nil
}

// started reports whether the task to start at was found.
func (r *run) started() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.begun
}

func (r *run) anyFailed() bool {
	return slices.ContainsFunc(r.order, func(h *host) bool { return h.err != nil })
}

// nearest is a hint at a task that may be meant.
func nearest(plays []*Play, name string) string {
	var titles []string
	for _, p := range plays {
		p.Walk(func(t *task.Task) { titles = append(titles, t.Title()) })
	}
	if hint := source.DidYouMean(name, titles); hint != "" {
		return " (" + hint + ")"
	}
	return " (what include_tasks and include_role bring in cannot be started at)"
}

// wanted says what was looked for in vain.
func (r *run) wanted(plays []*Play) string {
	var patterns []string
	for _, p := range plays {
		if text, err := r.pattern(p); err == nil && !slices.Contains(patterns, text) {
			patterns = append(patterns, text)
		}
	}
	text := fmt.Sprintf("hosts: %s", strings.Join(patterns, ", "))
	if r.o.Limit != "" {
		text += fmt.Sprintf(" with --limit %q", r.o.Limit)
	}
	return text
}

// vars are what the heads of plays see.
func (r *run) vars(p *Play) *expr.Vars {
	return r.world.vars("localhost").With(p.Vars, r.o.Task.Extra)
}

func (r *run) title(p *Play) string {
	if p.Name == nil {
		text, _ := r.pattern(p)
		return text
	}
	v, err := r.vars(p).Eval(p.Name)
	if err != nil {
		v = p.Name
		if t, ok := v.(value.Template); ok {
			v = t.Text
		}
	}
	return value.Text(v)
}

func (r *run) pattern(p *Play) (string, error) {
	v, err := r.vars(p).Eval(p.Hosts)
	if err != nil {
		return "", engine.Blame(engine.UserFault, err)
	}
	var terms []string
	for _, one := range listOf(v) {
		terms = append(terms, value.Text(one))
	}
	return strings.Join(terms, ","), nil
}

// find lists the hosts of a play that have not failed before.
func (r *run) find(p *Play) ([]string, error) {
	names := []string{r.o.Only}
	if r.o.Only == "" {
		pattern, err := r.pattern(p)
		if err != nil {
			return nil, err
		}
		if names, err = r.world.find(pattern, r.o.Limit); err != nil {
			return nil, engine.Blame(engine.UserFault, &source.Error{Pos: p.Pos, What: "hosts", Err: err})
		}
	}
	v, err := r.vars(p).Eval(p.Order)
	if err != nil {
		return nil, engine.Blame(engine.UserFault, err)
	}
	order, err := ordered(v, p.Pos)
	return arrange(names, order), engine.Blame(engine.UserFault, err)
}

// play runs one play; goOn is false where the plays behind it are not to run.
func (r *run) play(ctx context.Context, p *Play, names []string) (goOn bool, err error) {
	names = slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		h := r.hosts[name]
		return h != nil && h.err != nil
	})
	if len(names) == 0 {
		return true, nil // all of them failed before
	}
	sizes, err := r.vars(p).Eval(listOrNil(p.Serial))
	if err != nil {
		return false, engine.Blame(engine.UserFault, err)
	}
	cut, err := batches(names, listOf(sizes))
	if err != nil {
		return false, engine.Blame(engine.UserFault, &source.Error{Pos: p.Pos, What: "play", Err: err})
	}
	strategy, err := r.vars(p).Eval(p.Strategy)
	if err != nil {
		return false, engine.Blame(engine.UserFault, err)
	}
	free, err := freely(strategy, p.Pos)
	if err != nil {
		return false, engine.Blame(engine.UserFault, err)
	}
	title := r.title(p)
	began := time.Now()
	r.o.Emit(engine.Event{Kind: engine.PhaseStarted, Phase: title, File: p.Pos.String(), Text: counted(len(names), len(cut))})
	goOn = true
	gone := map[string]bool{}
	for _, some := range cut {
		b := &batch{run: r, play: p, title: title, all: names, names: some, gone: gone, free: free}
		b.perform(ctx)
		if b.stop || b.failed == len(some) || r.soft.Err() != nil {
			goOn = false
			break
		}
		if b.endPlay {
			break
		}
	}
	r.o.Emit(engine.Event{Kind: engine.PhaseEnded, Phase: title, Status: engine.OK, ElapsedMS: time.Since(began).Milliseconds()})
	return goOn, nil
}

func listOrNil(l []any) any {
	if l == nil {
		return nil
	}
	return l
}

func counted(hosts, batches int) string {
	text := fmt.Sprintf("%d hosts", hosts)
	if hosts == 1 {
		text = "1 host"
	}
	if batches > 1 {
		text += fmt.Sprintf(" in %d batches", batches)
	}
	return text
}

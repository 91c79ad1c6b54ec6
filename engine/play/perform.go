package play

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"farm/engine"
	"farm/engine/task"
	"farm/inventory/value"
)

// batch is the hosts that go through a play together.
type batch struct {
	run        *run
	play       *Play
	title      string
	all, names []string
	free       bool // each host at its own pace
	steps      *stepper
	begun      bool // the task to start at was found before

	asking  sync.Mutex      // held while somebody is asked
	answers map[string]bool // guarded by asking; by the place of the task

	mu      sync.Mutex // guards what follows
	failed  int
	gone    map[string]bool // hosts of the play that failed, in any batch
	abort   bool            // too many have failed: the rest stops
	last    []int           // after the task at this path
	stop    bool            // and no play follows
	end     bool            // meta: end_batch
	endPlay bool
}

// errStopped ends the tasks of a host that others have failed for.
var errStopped = fmt.Errorf("other hosts failed: %w", task.ErrEndHost)

// perform runs the play on the batch and waits for all its hosts.
func (b *batch) perform(ctx context.Context) {
	b.begun, b.answers = b.run.started(), map[string]bool{}
	b.steps = newStepper(len(b.names), b.run.o.Forks, b.free)
	members := make([]*host, len(b.names))
	var once task.Once
	for i, name := range b.names {
		h := b.run.member(name)
		if h.state.Emit == nil {
			b.run.order = append(b.run.order, h)
		}
		h.state.Emit, h.state.Gate, h.state.Once = b.emit(h), b.gate(i, h), &once
		h.err = b.prepare(h)
		members[i] = h
	}
	var wg sync.WaitGroup
	for i, h := range members {
		wg.Go(func() {
			defer b.steps.done(i)
			if h.err == nil {
				h.err = b.tasks(ctx, h)
			}
			b.settle(h)
		})
	}
	wg.Wait()
}

// emit says of each event which host and play it is about.
func (b *batch) emit(h *host) engine.Emit {
	return func(e engine.Event) {
		if e.Kind == engine.TaskEnded {
			b.run.world.publish(h.name, h.state.Snapshot())
		}
		e.VM, e.Phase = h.name, b.title
		b.run.o.Emit(e)
	}
}

// gate has the host with that index wait for its turn.
func (b *batch) gate(i int, h *host) task.Gate {
	return func(_ context.Context, t *task.Task, path []int) (func(), error) {
		leave, err := b.steps.wait(b.run.soft, i, path, b.limit(t))
		if err == nil && b.run.soft.Err() != nil {
			leave()
			err = context.Cause(b.run.soft)
		}
		if err != nil {
			return nil, engine.Blame(engine.Cancelled, fmt.Errorf("%s: task %q is not started: %w", t.Pos, t.Title(), err))
		}
		if err := b.ask(t, path); err != nil {
			leave()
			return nil, err
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.end || b.abort && slices.Compare(path, b.last) > 0 {
			leave()
			return nil, errStopped
		}
		h.path = slices.Clone(path)
		if len(b.gone) != h.gone || b.run.world.age() != h.age {
			h.gone = len(b.gone)
			h.see(b.magic())
		}
		return leave, nil
	}
}

// ask has somebody decide, once for all hosts of the batch, whether a task is to run.
func (b *batch) ask(t *task.Task, path []int) error {
	if b.run.o.Step == nil || t.Module == "meta" {
		return nil
	}
	b.asking.Lock()
	defer b.asking.Unlock()
	place := fmt.Sprint(path)
	yes, known := b.answers[place]
	if !known {
		var err error
		if yes, err = b.run.o.Step(b.run.soft, t.Title()); err != nil {
			return engine.Blame(engine.UserFault, fmt.Errorf("%s: task %q is not started: %w", t.Pos, t.Title(), err))
		}
		b.answers[place] = yes
	}
	if !yes {
		return task.ErrLeaveOut
	}
	return nil
}

// limit is how many hosts may do a task at once; 0 = any number. With one at a time they go
// in the order of the batch, so a task with run_once is the first host's.
func (b *batch) limit(t *task.Task) int {
	if t.Keys.Has("run_once") || b.play.Keys.Has("run_once") {
		return 1
	}
	v, _ := t.Keys.Get("throttle")
	n, _ := v.(int64)
	return int(n)
}

// tasks runs the play on one host.
func (b *batch) tasks(ctx context.Context, h *host) error {
	p := b.play
	s := b.run.tasks.Begin(h.state, p.File, p.Keys, nil)
	if b.begun {
		s.Start()
	}
	defer func() {
		b.run.mu.Lock()
		defer b.run.mu.Unlock()
		b.run.begun = b.run.begun || s.Started()
	}()
	err := s.First(ctx, p.gathering())
	for _, list := range p.sections() {
		if err == nil {
			err = s.Run(ctx, list)
		}
		if err == nil {
			err = s.Flush(ctx)
		}
	}
	if err != nil && p.ForceHandlers && !errors.Is(err, engine.ErrUnreachable) && b.run.soft.Err() == nil {
		err = errors.Join(err, s.Flush(ctx))
	}
	return err
}

// gathering is the task that a play with facts begins with.
func (p *Play) gathering() []*task.Task {
	if len(p.Gather) == 0 {
		return nil
	}
	keys := value.NewDict("name", "Gathering Facts", "tags", []any{"always"})
	args := value.NewDict("gather_subset", p.Gather)
	if p.FactPath != nil {
		args.Set("fact_path", p.FactPath)
	}
	return []*task.Task{{Pos: p.Pos, Keys: keys, Module: "setup", ModulePos: p.Pos, Args: args}}
}

// settle takes the outcome of a host into account before others go on.
func (b *batch) settle(h *host) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch err := h.err; {
	case err == nil:
	case errors.Is(err, task.ErrEndHost):
		b.end = b.end || errors.Is(err, task.ErrEndBatch)
		b.endPlay = b.endPlay || errors.Is(err, task.ErrEndPlay)
		h.err = nil
	case engine.FaultOf(err) == engine.Cancelled:
	default:
		b.failed++
		b.gone[h.name] = true
		if b.fatal(h) || b.play.MaxFail >= 0 && float64(b.failed)*100 > b.play.MaxFail*float64(len(b.names)) {
			b.abort, b.stop = true, true
			if slices.Compare(h.path, b.last) > 0 {
				b.last = h.path
			}
		}
	}
}

// live are the hosts of the play that have not failed.
func (b *batch) live() []string {
	return slices.DeleteFunc(slices.Clone(b.all), func(name string) bool { return b.gone[name] })
}

// fatal reports whether the play ends when this host fails.
func (b *batch) fatal(h *host) bool {
	if errors.Is(h.err, task.ErrFatal) {
		return true
	}
	raw, ok := b.play.Keys.Get("any_errors_fatal")
	if !ok {
		return false
	}
	v, err := h.state.Vars.Eval(raw)
	if err != nil {
		return true
	}
	on, err := value.ParseBool(v)
	return on && err == nil
}

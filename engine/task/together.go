package task

import (
	"context"
	"fmt"
	"sync"

	"farm/engine"
	"farm/inventory/expr"
	"farm/inventory/value"
)

// Slots bounds how many hosts run a task with the keyword throttle at once. The runners of
// hosts that run the same files share one. Safe for concurrent use.
type Slots struct {
	mu   sync.Mutex // guards what follows
	held map[string]int
	free map[string]chan struct{} // closed when a slot of the task gets free
}

// take waits until fewer than n hosts hold a slot of the task key; leave gives it back.
func (s *Slots) take(ctx context.Context, key string, n int) (leave func(), err error) {
	for {
		s.mu.Lock()
		if s.held == nil {
			s.held, s.free = map[string]int{}, map[string]chan struct{}{}
		}
		if s.held[key] < n {
			s.held[key]++
			s.mu.Unlock()
			return func() { s.leave(key) }, nil
		}
		wait := s.free[key]
		if wait == nil {
			wait = make(chan struct{})
			s.free[key] = wait
		}
		s.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (s *Slots) leave(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[key]--; s.held[key] == 0 {
		delete(s.held, key)
	}
	if wait := s.free[key]; wait != nil {
		close(wait)
		delete(s.free, key)
	}
}

// throttled waits as the keyword throttle says.
func (p *play) throttled(ctx context.Context, c *call) (leave func(), err error) {
	n, err := c.number("throttle", 0)
	if err != nil || n < 1 || owned[c.t.Module] != nil {
		return func() {}, err
	}
	return p.o.Slots.take(ctx, c.t.Pos.String(), int(n))
}

// Once has the hosts of a batch run a task with run_once together: the first that gets to it
// runs it, the others take over what it registered and its facts. Safe for concurrent use.
type Once struct {
	mu   sync.Mutex // guards done
	done map[string]*outcome
}

// outcome is what a task that is run once came to.
type outcome struct {
	over chan struct{} // closed when what follows is set
	res  *value.Dict   // nil = it has none
	err  error
}

// enter returns the outcome of the task at path, and whether the caller is to bring it about.
func (o *Once) enter(path []int) (out *outcome, mine bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	key := fmt.Sprint(path)
	out = o.done[key]
	if out == nil {
		if o.done == nil {
			o.done = map[string]*outcome{}
		}
		out, mine = &outcome{over: make(chan struct{})}, true
		o.done[key] = out
	}
	return out, mine
}

// together runs a task: once for all hosts of the batch if it says so.
func (p *play) together(ctx context.Context, t *Task, s *scope, vars *expr.Vars) error {
	c := p.call(t, s, vars)
	once, err := c.flag("run_once")
	if err != nil {
		res, ferr := c.failed(engine.UserFault, err)
		return p.finish(ctx, c, res, ferr)
	}
	if !once || p.h.Once == nil || owned[t.Module] != nil {
		return p.one(ctx, t, s, vars)
	}
	out, mine := p.h.Once.enter(p.path)
	if mine {
		p.last = nil
		out.err = p.one(ctx, t, s, vars)
		out.res = p.last
		close(out.over)
		return out.err
	}
	select {
	case <-out.over:
	case <-ctx.Done():
		return fmt.Errorf("%s: task %q: %w", t.Pos, t.Title(), context.Cause(ctx))
	}
	if out.res != nil {
		p.register(t, out.res)
		c.adopt(out.res)
	}
	return out.err
}

// adopt takes over the facts in a result that another host got, one for each item of a loop.
func (c *call) adopt(res *value.Dict) {
	if facts, ok := res.Get("ansible_facts"); ok {
		if d, ok := facts.(*value.Dict); ok {
			c.facts(d)
		}
	}
	items, _ := res.Get("results")
	list, _ := items.([]any)
	for _, one := range list {
		if d, ok := one.(*value.Dict); ok {
			c.adopt(d)
		}
	}
}

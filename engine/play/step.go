package play

import (
	"context"
	"slices"
	"sync"
)

// stepper lets the hosts of a batch run a task when none of them is still at an earlier
// one, at most forks at a time, in the order of the batch. With free set there is
// only the limit.
type stepper struct {
	free bool

	mu    sync.Mutex // guards what follows
	slots int        // tasks that may start
	steps []*step    // places where hosts are, in order; those that nobody is at are taken out
	at    []*step    // by host; nil = it takes no part any more
}

// step is a place in the order of tasks.
type step struct {
	path    []int
	hosts   int // that are at it, waiting or running
	limit   int // of those that run at once; 0 = none
	running int
	waiting []waiter // sorted by host
}

type waiter struct {
	host int
	turn chan struct{} // closed when it may run
}

// newStepper starts with all hosts before the first task.
func newStepper(hosts, forks int, free bool) *stepper {
	first := &step{hosts: hosts}
	s := &stepper{free: free, slots: forks, steps: []*step{first}, at: make([]*step, hosts)}
	for i := range s.at {
		s.at[i] = first
	}
	return s
}

// wait has host wait for its turn at path; at most limit hosts run there at once, 0 = any.
// leave gives its slot back. The error is why ctx ended.
func (s *stepper) wait(ctx context.Context, host int, path []int, limit int) (leave func(), err error) {
	w := waiter{host, make(chan struct{})}
	s.mu.Lock()
	to := s.step(path)
	to.hosts++
	to.limit = limit
	i, _ := slices.BinarySearchFunc(to.waiting, host, func(w waiter, host int) int { return w.host - host })
	to.waiting = slices.Insert(to.waiting, i, w)
	s.depart(host)
	s.at[host] = to
	s.grant()
	s.mu.Unlock()
	select {
	case <-w.turn:
		return func() { s.leave(to) }, nil
	case <-ctx.Done():
		s.mu.Lock()
		defer s.mu.Unlock()
		select {
		case <-w.turn: // at the same moment
			s.slots++
			to.running--
		default:
			to.waiting = slices.DeleteFunc(to.waiting, func(o waiter) bool { return o.host == host })
		}
		s.grant()
		return nil, context.Cause(ctx)
	}
}

func (s *stepper) leave(st *step) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slots++
	st.running--
	s.grant()
}

// done takes host out: nobody waits for it any more.
func (s *stepper) done(host int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.depart(host)
	s.at[host] = nil
	s.grant()
}

// step finds or makes the place of path.
func (s *stepper) step(path []int) *step {
	i, ok := slices.BinarySearchFunc(s.steps, path, func(st *step, path []int) int { return slices.Compare(st.path, path) })
	if !ok {
		s.steps = slices.Insert(s.steps, i, &step{path: slices.Clone(path)})
	}
	return s.steps[i]
}

func (s *stepper) depart(host int) {
	st := s.at[host]
	if st == nil {
		return
	}
	if st.hosts--; st.hosts == 0 {
		s.steps = slices.DeleteFunc(s.steps, func(o *step) bool { return o == st })
	}
}

// grant starts who may start.
func (s *stepper) grant() {
	for _, st := range s.steps {
		for s.slots > 0 && len(st.waiting) > 0 && (st.limit == 0 || st.running < st.limit) {
			close(st.waiting[0].turn)
			st.waiting = st.waiting[1:]
			s.slots--
			st.running++
		}
		if !s.free {
			return // the others wait for those at the earliest place
		}
	}
}

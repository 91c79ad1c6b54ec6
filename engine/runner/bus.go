package runner

import (
	"slices"
	"sync"
	"time"

	"farm/engine"
)

// Bus numbers events, masks secrets in them, folds them into a State and hands them to
// the sinks, one at a time. Safe for concurrent use.
type Bus struct {
	run   string
	mask  *Mask
	sinks []engine.Sink
	now   func() time.Time

	mu    sync.Mutex // guards what follows
	seq   int64
	state engine.State
	errs  map[engine.Sink]error // sinks that failed; they get nothing more
}

// NewBus returns a bus for one run.
func NewBus(run string, mask *Mask, sinks ...engine.Sink) *Bus {
	return &Bus{run: run, mask: mask, sinks: sinks, now: time.Now, errs: map[engine.Sink]error{}}
}

// Emit is an engine.Emit.
func (b *Bus) Emit(e engine.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seq++
	e.V, e.Seq, e.Run = engine.EventVersion, b.seq, b.run
	if e.Time.IsZero() {
		e.Time = b.now().UTC()
	}
	e.Text = b.mask.Text(engine.Printable(e.Text))
	e.Diff = b.mask.Text(engine.Printable(e.Diff))
	e.Task = b.mask.Text(e.Task)
	e.Item = b.mask.Text(e.Item)
	e.Result = b.mask.Value(e.Result)
	e.Path = b.mask.Text(e.Path)
	e.Tests = b.tests(e.Tests)
	b.state.Apply(e)
	for _, s := range b.sinks {
		if b.errs[s] == nil {
			b.errs[s] = s.Event(e, &b.state)
		}
	}
}

// tests is a copy of a list that is safe to show.
func (b *Bus) tests(list []engine.Test) []engine.Test {
	list = slices.Clone(list)
	for i := range list {
		for _, text := range []*string{&list[i].Name, &list[i].Class, &list[i].Text} {
			*text = b.mask.Text(engine.Printable(*text))
		}
	}
	return list
}

// For returns an Emit that fills in VM and host.
func (b *Bus) For(vm, host string) engine.Emit {
	return func(e engine.Event) {
		if e.VM == "" {
			e.VM = vm
		}
		if e.Host == "" {
			e.Host = host
		}
		b.Emit(e)
	}
}

// State calls f with the state so far; f must not keep it.
func (b *Bus) State(f func(*engine.State)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f(&b.state)
}

// Close closes the sinks and returns the first error that any of them had.
func (b *Bus) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var first error
	for _, s := range b.sinks {
		if err := b.errs[s]; err != nil && first == nil {
			first = err
		}
		if err := s.Close(); err != nil && first == nil {
			first = err
		}
	}
	b.sinks = nil
	return first
}

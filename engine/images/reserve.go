package images

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"farm/engine"
)

// Reserve makes the caller the only one, among all of farm's processes on the host, who
// may make the layer key, until release is called. It does not wait: fs.ErrExist,
// wrapped, if somebody else is making the layer or it is there.
func (s *Store) Reserve(ctx context.Context, key string) (release func(), err error) {
	fail := func(err error) (func(), error) {
		return nil, engine.Blame(blameFor(err), fmt.Errorf("reserve layer %.12s on %s: %w", key, s.conn, err))
	}
	if err := checkKey(key); err != nil {
		return fail(err)
	}
	s.mu.Lock()
	busy := s.making[key]
	s.making[key] = true
	s.mu.Unlock()
	if busy {
		return fail(fs.ErrExist)
	}
	leave := func() {}
	done := func() {
		leave()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.making, key)
	}
	room, err := enter(ctx, s.reserving)
	if err != nil {
		done()
		return fail(err)
	}
	leave = room
	unlock, err := s.tryLock(ctx, "making "+key)
	if err != nil {
		done()
		return fail(err)
	}
	var once sync.Once
	release = func() { once.Do(func() { unlock(); done() }) }
	if _, err := s.find(ctx, key); err == nil {
		release()
		return fail(fs.ErrExist)
	} else if ctx.Err() != nil {
		release()
		return fail(err)
	}
	return release, nil
}

// tryLock is lock without waiting: fs.ErrExist if another has it.
func (s *Store) tryLock(ctx context.Context, name string) (release func(), err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	unlock, err := s.lock(ctx, name, func(string) { cancel(fs.ErrExist) })
	if errors.Is(context.Cause(ctx), fs.ErrExist) {
		if err == nil {
			unlock() // it became free in the moment that we gave up
		}
		return nil, fs.ErrExist
	}
	if err != nil {
		cancel(nil)
		return nil, err
	}
	return func() { unlock(); cancel(nil) }, nil
}

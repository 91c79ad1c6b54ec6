package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"farm/engine"
)

// kept is a program that runs in a session of its own to be asked; see engine.Keeper.
type kept struct {
	pool *Pool
	key  keptKey
	stop context.CancelFunc // ends its start

	state keptState // guarded by pool.mu
	s     *session  // from keptIdle on; used by whom it is lent to

	answered, dropped, broken bool // owned by whom it is lent to
}

type keptKey struct {
	user engine.Become
	line string
}

type keptState int

const (
	keptStarting keptState = iota
	keptIdle
	keptLent
	keptUnfit // it did not start or never answered: not tried again
)

const (
	askTime   = 10 * time.Second
	maxAnswer = 64 << 10
)

// Keep is engine.Keeper's Keep.
func (p *Pool) Keep(ctx context.Context, b *engine.Become, argv []string) (engine.Kept, bool) {
	user, err := becomeKey(b)
	if err != nil {
		return nil, false
	}
	key := keptKey{user, Join(argv)}
	p.mu.Lock()
	defer p.mu.Unlock()
	if k := p.kept[key]; k != nil {
		if k.state != keptIdle || p.closed {
			return nil, false
		}
		k.state = keptLent
		return k, true
	}
	if p.closed || p.plain || p.scarce {
		return nil, false
	}
	var surplus *session
	if p.used < MaxSessions {
		p.used++
	} else if surplus = p.surplus(); surplus == nil {
		return nil, false
	}
	k := &kept{pool: p, key: key}
	ctx, k.stop = context.WithCancel(context.WithoutCancel(ctx))
	p.kept[key] = k
	p.starts.Go(func() {
		if surplus != nil {
			surplus.proc.Close()
		}
		k.start(ctx, b)
	})
	return nil, false
}

// surplus takes an idle shell of a user who has another one, or nil. p.mu is held.
func (p *Pool) surplus() *session {
	for user, l := range p.idle {
		if len(l) > 1 {
			p.idle[user] = l[1:]
			return l[0]
		}
	}
	return nil
}

// start logs in like any shell and has the shell become the program.
func (k *kept) start(ctx context.Context, b *engine.Become) {
	defer k.stop()
	s, err := open(ctx, k.pool.spawn, b, k.pool.Stay)
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, askTime)
		defer cancel()
		token := newToken()
		// What is sent before the token has come would be the shell's to read.
		err = s.ask(ctx, "printf '%s\\n' "+token+"; exec "+k.key.line+" 2>/dev/null 7<&- 8<&- 9>&-\n", token, io.Discard)
	}
	p := k.pool
	p.mu.Lock()
	if err == nil && p.kept[k.key] == k {
		k.s, k.state = s, keptIdle
		p.wake()
		p.mu.Unlock()
		return
	}
	k.state = keptUnfit
	if errors.Is(err, ErrNoSession) {
		p.scarce = true
	}
	p.mu.Unlock()
	if s != nil {
		s.proc.Close()
	}
	p.Release()
}

// Ask is engine.Kept's Ask.
func (k *kept) Ask(ctx context.Context, question, end string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, askTime, fmt.Errorf("no answer after %v", askTime))
	defer cancel()
	var mu sync.Mutex
	said := newCapture(&mu, maxAnswer, nil, nil)
	err := k.s.ask(ctx, question, end, said)
	answer, dropped := said.close()
	if err == nil && dropped > 0 {
		err = fmt.Errorf("an answer of more than %d bytes", maxAnswer)
	}
	if err != nil {
		k.broken = true
		return "", fmt.Errorf("ask %q on %q: %w", k.key.line, k.pool.name, err)
	}
	k.answered = true
	return string(answer), nil
}

// Drop is engine.Kept's Drop.
func (k *kept) Drop() { k.dropped = true }

// Release is engine.Kept's Release.
func (k *kept) Release() {
	p := k.pool
	p.mu.Lock()
	if !p.closed && !k.dropped && !k.broken {
		k.state = keptIdle
		p.wake()
		p.mu.Unlock()
		return
	}
	k.state = keptUnfit
	if k.dropped || k.answered {
		delete(p.kept, k.key)
	}
	p.mu.Unlock()
	k.s.proc.Close()
	p.Release()
}

// ask sends text and copies what comes back to w, up to token. After an error the session
// is of no use.
func (s *session) ask(ctx context.Context, text, token string, w io.Writer) error {
	done := make(chan error, 1)
	go func() {
		_, err := io.WriteString(s.proc.Stdin, text)
		if err == nil {
			_, err = s.out.next(token, w)
		}
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		s.proc.Close()
		return causeOf(ctx)
	}
}

// evictKept takes the session of a kept program that nobody uses, or nil. p.mu is held.
func (p *Pool) evictKept() *session {
	for key, k := range p.kept {
		if k.state == keptIdle {
			delete(p.kept, key)
			return k.s
		}
	}
	return nil
}

// spare ends the kept programs of a server that grants fewer sessions than expected, and
// returns how many nobody used.
func (p *Pool) spare() int {
	p.mu.Lock()
	p.scarce = true
	var idle []*session
	for s := p.evictKept(); s != nil; s = p.evictKept() {
		idle = append(idle, s)
	}
	p.mu.Unlock()
	for _, s := range idle {
		s.proc.Close()
		p.Release()
	}
	return len(idle)
}

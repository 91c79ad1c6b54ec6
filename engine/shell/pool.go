package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"sync"
	"time"

	"farm/engine"
)

// MaxSessions is how many sessions a connection has at once, of the 10 that sshd grants
// by default: one is left to end a command whose time is up.
const MaxSessions = 8

// Pool holds the shells of one connection. Safe for concurrent use.
type Pool struct {
	// Stay has commands start in the folder that spawn starts shells in, not in the user's home.
	Stay bool

	name  string
	spawn Spawn

	control chan struct{} // the ninth session

	mu      sync.Mutex
	used    int                          // sessions that exist or are being opened
	idle    map[engine.Become][]*session // zero key: the login user
	changed chan struct{}                // closed and renewed when a session is put back or gone
	retired []*session                   // of these something still runs, and may write
	closed  bool
	plain   bool // the login shell is not POSIX
	kept    map[keptKey]*kept
	scarce  bool           // the server grants fewer sessions than expected: none is for kept programs
	starts  sync.WaitGroup // of kept programs; added to while mu is held and closed is not set
}

// New makes a pool; name is the machine's, for messages.
func New(name string, spawn Spawn) *Pool {
	return &Pool{
		name: name, spawn: spawn,
		control: make(chan struct{}, 1),
		idle:    map[engine.Become][]*session{},
		changed: make(chan struct{}),
		kept:    map[keptKey]*kept{},
	}
}

// errClosed is the answer after Close.
var errClosed = fmt.Errorf("the connection is closed: %w", fs.ErrClosed)

// Exec is engine.Conn's Exec.
func (p *Pool) Exec(ctx context.Context, cmd engine.Cmd) (engine.Output, error) {
	out, err := p.exec(ctx, cmd)
	var exit *engine.ExitError
	if err != nil && !errors.As(err, &exit) {
		err = fmt.Errorf("run a command on %q: %w", p.name, err)
	}
	return out, err
}

func (p *Pool) exec(ctx context.Context, cmd engine.Cmd) (engine.Output, error) {
	if err := check(cmd); err != nil {
		return engine.Output{}, err
	}
	key, err := becomeKey(cmd.Become)
	if err != nil {
		return engine.Output{}, err
	}
	if p.isPlain() {
		return p.execPlain(ctx, cmd)
	}
	s, err := p.take(ctx, key, cmd.Become)
	if cmd.Become == nil && errors.Is(err, ErrNotPOSIX) && ctx.Err() == nil {
		out, err2 := p.execPlain(ctx, cmd)
		if errors.Is(err2, errNeedsPOSIX) {
			err2 = fmt.Errorf("%w: %w", err2, err)
		}
		p.setPlain()
		return out, err2
	}
	if err != nil {
		return engine.Output{}, err
	}
	out, after, err := s.run(ctx, cmd, func(sig string) error { return p.signal(ctx, key, cmd.Become, s.pid, sig) })
	p.put(key, s, after)
	return out, err
}

func becomeKey(b *engine.Become) (engine.Become, error) {
	if b == nil {
		return engine.Become{}, nil
	}
	k := *b
	if k.User == "" {
		k.User = "root"
	}
	switch k.Method {
	case "":
		k.Method = "sudo"
	case "sudo", "su", "doas":
	default:
		return k, engine.Blamef(engine.UserFault, "become method %q: known are sudo, su and doas", k.Method)
	}
	for _, r := range k.User + k.Password {
		if r == '\n' || r == '\r' || r == 0 {
			return k, engine.Blamef(engine.UserFault, "become: user and password cannot hold line ends")
		}
	}
	return k, nil
}

func (p *Pool) isPlain() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.plain
}

func (p *Pool) setPlain() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.plain = true
}

// take returns an idle shell of the user or starts one. A server that grants fewer
// sessions than expected makes it wait for one to come back.
func (p *Pool) take(ctx context.Context, key engine.Become, b *engine.Become) (*session, error) {
	refused := 0
	for {
		s, err := p.reserve(ctx, &key)
		if s != nil || err != nil {
			return s, err
		}
		if s, err = open(ctx, p.spawn, b, p.Stay); err == nil {
			return s, nil
		}
		p.Release()
		pause := time.Second
		if errors.Is(err, ErrNoSession) && p.spare() > 0 {
			pause = 20 * time.Millisecond // the server soon has room
		}
		p.mu.Lock()
		others, changed := p.used > 0, p.changed
		p.mu.Unlock()
		if refused++; !errors.Is(err, ErrNoSession) || !others || refused > maxRefused {
			return nil, err
		}
		t := time.NewTimer(pause)
		select {
		case <-changed:
		case <-t.C:
		case <-ctx.Done():
		}
		t.Stop()
	}
}

// maxRefused is how often a refused session is asked for again.
const maxRefused = 60

// Reserve waits for room for a session; call Release when it is over.
func (p *Pool) Reserve(ctx context.Context) error {
	_, err := p.reserve(ctx, nil)
	return err
}

// reserve returns an idle shell of key, or room for a new session. Idle shells of
// others make room.
func (p *Pool) reserve(ctx context.Context, key *engine.Become) (*session, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		s, evicted, wait, err := p.tryReserve(key)
		if evicted != nil {
			evicted.proc.Close()
		}
		if wait == nil {
			return s, err
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for one of %d sessions: %w", MaxSessions, ctx.Err())
		}
	}
}

func (p *Pool) tryReserve(key *engine.Become) (s, evicted *session, wait chan struct{}, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, nil, nil, errClosed
	}
	if key != nil {
		if l := p.idle[*key]; len(l) > 0 {
			s = l[len(l)-1]
			p.idle[*key] = l[:len(l)-1]
			return s, nil, nil, nil
		}
	}
	if p.used < MaxSessions {
		p.used++
		return nil, nil, nil, nil
	}
	if evicted = p.evictKept(); evicted != nil {
		return nil, evicted, nil, nil
	}
	for k, l := range p.idle {
		if len(l) > 0 {
			p.idle[k] = l[1:]
			return nil, l[0], nil, nil
		}
	}
	if len(p.retired) > 0 {
		evicted = p.retired[0]
		p.retired = p.retired[1:]
		return nil, evicted, nil, nil
	}
	return nil, nil, p.changed, nil
}

// Release gives back what Reserve got.
func (p *Pool) Release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used--
	p.wake()
}

func (p *Pool) wake() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// put gives a shell back.
func (p *Pool) put(key engine.Become, s *session, after use) {
	p.mu.Lock()
	closed := p.closed
	switch {
	case closed || after == spent:
	case after == again:
		p.idle[key] = append(p.idle[key], s)
		p.wake()
	case after == busy:
		p.retired = append(p.retired, s)
		p.wake()
		go p.drain(s)
	}
	p.mu.Unlock()
	if closed || after == spent {
		s.proc.Close()
		p.Release()
	}
}

// drain reads what a command's descendants still write, so that they do not die of it.
func (p *Pool) drain(s *session) {
	s.proc.Stdin.Close()
	var wg sync.WaitGroup
	wg.Go(func() { io.Copy(io.Discard, s.proc.Stdout) })
	if s.proc.Stderr != nil {
		io.Copy(io.Discard, s.proc.Stderr)
	}
	wg.Wait()
	p.mu.Lock()
	i := slices.Index(p.retired, s)
	if i >= 0 {
		p.retired = slices.Delete(p.retired, i, i+1)
	}
	p.mu.Unlock()
	if i >= 0 {
		s.proc.Close()
		p.Release()
	}
}

// signal sends a signal to a shell, from another shell of the same user. ctx has ended
// by then; only its values are used.
func (p *Pool) signal(ctx context.Context, key engine.Become, b *engine.Become, pid int, sig string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*graceTime)
	defer cancel()
	select {
	case p.control <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-p.control }()
	s := p.takeIdle(key)
	if s == nil {
		var err error
		if s, err = open(ctx, p.spawn, b, p.Stay); err != nil {
			return err
		}
		defer s.proc.Close()
	} else {
		defer p.put(key, s, again)
	}
	cmd := engine.Cmd{Script: "kill -" + sig + " " + strconv.Itoa(pid)}
	_, _, err := s.run(ctx, cmd, func(string) error { return context.DeadlineExceeded })
	return err
}

func (p *Pool) takeIdle(key engine.Become) *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.idle[key]
	if len(l) == 0 {
		return nil
	}
	p.idle[key] = l[:len(l)-1]
	return l[len(l)-1]
}

// Close ends the idle shells and kept programs and lets no more be opened. Commands under
// way end as their transport does.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	over := p.retired
	for _, l := range p.idle {
		over = append(over, l...)
	}
	for s := p.evictKept(); s != nil; s = p.evictKept() {
		over = append(over, s)
	}
	for _, k := range p.kept {
		k.stop()
	}
	p.idle, p.retired, p.kept = nil, nil, nil // kept programs that start or are lent now end by themselves
	p.wake()
	p.mu.Unlock()
	for _, s := range over {
		s.proc.Close()
	}
	p.starts.Wait()
}

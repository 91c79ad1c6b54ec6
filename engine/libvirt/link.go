package libvirt

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"farm/engine"

	rpc "github.com/digitalocean/go-libvirt"
	"github.com/hashicorp/go-hclog"
)

// How long the daemon may take to answer. The first call that touches QEMU's
// capabilities waits until the daemon has asked every emulator what it can do, which
// took up to 48 s under load.
const (
	connectBudget = 60 * time.Second
	queryBudget   = 10 * time.Second
	probeBudget   = 5 * time.Minute
	startBudget   = 2 * time.Minute
	destroyBudget = 30 * time.Second
)

// inFlight bounds the calls that one host answers at a time.
const inFlight = 8

// link is the RPC connection to one daemon: made when it is needed, dropped when a
// call misses its deadline, made anew for the next call. Safe for concurrent use.
type link struct {
	host string
	uri  string
	dial func(ctx context.Context) (net.Conn, error)
	log  hclog.Logger
	slot chan struct{} // one token for each call in flight
	hub  hub

	gate   chan struct{} // holds a token while what follows is used, connecting included
	now    *session      // nil = not connected
	closed bool

	// every goroutine that the link started
	running sync.WaitGroup
}

// session is one connection; it is used until it breaks and never again.
type session struct {
	*rpc.Libvirt
	raw    net.Conn
	cancel context.CancelFunc // ends the events
}

func (s *session) drop() {
	s.cancel()
	s.raw.Close()
}

func newLink(host, uri string, dial func(context.Context) (net.Conn, error), log hclog.Logger) *link {
	return &link{host: host, uri: uri, dial: dial, log: log, slot: make(chan struct{}, inFlight), gate: make(chan struct{}, 1)}
}

// op is how a call is treated.
type op struct {
	what   string // "start vm \"x\"": begins the error
	budget time.Duration
	again  bool // may be repeated when the connection broke under it: it changes nothing
}

// call runs f on the connection. f's goroutine may outlive the call when ctx ends
// first, so f must not write what the caller reads; what it finds goes through ask.
func (l *link) call(ctx context.Context, o op, f func(*rpc.Libvirt) error) error {
	_, err := ask(ctx, l, o, func(r *rpc.Libvirt) (struct{}, error) { return struct{}{}, f(r) })
	return err
}

// ask is call for what returns a value.
func ask[T any](ctx context.Context, l *link, o op, f func(*rpc.Libvirt) (T, error)) (T, error) {
	v, err := once(ctx, l, o, f)
	if o.again && errors.Is(err, engine.ErrUnreachable) && ctx.Err() == nil {
		v, err = once(ctx, l, o, f)
	}
	if err != nil {
		err = fmt.Errorf("%s on %q: %w", o.what, l.host, err)
	}
	return v, err
}

func once[T any](ctx context.Context, l *link, o op, f func(*rpc.Libvirt) (T, error)) (T, error) {
	var none T
	select {
	case l.slot <- struct{}{}:
	case <-ctx.Done():
		return none, ctx.Err()
	}
	s, err := l.session(ctx)
	if err != nil {
		<-l.slot
		return none, err
	}
	type reply struct {
		v   T
		err error
	}
	done := make(chan reply, 1)
	go func() {
		defer l.running.Done() // added by session
		defer func() { <-l.slot }()
		late := time.AfterFunc(o.budget, s.drop)
		v, err := f(s.Libvirt)
		if !late.Stop() && err != nil {
			err = fmt.Errorf("%w: libvirt did not answer within %v", engine.ErrUnreachable, o.budget)
		}
		done <- reply{v, l.translate(s, err)}
	}()
	select {
	case r := <-done:
		return r.v, r.err
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

// session returns the connection, making one if there is none, and counts the caller
// as running on it.
func (l *link) session(ctx context.Context) (*session, error) {
	select {
	case l.gate <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-l.gate }()
	if l.closed {
		return nil, fmt.Errorf("%w: the connection was closed", engine.ErrUnreachable)
	}
	if l.now != nil && l.now.IsConnected() {
		l.running.Add(1)
		return l.now, nil
	}
	if l.now != nil {
		l.now.drop()
		l.now = nil
		l.log.Info("connection to libvirt lost, connecting again", "host", l.host)
	}
	s, err := l.connect(ctx)
	if err != nil {
		return nil, err
	}
	l.now = s
	l.running.Add(1)
	l.hub.wakeAll() // what changed meanwhile was not told: everybody reads again
	return s, nil
}

func (l *link) connect(ctx context.Context) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, connectBudget)
	defer cancel()
	raw, err := l.dial(ctx)
	if err != nil {
		return nil, err
	}
	raw = &remembering{Conn: raw}
	s := &session{Libvirt: rpc.NewWithDialer(dialed{raw}), raw: raw, cancel: func() {}}
	// the library knows no deadline: closing the stream ends whatever it waits for
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	err = s.ConnectToURI(rpc.ConnectURI(l.uri))
	if err == nil {
		err = l.listen(s)
	}
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		s.drop()
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%w: no answer from libvirt at %s within %v", engine.ErrUnreachable, l.uri, connectBudget)
		}
		return nil, fmt.Errorf("open %s: %w", l.uri, l.translate(s, err))
	}
	return s, nil
}

// listen passes lifecycle events on to the hub until the session ends.
func (l *link) listen(s *session) error {
	ctx, cancel := context.WithCancel(context.Background()) // the session's own life
	s.cancel = cancel
	events, err := s.LifecycleEvents(ctx)
	if err != nil {
		return err
	}
	l.running.Add(1)
	go func() {
		defer l.running.Done()
		for e := range events {
			l.hub.wake(e.Dom.Name)
		}
		l.hub.wakeAll()
	}()
	return nil
}

// close ends the connection and waits for what runs on it.
func (l *link) close() {
	l.gate <- struct{}{}
	l.closed = true
	if l.now != nil {
		// A farewell would be polite, but the helper may lose the answer to it on its way out;
		// closing the stream ends the session as well.
		l.now.drop()
	}
	<-l.gate
	l.running.Wait()
}

// dialed hands the library a stream that is open already.
type dialed struct{ conn net.Conn }

func (d dialed) Dial() (net.Conn, error) { return d.conn, nil }

// remembering keeps the error that ended reading: it carries what the helper wrote to
// standard error, and the library swallows it.
type remembering struct {
	net.Conn
	mu  sync.Mutex
	err error // guarded by mu
}

func (r *remembering) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	if err != nil {
		r.mu.Lock()
		if r.err == nil {
			r.err = err
		}
		r.mu.Unlock()
	}
	return n, err
}

func (r *remembering) cause() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// localURI checks that uri speaks of a daemon on the host itself.
func localURI(uri string) (*url.URL, error) {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme == "" {
		return nil, engine.Blamef(engine.UserFault, "libvirt URI %q: not a URI; qemu:///session is one", uri)
	}
	if u.Host != "" || strings.Contains(u.Scheme, "+") {
		return nil, engine.Blamef(engine.UserFault,
			"libvirt URI %q: names another machine; give that as ansible_host and the URI as the host itself says it, such as qemu:///session", uri)
	}
	return u, nil
}

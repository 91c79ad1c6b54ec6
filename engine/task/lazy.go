package task

import (
	"context"
	"io"
	"io/fs"
	"net"
	"sync"

	"farm/engine"
)

// Lazy returns a connection that open opens when it is first needed, and again after that
// failed. name is what it is to; closing it leaves what open returned to the caller.
func Lazy(name string, open func(ctx context.Context, host string) (engine.Conn, error)) engine.Conn {
	return &lazyConn{name: name, open: open}
}

// lazyConn is a connection opened when it is first needed: most definitions only compute.
type lazyConn struct {
	name string
	open func(ctx context.Context, host string) (engine.Conn, error)

	mu   sync.Mutex // guards conn
	conn engine.Conn
}

func (l *lazyConn) get(ctx context.Context) (engine.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil {
		return l.conn, nil
	}
	if l.open == nil {
		return nil, engine.Blamef(engine.UserFault, "the task needs a connection to %q and there is none here", l.name)
	}
	conn, err := l.open(ctx, l.name)
	if err == nil && conn == nil {
		err = engine.Blamef(engine.UserFault, "the task needs a connection to %q and there is none here", l.name)
	}
	if err != nil {
		return nil, err
	}
	l.conn = conn
	return conn, nil
}

func (l *lazyConn) String() string { return l.name }

func (l *lazyConn) Exec(ctx context.Context, cmd engine.Cmd) (engine.Output, error) {
	c, err := l.get(ctx)
	if err != nil {
		return engine.Output{}, err
	}
	return c.Exec(ctx, cmd)
}

func (l *lazyConn) Upload(ctx context.Context, dst string, perm fs.FileMode, src io.Reader) error {
	c, err := l.get(ctx)
	if err != nil {
		return err
	}
	return c.Upload(ctx, dst, perm, src)
}

func (l *lazyConn) Download(ctx context.Context, src string, dst io.Writer) error {
	c, err := l.get(ctx)
	if err != nil {
		return err
	}
	return c.Download(ctx, src, dst)
}

func (l *lazyConn) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := l.get(ctx)
	if err != nil {
		return nil, err
	}
	return c.Dial(ctx, network, addr)
}

// Keep lends a running program, once the connection is open; see engine.Keeper.
func (l *lazyConn) Keep(ctx context.Context, b *engine.Become, argv []string) (engine.Kept, bool) {
	l.mu.Lock()
	keeper, ok := l.conn.(engine.Keeper)
	l.mu.Unlock()
	if !ok {
		return nil, false
	}
	return keeper.Keep(ctx, b, argv)
}

// ShareUser is the user that is logged in; see engine.Sharer.
func (l *lazyConn) ShareUser(ctx context.Context) (string, error) {
	s, err := l.sharer(ctx)
	if err != nil {
		return "", err
	}
	return s.ShareUser(ctx)
}

// Share lends the login to a program; see engine.Sharer.
func (l *lazyConn) Share(ctx context.Context, nc net.Conn, keys engine.ShareKeys) error {
	s, err := l.sharer(ctx)
	if err != nil {
		nc.Close()
		return err
	}
	return s.Share(ctx, nc, keys)
}

func (l *lazyConn) sharer(ctx context.Context) (engine.Sharer, error) {
	c, err := l.get(ctx)
	if err != nil {
		return nil, err
	}
	if s, ok := c.(engine.Sharer); ok {
		return s, nil
	}
	return nil, engine.Blamef(engine.UserFault, "%q is not reached over SSH", l.name)
}

// Close leaves the connection to whoever opened it.
func (l *lazyConn) Close() error { return nil }

package ssh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"farm/engine"
	"farm/engine/shell"
)

// Conn is a login. It is of no use once it is lost: every call then fails with an
// error that wraps engine.ErrUnreachable; dial anew.
type Conn struct {
	cfg    Config
	client *ssh.Client
	pool   *shell.Pool
	hops   []*Conn // closed after the connection, last first
	work   sync.WaitGroup

	dead   chan struct{} // closed when the connection is gone
	mu     sync.Mutex    // guards what follows
	why    error
	closed bool

	files sftpClient
}

var (
	_ engine.Conn     = (*Conn)(nil)
	_ engine.Streamer = (*Conn)(nil)
	_ engine.Keeper   = (*Conn)(nil)
	_ engine.Sharer   = (*Conn)(nil)
)

func newConn(cfg Config, client *ssh.Client) *Conn {
	c := &Conn{cfg: cfg, client: client, dead: make(chan struct{})}
	c.pool = shell.New(cfg.Name, c.spawn)
	c.work.Go(func() {
		err := client.Wait()
		c.lose(fmt.Errorf("the connection to %q ended: %w", cfg.Name, err))
		close(c.dead)
	})
	if cfg.Keepalive > 0 {
		c.work.Go(c.keepalive)
	}
	return c
}

func (c *Conn) String() string { return c.cfg.Name }

// Done is closed when the connection is gone.
func (c *Conn) Done() <-chan struct{} { return c.dead }

// lose notes the first reason why the connection is gone.
func (c *Conn) lose(why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.why == nil {
		c.why = why
	}
}

// lost is why the connection is gone, as an error for callers; nil while it works.
func (c *Conn) lost() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.why == nil {
		return nil
	}
	return unreachable(c.why)
}

func unreachable(err error) error {
	if errors.Is(err, engine.ErrUnreachable) {
		return err
	}
	return fmt.Errorf("%w: %w", engine.ErrUnreachable, err)
}

// maxMissed is how many checks in a row may stay unanswered.
const maxMissed = 3

// keepalive asks the server something now and then. TCP's own keepalive is answered by
// whatever forwards a port, also when the guest behind it is frozen.
func (c *Conn) keepalive() {
	tick := time.NewTicker(c.cfg.Keepalive)
	defer tick.Stop()
	answer := make(chan struct{}, 1)
	waiting, missed := false, 0
	for {
		select {
		case <-c.dead:
			return
		case <-answer:
			waiting, missed = false, 0
		case <-tick.C:
			if waiting {
				if missed++; missed >= maxMissed {
					c.lose(fmt.Errorf("%q has not answered for %v", c.cfg.Name, maxMissed*c.cfg.Keepalive))
					c.client.Close()
					return
				}
				continue
			}
			waiting = true
			c.work.Go(func() {
				c.client.SendRequest("keepalive@openssh.com", true, nil)
				answer <- struct{}{}
			})
		}
	}
}

// Exec runs cmd; see engine.Conn.
func (c *Conn) Exec(ctx context.Context, cmd engine.Cmd) (engine.Output, error) {
	return c.pool.Exec(ctx, cmd)
}

// Dial connects from the machine to addr; see engine.Conn. The server must allow
// forwarding (AllowTcpForwarding, AllowStreamLocalForwarding).
func (c *Conn) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := await(ctx, c, func() (net.Conn, error) { return c.client.Dial(network, addr) },
		func(conn net.Conn) { conn.Close() })
	if err != nil {
		return nil, fmt.Errorf("dial %s from %q: %w", addr, c.cfg.Name, c.explain(err))
	}
	return conn, nil
}

// lostWith is lost after err, which may be the first sign of it: a write may fail before the reader
// notices that the connection is gone.
func (c *Conn) lostWith(err error) error {
	broken := (*net.OpError)(nil)
	if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, sftp.ErrSSHFxConnectionLost) || errors.As(err, &broken) {
		select {
		case <-c.dead:
		case <-time.After(noticing):
		}
	}
	return c.lost()
}

// noticing is how long the end of a connection may take to show after one of its writes failed.
const noticing = time.Second

// explain makes an error of the transport one that wraps engine.ErrUnreachable.
func (c *Conn) explain(err error) error {
	if err == nil {
		return nil
	}
	if lost := c.lostWith(err); lost != nil {
		return lost
	}
	var refused *ssh.OpenChannelError
	if errors.As(err, &refused) && refused.Reason == ssh.Prohibited {
		return fmt.Errorf("%w: its sshd does not allow this (AllowTcpForwarding, AllowStreamLocalForwarding, MaxSessions)", err)
	}
	return err
}

// await runs f, which ends when the connection does, no longer than ctx; a late result
// is thrown away by undo.
func await[T any](ctx context.Context, c *Conn, f func() (T, error), undo func(T)) (T, error) {
	type result struct {
		v   T
		err error
	}
	done := make(chan result, 1)
	c.work.Go(func() {
		v, err := f()
		done <- result{v, err}
	})
	select {
	case r := <-done:
		return r.v, r.err
	case <-ctx.Done():
		go func() {
			if r := <-done; r.err == nil {
				undo(r.v)
			}
		}()
		var zero T
		return zero, ctx.Err()
	}
}

// Close ends the connection and what runs over it, then the hops on the way.
func (c *Conn) Close() error {
	c.mu.Lock()
	first := !c.closed
	c.closed = true
	c.mu.Unlock()
	if !first {
		return nil
	}
	c.lose(errors.New("the connection was closed"))
	c.pool.Close()
	err := c.client.Close()
	<-c.dead
	c.files.close()
	c.work.Wait()
	closeAll(c.hops)
	if errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) {
		err = nil
	}
	return err
}

// sftpClient is opened on first use.
type sftpClient struct {
	mu     sync.Mutex // guards what follows
	client *sftp.Client
	none   bool // the server has no such subsystem
}

func (s *sftpClient) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client != nil {
		s.client.Close()
	}
}

package ssh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"

	"golang.org/x/crypto/ssh"

	"farm/engine"
	"farm/engine/shell"
)

// rawTerminal turns off what a terminal does to bytes (RFC 4254, 8).
var rawTerminal = ssh.TerminalModes{
	ssh.ECHO: 0, ssh.ECHONL: 0, ssh.ICANON: 0, ssh.ISIG: 0, ssh.IEXTEN: 0, ssh.OPOST: 0,
	ssh.IXON: 0, ssh.IXOFF: 0, ssh.ICRNL: 0, ssh.INLCR: 0, ssh.IGNCR: 0, ssh.ISTRIP: 0,
	ssh.ONLCR: 0, ssh.CS8: 1,
}

// spawn starts line in a session; see shell.Spawn.
func (c *Conn) spawn(ctx context.Context, line string, pty bool) (*shell.Process, error) {
	proc, err := await(ctx, c, func() (*shell.Process, error) { return c.start(line, pty) },
		func(p *shell.Process) { p.Close() })
	var refused *ssh.OpenChannelError
	if errors.As(err, &refused) {
		return nil, fmt.Errorf("%w: %w", shell.ErrNoSession, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open a session: %w", c.explain(err))
	}
	return proc, nil
}

func (c *Conn) start(line string, pty bool) (*shell.Process, error) {
	s, err := c.client.NewSession()
	if err != nil {
		return nil, err
	}
	proc, err := c.startIn(s, line, pty)
	if err != nil {
		s.Close()
		return nil, err
	}
	return proc, nil
}

func (c *Conn) startIn(s *ssh.Session, line string, pty bool) (proc *shell.Process, err error) {
	proc = &shell.Process{Close: s.Close}
	if proc.Stdin, err = s.StdinPipe(); err != nil {
		return nil, err
	}
	if proc.Stdout, err = s.StdoutPipe(); err != nil {
		return nil, err
	}
	if pty {
		if err := s.RequestPty("dumb", 24, 80, rawTerminal); err != nil {
			return nil, err
		}
	} else if proc.Stderr, err = s.StderrPipe(); err != nil {
		return nil, err
	}
	if err := s.Start(line); err != nil {
		return nil, err
	}
	var how error
	over := make(chan struct{})
	c.work.Go(func() {
		how = c.exitOf(s.Wait())
		close(over)
	})
	proc.Exited = over
	proc.Wait = func() error { <-over; return how }
	return proc, nil
}

// signals numbers the signals that RFC 4254, 6.10 names.
var signals = map[string]int{
	"HUP": 1, "INT": 2, "QUIT": 3, "ILL": 4, "ABRT": 6, "FPE": 8, "KILL": 9, "USR1": 10, "SEGV": 11,
	"USR2": 12, "PIPE": 13, "ALRM": 14, "TERM": 15,
}

func (c *Conn) exitOf(err error) error {
	var exit *ssh.ExitError
	var missing *ssh.ExitMissingError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &exit):
		if n, ok := signals[exit.Signal()]; ok {
			return &engine.ExitError{Status: 128 + n}
		}
		return &engine.ExitError{Status: exit.ExitStatus()}
	}
	if lost := c.lostWith(err); lost != nil {
		return lost
	}
	if errors.As(err, &missing) {
		err = fmt.Errorf("the session on %q broke off", c.cfg.Name)
	}
	return unreachable(err)
}

// Keep lends a running program; see engine.Keeper.
func (c *Conn) Keep(ctx context.Context, b *engine.Become, argv []string) (engine.Kept, bool) {
	return c.pool.Keep(ctx, b, argv)
}

// Stream starts argv; see engine.Streamer.
func (c *Conn) Stream(ctx context.Context, argv []string) (net.Conn, error) {
	if err := c.pool.Reserve(ctx); err != nil {
		return nil, err
	}
	proc, err := c.spawn(ctx, shell.Join(argv), false)
	if err != nil {
		c.pool.Release()
		return nil, err
	}
	return shell.Stream(proc, argv[0]+" on "+strconv.Quote(c.cfg.Name), c.pool.Release), nil
}

// Size is a terminal's, in characters.
type Size struct{ Columns, Rows int }

// Interactive runs line, or the login shell where it is empty, on a terminal named term
// (as in $TERM) until it ends. The caller puts its own terminal into raw mode; sizes
// tells of changes and may be nil. A status other than 0 is an *engine.ExitError. in is
// read until it ends or, at its next bytes, until the program is over.
func (c *Conn) Interactive(ctx context.Context, line, term string, in io.Reader, out io.Writer, size Size, sizes <-chan Size) error {
	if err := c.pool.Reserve(ctx); err != nil {
		return err
	}
	defer c.pool.Release()
	s, err := await(ctx, c, c.client.NewSession, func(s *ssh.Session) { s.Close() })
	if err != nil {
		return fmt.Errorf("open a session: %w", c.explain(err))
	}
	defer s.Close()
	stop := context.AfterFunc(ctx, func() { s.Close() })
	defer stop()
	s.Stdout, s.Stderr = out, out
	stdin, err := s.StdinPipe()
	if err == nil {
		err = s.RequestPty(term, size.Rows, size.Columns, ssh.TerminalModes{})
	}
	if err == nil && line == "" {
		err = s.Shell()
	} else if err == nil {
		err = s.Start(line)
	}
	if err != nil {
		return fmt.Errorf("start a shell on %q: %w", c.cfg.Name, c.explain(err))
	}
	go func() {
		io.Copy(stdin, in)
		stdin.Close()
	}()
	over := make(chan struct{})
	defer close(over)
	go func() {
		for {
			select {
			case <-over:
				return
			case z, ok := <-sizes:
				if !ok {
					return
				}
				s.WindowChange(z.Rows, z.Columns)
			}
		}
	}()
	err = c.exitOf(s.Wait())
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// Package local is the engine.Conn of the controller itself: the same persistent shells
// as over SSH, started as child processes.
package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"farm/engine"
	"farm/engine/shell"
)

// Conn runs commands on the controller as the user that farm runs as.
type Conn struct {
	pool *shell.Pool

	mu    sync.Mutex // guards what follows
	procs map[*exec.Cmd]func() error
}

var (
	_ engine.Conn     = (*Conn)(nil)
	_ engine.Streamer = (*Conn)(nil)
	_ engine.Keeper   = (*Conn)(nil)
)

// New returns a connection to the controller.
func New() *Conn {
	c := &Conn{procs: map[*exec.Cmd]func() error{}}
	c.pool = shell.New("localhost", c.spawn)
	return c
}

// Here returns a connection to the controller whose commands start in the folder that farm was
// started in, not in the user's home, and whose relative paths are below it.
func Here() *Conn {
	c := New()
	c.pool.Stay = true
	return c
}

func (c *Conn) String() string { return "localhost" }

// Exec runs cmd; see engine.Conn.
func (c *Conn) Exec(ctx context.Context, cmd engine.Cmd) (engine.Output, error) {
	return c.pool.Exec(ctx, cmd)
}

// Dial connects to addr; see engine.Conn.
func (c *Conn) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, network, addr)
}

// Close ends the idle shells and what still runs.
func (c *Conn) Close() error {
	c.pool.Close()
	c.mu.Lock()
	ends := make([]func() error, 0, len(c.procs))
	for _, end := range c.procs {
		ends = append(ends, end)
	}
	c.mu.Unlock()
	for _, end := range ends {
		end()
	}
	return nil
}

// Upload writes a file; see engine.Conn.
func (c *Conn) Upload(ctx context.Context, dst string, perm fs.FileMode, src io.Reader) (err error) {
	dst, err = c.expand(dst)
	if err != nil {
		return err
	}
	tmp := shell.TempName(dst)
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(tmp)
		}
	}()
	_, err = io.Copy(f, reader{ctx, src})
	if err == nil {
		err = f.Chmod(perm.Perm())
	}
	if err2 := f.Close(); err == nil {
		err = err2
	}
	if err == nil {
		err = os.Rename(tmp, dst)
	}
	if err != nil {
		err = fmt.Errorf("write %q: %w", dst, err)
	}
	return err
}

// Download reads a file; see engine.Conn.
func (c *Conn) Download(ctx context.Context, src string, dst io.Writer) error {
	src, err := c.expand(src)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(src, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a named pipe without a writer would wait for one
	if err != nil {
		return err
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil {
		return err
	} else if !st.Mode().IsRegular() {
		return fmt.Errorf("read %q: not a regular file", src)
	}
	if _, err := io.Copy(dst, reader{ctx, f}); err != nil {
		return fmt.Errorf("read %q: %w", src, err)
	}
	return nil
}

// expand makes a relative path one below the folder that commands start in: as over SSH the home
// folder, unless it is Here.
func (c *Conn) expand(path string) (string, error) {
	rest, home := strings.CutPrefix(path, "~/")
	if filepath.IsAbs(path) || c.pool.Stay && !home {
		return filepath.Abs(path)
	}
	dir, err := os.UserHomeDir()
	return filepath.Join(dir, rest), err
}

// reader ends with ctx.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
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
	proc, err := c.spawn(ctx, "exec "+shell.Join(argv), false)
	if err != nil {
		c.pool.Release()
		return nil, err
	}
	return shell.Stream(proc, argv[0]+" on \"localhost\"", c.pool.Release), nil
}

// spawn starts a process group; see shell.Spawn.
func (c *Conn) spawn(ctx context.Context, line string, pty bool) (*shell.Process, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	cmd := exec.Command("/bin/sh", "-c", line)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	open := openPipes
	if pty {
		open = openTerminal
	}
	proc, theirs, err := open(cmd)
	if err == nil {
		err = cmd.Start()
	}
	for _, f := range theirs {
		f.Close()
	}
	if err != nil {
		if proc != nil {
			closeStreams(proc)
		}
		return nil, fmt.Errorf("start a shell: %w", err)
	}
	c.watch(cmd, proc)
	return proc, nil
}

// watch waits for the process, whatever becomes of its streams.
func (c *Conn) watch(cmd *exec.Cmd, proc *shell.Process) {
	var how error
	over := make(chan struct{})
	end := sync.OnceValue(func() error {
		// The group's leader may be gone while others of the group run on.
		syscall.Kill(-cmd.Process.Pid, syscall.SIGHUP)
		closeStreams(proc)
		return nil
	})
	c.mu.Lock()
	c.procs[cmd] = end
	c.mu.Unlock()
	go func() {
		how = exitOf(cmd.Wait())
		c.mu.Lock()
		delete(c.procs, cmd)
		c.mu.Unlock()
		close(over)
	}()
	proc.Exited = over
	proc.Wait = func() error { <-over; return how }
	proc.Close = end
}

func exitOf(err error) error {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return &engine.ExitError{Status: 128 + int(ws.Signal())}
	}
	return &engine.ExitError{Status: exit.ExitCode()}
}

func closeStreams(p *shell.Process) {
	p.Stdin.Close()
	for _, r := range []io.Reader{p.Stdout, p.Stderr} {
		if c, ok := r.(io.Closer); ok {
			c.Close()
		}
	}
}

// openPipes gives cmd three pipes; theirs are its ends, to be closed once it has started.
func openPipes(cmd *exec.Cmd) (proc *shell.Process, theirs []*os.File, err error) {
	var ours [3]*os.File
	for i := range ours {
		r, w, err := os.Pipe()
		if err != nil {
			for _, f := range append(ours[:i:i], theirs...) {
				f.Close()
			}
			return nil, nil, err
		}
		if i == 0 {
			r, w = w, r
		}
		ours[i], theirs = r, append(theirs, w)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs[0], theirs[1], theirs[2]
	return &shell.Process{Stdin: ours[0], Stdout: ours[1], Stderr: ours[2]}, theirs, nil
}

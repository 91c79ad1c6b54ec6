package enginetest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net"
	"slices"
	"strings"
	"sync"

	"farm/engine"
)

// Conn is a machine that answers what it was told to and refuses all else. Its zero
// value refuses everything. Safe for concurrent use.
type Conn struct {
	Name string // "" = fake

	mu      sync.Mutex // guards what follows
	answers map[string]func(engine.Cmd) (engine.Output, error)
	files   map[string]File
	dials   map[string]func() (net.Conn, error)
	calls   []string
	closed  bool
}

// File is a file on a fake machine.
type File struct {
	Data []byte
	Perm fs.FileMode
}

var _ engine.Conn = (*Conn)(nil)

// Key is how commands are told apart: the script, or the arguments joined by spaces.
func Key(cmd engine.Cmd) string {
	if cmd.Script != "" {
		return cmd.Script
	}
	return strings.Join(cmd.Argv, " ")
}

// On makes the command with the key answer stdout and status, each time it is run.
func (c *Conn) On(key, stdout string, status int) {
	c.OnFunc(key, func(engine.Cmd) (engine.Output, error) {
		out := engine.Output{Stdout: []byte(stdout), Status: status}
		if status != 0 {
			return out, &engine.ExitError{Status: status}
		}
		return out, nil
	})
}

// OnFunc makes f answer the command with the key.
func (c *Conn) OnFunc(key string, f func(engine.Cmd) (engine.Output, error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.answers == nil {
		c.answers = map[string]func(engine.Cmd) (engine.Output, error){}
	}
	c.answers[key] = f
}

// OnDial makes f answer dials of addr.
func (c *Conn) OnDial(network, addr string, f func() (net.Conn, error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dials == nil {
		c.dials = map[string]func() (net.Conn, error){}
	}
	c.dials[network+" "+addr] = f
}

// SetFile puts a file onto the machine, or makes Upload to its path welcome.
func (c *Conn) SetFile(path string, f File) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.files == nil {
		c.files = map[string]File{}
	}
	c.files[path] = f
}

// File returns a file of the machine.
func (c *Conn) File(path string) (File, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f, ok := c.files[path]
	return f, ok
}

// Calls lists the keys of the commands that were run, in order.
func (c *Conn) Calls() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.calls)
}

func (c *Conn) String() string {
	if c.Name == "" {
		return "fake"
	}
	return c.Name
}

// Exec answers as it was told to.
func (c *Conn) Exec(ctx context.Context, cmd engine.Cmd) (engine.Output, error) {
	if err := ctx.Err(); err != nil {
		return engine.Output{}, err
	}
	key := Key(cmd)
	c.mu.Lock()
	f, closed := c.answers[key], c.closed
	c.calls = append(c.calls, key)
	c.mu.Unlock()
	if closed {
		return engine.Output{}, fmt.Errorf("%s is closed: %w", c, engine.ErrUnreachable)
	}
	if f == nil {
		return engine.Output{}, fmt.Errorf("%s was not told about the command %q", c, key)
	}
	out, err := f(cmd)
	if cmd.Stdout != nil {
		cmd.Stdout.Write(out.Stdout)
	}
	if cmd.Stderr != nil {
		cmd.Stderr.Write(out.Stderr)
	}
	return out, err
}

// Upload replaces a file that SetFile has named before.
func (c *Conn) Upload(ctx context.Context, dst string, perm fs.FileMode, src io.Reader) error {
	b, err := io.ReadAll(src)
	if err != nil {
		return err
	}
	if _, ok := c.File(dst); !ok {
		return fmt.Errorf("%s was not told about the file %q", c, dst)
	}
	c.SetFile(dst, File{Data: b, Perm: perm})
	return ctx.Err()
}

// Download copies a file of the machine.
func (c *Conn) Download(ctx context.Context, src string, dst io.Writer) error {
	f, ok := c.File(src)
	if !ok {
		return fmt.Errorf("read %q on %q: %w", src, c, fs.ErrNotExist)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	_, err := io.Copy(dst, bytes.NewReader(f.Data))
	return err
}

// Dial answers as it was told to.
func (c *Conn) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c.mu.Lock()
	f := c.dials[network+" "+addr]
	c.mu.Unlock()
	if f == nil {
		return nil, fmt.Errorf("%s was not told about dialling %s %s", c, network, addr)
	}
	return f()
}

// Close makes further commands fail.
func (c *Conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	return nil
}

package callbacks

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"farm/engine"
	"farm/inventory/value"
)

// machine is a Conn to a folder of the test's own: commands run here.
type machine struct{}

func (machine) String() string { return "testhost" }
func (machine) Close() error   { return nil }
func (machine) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, network, addr)
}

func (machine) Exec(ctx context.Context, c engine.Cmd) (engine.Output, error) {
	cmd := exec.CommandContext(ctx, c.Argv[0], c.Argv[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	cmd.Dir, cmd.Stdin = c.Dir, c.Stdin
	cmd.Env = os.Environ()
	for k, v := range c.Env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if c.Stdout != nil {
		cmd.Stdout = io.MultiWriter(&stdout, c.Stdout)
	}
	err := cmd.Run()
	out := engine.Output{Stdout: stdout.Bytes(), Stderr: stderr.Bytes()}
	if ctx.Err() != nil {
		return out, ctx.Err()
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return out, &engine.ExitError{Status: exit.ExitCode()}
	}
	return out, err
}

func (machine) Upload(ctx context.Context, dst string, perm fs.FileMode, src io.Reader) error {
	f, err := os.OpenFile(dst+".uploading", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, perm)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, src)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), dst)
}

func (machine) Download(ctx context.Context, src string, dst io.Writer) error {
	f, err := os.Open(src)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(dst, f)
	return err
}

// said collects events.
type said struct {
	mu     sync.Mutex
	events []engine.Event
}

func (s *said) emit(e engine.Event) { s.mu.Lock(); s.events = append(s.events, e); s.mu.Unlock() }

func (s *said) has(kind engine.Kind, text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		if e.Kind == kind && strings.Contains(e.Text, text) {
			return true
		}
	}
	return false
}

// newImage is an image under preparation in folders of the test's own.
func newImage(t *testing.T) (*engine.Image, *said) {
	t.Helper()
	dir, events := t.TempDir(), &said{}
	im := &engine.Image{
		Conn: machine{}, Local: machine{}, Emit: events.emit,
		TmpDir: filepath.Join(dir, "work"), PoolDir: filepath.Join(dir, "pool"), Cache: filepath.Join(dir, "cache"),
		Lock: func(context.Context, string) (func(), error) { return func() {}, nil },
		Check: func(_ context.Context, path, format string) (engine.ImageInfo, error) {
			st, err := os.Stat(path)
			if err != nil {
				return engine.ImageInfo{}, err
			}
			return engine.ImageInfo{Format: format, VirtualBytes: st.Size()}, nil
		},
	}
	im.VM.ID = "debian_12/amd64"
	im.VM.Def.Metadata.TmpDir, im.VM.Def.Metadata.PoolDir = "/home/user/tmp/", "/home/user/images/"
	for _, d := range []string{im.TmpDir, im.PoolDir, im.Cache} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return im, events
}

// callback makes one as a definition would, with the arguments key, value, key, value, ...
func callback(t *testing.T, name string, args ...any) engine.Callback {
	t.Helper()
	for _, d := range All() {
		if d.Name != name {
			continue
		}
		cb := d.New()
		if err := value.Decode(value.NewDict(args...), cb); err != nil {
			t.Fatal(err)
		}
		if f, ok := cb.(*fetch); ok {
			f.pause = time.Millisecond
		}
		return cb
	}
	t.Fatalf("no callback %q", name)
	return nil
}

func write(t *testing.T, file string, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

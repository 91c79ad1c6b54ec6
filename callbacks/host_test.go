package callbacks

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"farm/engine"
	"farm/engine/local"
	"farm/inventory/value"
)

// here is a connection to this machine that ends with the test.
func here(t *testing.T) *local.Conn {
	c := local.New()
	t.Cleanup(func() { c.Close() })
	return c
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
	dir, events, conn := t.TempDir(), &said{}, here(t)
	im := &engine.Image{
		Conn: conn, Local: conn, Emit: events.emit,
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

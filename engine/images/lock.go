package images

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"sync"

	"farm/engine"
)

// holdLock takes a lock file and keeps it until it reads a line, or its standard input ends
// without one: then farm was killed or its connection broke. There are no leases to judge and
// nothing to steal, as the kernel frees the lock; but before that the lock's work folders, if
// it has any, are dropped with all that still works in them. No watch over each process is needed for
// this, and none that has left its session escapes; a host that lost power has no processes.
const holdLock = dropScript + `
exec 9>>"$1" || { echo "failed: cannot open it"; exit 1; }
if ! flock -n 9 2>/dev/null; then
	command -v flock >/dev/null || { echo "failed: flock (util-linux) is not installed"; exit 1; }
	echo "waiting: $(head -c 200 "$1" | tr -c '[:print:]' ' ')"
	flock 9 || { echo "failed: flock failed"; exit 1; }
fi
printf %s "$2" >"$1"
echo held
read -r word && exit
[ -n "$3" ] || exit 0
exec >/dev/null 2>&1
for d in "$3".*; do [ ! -e "$d" ] || drop "$d"; done
`

// lock holds a lock on the host until release is called or ctx ends. waiting, if
// not nil, is told once who has it.
func (s *Store) lock(ctx context.Context, name string, waiting func(holder string)) (release func(), err error) {
	return s.lockOver(ctx, name, "", waiting)
}

// lockLayer is lock for the making of a layer, with its work folders.
func (s *Store) lockLayer(ctx context.Context, key string, waiting func(holder string)) (release func(), err error) {
	return s.lockOver(ctx, "layer "+key, s.workOf(key), waiting)
}

func (s *Store) lockOver(ctx context.Context, name, work string, waiting func(holder string)) (release func(), err error) {
	file := s.lockFile(name)
	ctx, cancel := context.WithCancel(ctx)
	in, feed := io.Pipe()
	said := make(chan string, 4)
	out := &lineWriter{lines: said}
	done := make(chan error, 1)
	go func() {
		_, err := s.conn.Exec(ctx, engine.Cmd{
			Argv:  []string{"/bin/sh", "-c", holdLock, "farm", file, me(), work},
			Dir:   "/",
			Stdin: in, Stdout: out,
		})
		in.Close()
		done <- err
	}()
	var once sync.Once
	release = func() {
		once.Do(func() {
			io.WriteString(feed, "over\n") // fails where the command has ended
			feed.Close()
			<-done
			cancel()
		})
	}
	for {
		select {
		case line := <-said:
			word, rest, _ := strings.Cut(line, ": ")
			switch word {
			case "held":
				return release, nil
			case "waiting":
				if waiting != nil {
					waiting(strings.TrimSpace(rest))
				}
			default:
				release()
				return nil, fmt.Errorf("lock %q on %s: %s", name, s.conn, strings.TrimPrefix(line, "failed: "))
			}
		case err := <-done:
			done <- nil
			release()
			if err == nil {
				err = errors.New("the command that holds it ended")
			}
			return nil, fmt.Errorf("lock %q on %s: %w", name, s.conn, err)
		case <-ctx.Done():
			err := ctx.Err()
			cancel()
			release()
			return nil, fmt.Errorf("lock %q on %s: %w", name, s.conn, err)
		}
	}
}

func (s *Store) lockFile(name string) string {
	sum := sha256.Sum256([]byte(name))
	return path.Join(s.dir, "locks", hex.EncodeToString(sum[:16]))
}

// enter waits for a place in room; leave gives it back.
func enter(ctx context.Context, room chan struct{}) (leave func(), err error) {
	select {
	case room <- struct{}{}:
		return func() { <-room }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// lineWriter passes on the first few lines that are written to it.
type lineWriter struct {
	buf   []byte
	sent  int
	lines chan<- string
}

func (w *lineWriter) Write(b []byte) (int, error) {
	w.buf = append(w.buf, b...)
	for {
		i := bytes.IndexByte(w.buf, '\n')
		if i < 0 || w.sent == cap(w.lines) {
			w.buf = w.buf[:min(len(w.buf), 4096)]
			return len(b), nil
		}
		w.lines <- string(w.buf[:i])
		w.buf, w.sent = w.buf[i+1:], w.sent+1
	}
}

// flight is one piece of work that several callers of one process want.
type flight struct {
	done  chan struct{}
	layer engine.Layer
	err   error
}

// once runs work for one caller at a time and key; the others wait and share its outcome. If the one
// who works is cancelled, the next takes over.
func (s *Store) once(ctx context.Context, key string, work func() (engine.Layer, error)) (engine.Layer, error) {
	for {
		s.mu.Lock()
		f := s.flight[key]
		if f == nil {
			f = &flight{done: make(chan struct{})}
			s.flight[key] = f
			s.mu.Unlock()
			f.layer, f.err = work()
			s.mu.Lock()
			delete(s.flight, key)
			s.mu.Unlock()
			close(f.done)
			return f.layer, f.err
		}
		s.mu.Unlock()
		select {
		case <-f.done:
			if !errors.Is(f.err, context.Canceled) && !errors.Is(f.err, context.DeadlineExceeded) {
				return f.layer, f.err
			}
		case <-ctx.Done():
			return engine.Layer{}, ctx.Err()
		}
	}
}

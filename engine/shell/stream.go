package shell

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

// lastWords is how long the end of a program's output waits for that of its standard error.
const lastWords = time.Second

// Stream makes a process a connection: what is written is its input, what is read its
// output. It takes over proc; closed is called once when it ends. Deadlines close the
// process when they pass, so a connection is of no use after one.
func Stream(proc *Process, name string, closed func()) net.Conn {
	s := &stream{proc: proc, name: name, closed: closed, silent: make(chan struct{})}
	go func() {
		defer close(s.silent)
		io.Copy(&s.text, proc.Stderr)
	}()
	return s
}

type stream struct {
	proc   *Process
	name   string
	closed func()
	once   sync.Once
	text   said
	silent chan struct{} // closed at the end of standard error

	mu      sync.Mutex // guards what follows
	timers  [2]*time.Timer
	expired bool
}

func (s *stream) Read(p []byte) (int, error) {
	n, err := s.proc.Stdout.Read(p)
	if err == nil {
		return n, nil
	}
	s.mu.Lock()
	expired := s.expired
	s.mu.Unlock()
	if expired {
		return n, os.ErrDeadlineExceeded
	}
	select { // what it says at last may come after the end of its output
	case <-s.silent:
	case <-time.After(lastWords):
	}
	if text := strings.TrimSpace(s.text.String()); text != "" {
		return n, fmt.Errorf("%s: %w: %s", s.name, err, text)
	}
	return n, err
}

func (s *stream) Write(p []byte) (int, error) { return s.proc.Stdin.Write(p) }

func (s *stream) Close() error {
	s.once.Do(func() {
		s.SetDeadline(time.Time{})
		s.proc.Stdin.Close()
		s.proc.Close()
		if s.closed != nil {
			s.closed()
		}
	})
	return nil
}

func (s *stream) LocalAddr() net.Addr  { return addr("local") }
func (s *stream) RemoteAddr() net.Addr { return addr(s.name) }

type addr string

func (a addr) Network() string { return "program" }
func (a addr) String() string  { return string(a) }

func (s *stream) SetDeadline(t time.Time) error {
	s.SetReadDeadline(t)
	return s.SetWriteDeadline(t)
}

func (s *stream) SetReadDeadline(t time.Time) error  { return s.expire(0, t) }
func (s *stream) SetWriteDeadline(t time.Time) error { return s.expire(1, t) }

func (s *stream) expire(which int, t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timers[which] != nil {
		s.timers[which].Stop()
		s.timers[which] = nil
	}
	if t.IsZero() {
		return nil
	}
	s.timers[which] = time.AfterFunc(time.Until(t), func() {
		s.mu.Lock()
		s.expired = true
		s.mu.Unlock()
		s.proc.Close()
	})
	return nil
}

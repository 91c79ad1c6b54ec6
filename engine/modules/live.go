package modules

import (
	"bytes"
	"sync"

	"farm/engine"
)

const (
	maxLive     = 8 << 20 // bytes of one task's output that are shown as they come
	maxLiveLine = 8 << 10 // a longer line, such as a progress bar, is shown in pieces
)

// live shows a command's output as it comes, cut at the ends of lines.
type live struct {
	emit engine.Emit
	mu   sync.Mutex // guards left and the rests of both streams
	left int
	out  liveStream
	err  liveStream
}

type liveStream struct {
	l    *live
	rest []byte
}

// newLive returns the writers of one task; nil where nobody listens.
func newLive(t *engine.Task) *live {
	if t.Emit == nil {
		return nil
	}
	l := &live{emit: t.Emit, left: maxLive}
	l.out.l, l.err.l = l, l
	return l
}

// attach lets cmd's output be shown.
func (l *live) attach(cmd *engine.Cmd) {
	if l != nil {
		cmd.Stdout, cmd.Stderr = &l.out, &l.err
	}
}

func (s *liveStream) Write(p []byte) (int, error) {
	s.l.mu.Lock()
	defer s.l.mu.Unlock()
	if s.l.left <= 0 {
		return len(p), nil
	}
	s.rest = append(s.rest, p...)
	if i := bytes.LastIndexByte(s.rest, '\n'); i >= 0 {
		s.l.show(s.rest[:i])
		s.rest = append([]byte(nil), s.rest[i+1:]...)
	}
	for len(s.rest) > maxLiveLine {
		s.l.show(s.rest[:maxLiveLine])
		s.rest = append([]byte(nil), s.rest[maxLiveLine:]...)
	}
	return len(p), nil
}

// end shows what came after the last newline.
func (l *live) end() {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range []*liveStream{&l.out, &l.err} {
		if len(s.rest) > 0 {
			l.show(s.rest)
			s.rest = nil
		}
	}
}

func (l *live) show(b []byte) {
	if l.left <= 0 {
		return
	}
	more := len(b) > l.left
	if more {
		b = b[:l.left]
	}
	l.left -= len(b) + 1
	l.emit(engine.Event{Kind: engine.TaskOutput, Text: engine.Printable(string(b))})
	if l.left <= 0 || more {
		l.left = 0
		l.emit(engine.Event{Kind: engine.TaskOutput, Text: "(further output is not shown)"})
	}
}

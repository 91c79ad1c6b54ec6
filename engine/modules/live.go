package modules

import (
	"bytes"
	"strings"
	"sync"
	"unicode/utf8"

	"farm/engine"
)

const (
	maxLive     = 8 << 20 // bytes of one task's output that are shown as they come
	maxLiveLine = 8 << 10 // a longer line, such as a progress bar, is shown in pieces
	maxEscape   = 256     // a control sequence is not longer
)

// live shows a command's output as it comes, secrets masked, cut at the ends of lines.
type live struct {
	emit engine.Emit
	mu   sync.Mutex // guards left and both streams
	left int
	out  liveStream
	err  liveStream
}

// liveStream is one stream on its way: raw bytes, then printable text, masked, then lines.
type liveStream struct {
	l    *live
	raw  []byte // not masked yet
	mask func(piece string, last bool) string
	text string // masked, not shown yet
}

// newLive returns the writers of one task; nil where nobody listens.
func newLive(t *engine.Task) *live {
	if t.Emit == nil {
		return nil
	}
	l := &live{emit: t.Emit, left: maxLive}
	for _, s := range []*liveStream{&l.out, &l.err} {
		s.l, s.mask = l, func(piece string, _ bool) string { return piece }
		if t.Mask != nil {
			s.mask = t.Mask.Stream()
		}
	}
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
	s.raw = append(s.raw, p...)
	whole := bytes.LastIndexByte(s.raw, '\n') + 1
	if len(s.raw)-whole > maxLiveLine {
		whole = wholeText(s.raw)
	}
	if whole > 0 {
		s.text += s.mask(engine.Printable(string(s.raw[:whole])), false)
		s.raw = append([]byte(nil), s.raw[whole:]...)
	}
	s.lines()
	return len(p), nil
}

// wholeText is how many bytes of b end neither in a character nor in a control sequence.
func wholeText(b []byte) int {
	n := len(b)
	if i := bytes.LastIndexByte(b, '\x1b'); i >= 0 && n-i < maxEscape {
		n = i
	}
	for back := 1; back < utf8.UTFMax && back <= n; back++ {
		if c := b[n-back]; utf8.RuneStart(c) {
			if c >= utf8.RuneSelf && !utf8.FullRune(b[n-back:n]) {
				n -= back
			}
			break
		}
	}
	return n
}

// lines shows what is complete of the text, and too long lines in pieces.
func (s *liveStream) lines() {
	if i := strings.LastIndexByte(s.text, '\n'); i >= 0 {
		s.l.show(s.text[:i])
		s.text = s.text[i+1:]
	}
	for len(s.text) > maxLiveLine {
		n := wholeText([]byte(s.text[:maxLiveLine]))
		s.l.show(s.text[:n])
		s.text = s.text[n:]
	}
}

// end shows what came after the last newline.
func (l *live) end() {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range []*liveStream{&l.out, &l.err} {
		s.text += s.mask(engine.Printable(string(s.raw)), true)
		s.raw = nil
		s.lines()
		if s.text != "" {
			l.show(s.text)
			s.text = ""
		}
	}
}

func (l *live) show(text string) {
	if l.left <= 0 {
		return
	}
	more := len(text) > l.left
	if more {
		text = text[:l.left]
	}
	l.left -= len(text) + 1
	l.emit(engine.Event{Kind: engine.TaskOutput, Text: strings.ToValidUTF8(text, "")})
	if l.left <= 0 || more {
		l.left = 0
		l.emit(engine.Event{Kind: engine.TaskOutput, Text: "(further output is not shown)"})
	}
}

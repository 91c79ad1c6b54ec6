package shell

import (
	"io"
	"sync"
)

const defaultKeep = 8 << 20

// capture keeps the first and the last half of a stream and copies all of it to a
// writer. After close it drops what still comes, so that a reader given up on cannot
// write into an Output that was returned.
type capture struct {
	mu      *sync.Mutex // shared by the two streams of a command, which may share a writer
	half    int
	head    []byte
	tail    []byte
	next    int // where the oldest byte of a full tail lies
	dropped int64
	copyTo  io.Writer
	failed  func(error) // told once that copyTo failed
	closed  bool
}

func newCapture(mu *sync.Mutex, keep int64, copyTo io.Writer, failed func(error)) *capture {
	if keep <= 0 {
		keep = defaultKeep
	}
	return &capture{mu: mu, half: int((keep + 1) / 2), copyTo: copyTo, failed: failed}
}

func (c *capture) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return len(p), nil
	}
	if c.copyTo != nil {
		if _, err := c.copyTo.Write(p); err != nil {
			c.copyTo = nil
			c.failed(err)
		}
	}
	n := len(p)
	if room := c.half - len(c.head); room > 0 {
		k := min(room, len(p))
		c.head = append(c.head, p[:k]...)
		p = p[k:]
	}
	c.keepLast(p)
	return n, nil
}

func (c *capture) keepLast(p []byte) {
	if over := len(p) - c.half; over > 0 {
		c.dropped += int64(over)
		p = p[over:]
	}
	if room := c.half - len(c.tail); room > 0 {
		k := min(room, len(p))
		c.tail = append(c.tail, p[:k]...)
		p = p[k:]
	}
	c.dropped += int64(len(p))
	for len(p) > 0 {
		k := copy(c.tail[c.next:], p)
		c.next = (c.next + k) % c.half
		p = p[k:]
	}
}

// close ends the capture and returns what was kept.
func (c *capture) close() ([]byte, int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if len(c.tail) == 0 {
		return c.head, c.dropped
	}
	b := append(c.head, c.tail[c.next:]...)
	return append(b, c.tail[:c.next]...), c.dropped
}

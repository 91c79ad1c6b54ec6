package callbacks

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"
)

// clock is how far a fetch is in its time and in its file.
type clock struct {
	end  time.Time    // when `timeout` is over
	got  atomic.Int64 // bytes that are on the host; a reader of the download adds to it
	size int64        // -1 = not said
}

// errTimeout is the cause of contexts that `timeout` ended.
var errTimeout = errors.New("the timeout of fetch is over")

// start begins the time of `timeout`.
func (f *fetch) start() {
	f.clock.end, f.clock.size = time.Now().Add(f.Timeout), -1
	f.clock.got.Store(0)
}

// bounded is ctx until `timeout` is over. It is for what the network has to do with: with what the cache holds
// the callback goes on.
func (f *fetch) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithDeadlineCause(ctx, f.clock.end, errTimeout)
}

// late is err, in words of ours where it comes from the end of `timeout`: what was not done with addr, and how much had come;
// "" where that is not known. ctx is of bounded.
func (f *fetch) late(ctx context.Context, addr, what, come string, err error) error {
	var wrong permanent
	if err == nil || context.Cause(ctx) != errTimeout || errors.As(err, &wrong) {
		return err
	}
	text := fmt.Sprintf("%s: not %s within %s, the argument `timeout`", redact(addr), what, f.Timeout)
	if come != "" {
		text += "; " + come
	}
	for _, ended := range []error{context.DeadlineExceeded, errTimeout, net.ErrClosed} {
		if errors.Is(err, ended) {
			return errors.New(text)
		}
	}
	return fmt.Errorf("%s; the last try: %w", text, err)
}

// come is how much of the file is there.
func (c *clock) come() string { return come(c.got.Load(), c.size) }

func come(got, all int64) string {
	switch {
	case got == 0:
		return "nothing had come"
	case got >= 1<<20:
		return mib(got, all) + " had come"
	case all < 0:
		return fmt.Sprintf("%d bytes had come", got)
	}
	return fmt.Sprintf("%d of %d bytes had come", got, all)
}

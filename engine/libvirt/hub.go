package libvirt

import "sync"

// hub tells waiters that a domain may have changed; they read its state themselves.
// The zero value is ready.
type hub struct {
	mu    sync.Mutex
	waits map[string]chan struct{} // by domain name; closed and forgotten on a change
}

// changed returns a channel that is closed at the next change of the domain. Take it
// before reading the state, or a change in between is missed.
func (h *hub) changed(name string) <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waits == nil {
		h.waits = map[string]chan struct{}{}
	}
	c := h.waits[name]
	if c == nil {
		c = make(chan struct{})
		h.waits[name] = c
	}
	return c
}

func (h *hub) wake(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c := h.waits[name]; c != nil {
		close(c)
		delete(h.waits, name)
	}
}

func (h *hub) wakeAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, c := range h.waits {
		close(c)
		delete(h.waits, name)
	}
}

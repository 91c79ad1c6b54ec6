// Package libvirt runs machines on a hypervisor through libvirt's RPC protocol.
//
// The protocol flows over `virt-ssh-helper URI`, started on the host by its Conn, which
// also starts a user's session daemon when none is up; where the helper is missing the
// daemon's unix socket is dialled. An ordinary user with qemu:///session is what is
// meant. For root libvirt knows no session: the system daemon answers. Where nothing
// manages daemons (a container without systemd) Open starts it, with a timeout so that it
// ends by itself, and guests of root's "session" run as root, as an ordinary user's run
// as that user.
package libvirt

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sort"
	"sync"

	"farm/engine"

	rpc "github.com/digitalocean/go-libvirt"
	"github.com/hashicorp/go-hclog"
)

// Config says how a host is reached. Name and Conn are required.
type Config struct {
	Name string      // in the inventory
	Conn engine.Conn // of the host; stays the caller's, Close leaves it open
	URI  string      // as the host itself says it; "" = qemu:///session
	// Accel overrides the boot probe for hardware acceleration: "tcg" never uses it,
	// "kvm" uses it wherever libvirt offers it, "" probes.
	Accel string
	Log   hclog.Logger // nil = none
}

// Host is one hypervisor. It implements engine.Host.
type Host struct {
	cfg   Config
	link  *link
	basic basics
	// rootSession: root asked for a session, so the system daemon answers.
	rootSession bool

	caps  kept[engine.Capabilities]
	ports sync.Mutex // held while a port is allotted
	asked asked
	made  makers
}

var _ engine.Host = (*Host)(nil)

// Open connects to the daemon of a host; ctx bounds the opening alone.
func Open(ctx context.Context, cfg Config) (*Host, error) {
	if cfg.URI == "" {
		cfg.URI = "qemu:///session"
	}
	if cfg.Log == nil {
		cfg.Log = hclog.NewNullLogger()
	}
	u, err := localURI(cfg.URI)
	if err != nil {
		return nil, err
	}
	switch cfg.Accel {
	case "", "tcg", "kvm":
	default:
		return nil, engine.Blamef(engine.UserFault, "acceleration %q: tcg, kvm or nothing", cfg.Accel)
	}
	h := &Host{cfg: cfg}
	if h.basic, err = readBasics(ctx, cfg.Conn); err != nil {
		return nil, fmt.Errorf("open hypervisor %q: %w", cfg.Name, err)
	}
	h.rootSession = h.basic.uid == 0 && u.Scheme == "qemu" && u.Path == "/session"
	h.link = newLink(cfg.Name, cfg.URI, h.dial, cfg.Log)
	if err := h.hello(ctx); err != nil {
		h.link.close()
		return nil, fmt.Errorf("open hypervisor %q: %w", cfg.Name, err)
	}
	return h, nil
}

// hello makes the first contact and starts root's daemon if that is what is missing.
func (h *Host) hello(ctx context.Context) error {
	ping := func() error {
		return h.link.call(ctx, op{what: "ask for the version", budget: queryBudget}, func(r *rpc.Libvirt) error {
			_, err := r.ConnectGetLibVersion()
			return err
		})
	}
	err := ping()
	if err == nil || !h.rootSession || ctx.Err() != nil || !errors.Is(err, engine.ErrUnreachable) {
		return err
	}
	if started := h.startDaemon(ctx); started != nil {
		return errors.Join(err, started)
	}
	return ping()
}

// Name is the host's name in the inventory.
func (h *Host) Name() string { return h.cfg.Name }

// Conn is the host's connection.
func (h *Host) Conn() engine.Conn { return h.cfg.Conn }

// Close ends the connection to libvirt; machines run on.
func (h *Host) Close() error {
	h.link.close()
	return nil
}

// Machine finds one of farm's machines; ErrNotExist if there is none, also where the
// domain is somebody else's.
func (h *Host) Machine(ctx context.Context, name string) (engine.Machine, error) {
	dom, err := h.lookup(ctx, name)
	if err != nil {
		return nil, err
	}
	m, ours, err := h.adopt(ctx, dom)
	if err != nil {
		return nil, err
	}
	if !ours {
		return nil, fmt.Errorf("domain %q on %q was not made by farm: %w", name, h.cfg.Name, engine.ErrNotExist)
	}
	return m, nil
}

// Machines lists the machines that farm made, oldest first.
func (h *Host) Machines(ctx context.Context) ([]engine.Machine, error) {
	doms, err := h.domains(ctx)
	if err != nil {
		return nil, err
	}
	var ms []*Machine
	for _, dom := range doms {
		m, ours, err := h.adopt(ctx, dom)
		if errors.Is(err, engine.ErrNotExist) {
			continue // gone since the list was made
		}
		if err != nil {
			return nil, err
		}
		if ours {
			ms = append(ms, m)
		}
	}
	sort.SliceStable(ms, func(i, j int) bool {
		a, b := ms[i].mark().Made, ms[j].mark().Made
		if a.Equal(b) {
			return ms[i].Name() < ms[j].Name()
		}
		return a.Before(b)
	})
	out := make([]engine.Machine, len(ms))
	for i, m := range ms {
		out[i] = m
	}
	return out, nil
}

func (h *Host) lookup(ctx context.Context, name string) (rpc.Domain, error) {
	o := op{what: fmt.Sprintf("find machine %q", name), budget: queryBudget, again: true}
	return ask(ctx, h.link, o, func(r *rpc.Libvirt) (rpc.Domain, error) { return r.DomainLookupByName(name) })
}

func (h *Host) domains(ctx context.Context) ([]rpc.Domain, error) {
	o := op{what: "list machines", budget: queryBudget, again: true}
	return ask(ctx, h.link, o, func(r *rpc.Libvirt) ([]rpc.Domain, error) {
		doms, _, err := r.ConnectListAllDomains(1, 0)
		return doms, err
	})
}

// adopt reads a domain's mark; ours is false where it has none.
func (h *Host) adopt(ctx context.Context, dom rpc.Domain) (m *Machine, ours bool, err error) {
	o := op{what: fmt.Sprintf("read the owner of %q", dom.Name), budget: queryBudget, again: true}
	text, err := ask(ctx, h.link, o, func(r *rpc.Libvirt) (string, error) {
		return r.DomainGetMetadata(dom, int32(rpc.DomainMetadataElement), rpc.OptString{namespace}, rpc.DomainAffectConfig)
	})
	if refused(err, rpc.ErrNoDomainMetadata) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	k, err := parseMark(text)
	if err != nil {
		return nil, false, fmt.Errorf("read the owner of %q on %q: %w", dom.Name, h.cfg.Name, err)
	}
	return newMachine(h, dom, k), true, nil
}

// kept holds the first success of a question; failures are asked again.
type kept[T any] struct {
	mu   sync.Mutex
	done bool
	v    T
}

func (o *kept[T]) get(f func() (T, error)) (T, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.done {
		return o.v, nil
	}
	v, err := f()
	if err == nil {
		o.v, o.done = v, true
	}
	return v, err
}

// dial opens the stream that the protocol flows over.
func (h *Host) dial(ctx context.Context) (net.Conn, error) {
	if s, ok := h.cfg.Conn.(engine.Streamer); ok && h.basic.helper != "" {
		return s.Stream(ctx, []string{h.basic.helper, h.cfg.URI})
	}
	var tried []error
	for _, path := range h.basic.sockets(h.cfg.URI) {
		conn, err := h.cfg.Conn.Dial(ctx, "unix", path)
		if err == nil {
			return conn, nil
		}
		tried = append(tried, err)
	}
	return nil, fmt.Errorf("%w: no virt-ssh-helper on the host and no libvirt socket answers; install libvirt-daemon: %w",
		engine.ErrUnreachable, errors.Join(tried...))
}

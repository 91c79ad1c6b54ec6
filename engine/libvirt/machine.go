package libvirt

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"farm/engine"

	rpc "github.com/digitalocean/go-libvirt"
)

// Waits look at the state this often even when no event came: events are lost with a connection.
const lookAgain = 3 * time.Second

// askAgain is how long a guest gets to react before it is asked to power off again.
const askAgain = 5 * time.Second

// Machine is one domain. It implements engine.Machine.
type Machine struct {
	host *Host

	mu sync.Mutex // guards d and k; changes of the domain are made with it unlocked
	d  rpc.Domain
	k  mark
}

var _ engine.Machine = (*Machine)(nil)

func newMachine(h *Host, dom rpc.Domain, k mark) *Machine { return &Machine{host: h, d: dom, k: k} }

func (m *Machine) dom() rpc.Domain {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.d
}

func (m *Machine) mark() mark {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.k
}

// Name is the machine's libvirt name.
func (m *Machine) Name() string { return m.dom().Name }

// Owner says whose the machine is.
func (m *Machine) Owner() engine.Owner { return m.mark().Owner }

// ConsoleLog is the file on the host that takes the serial console.
func (m *Machine) ConsoleLog() string { return m.mark().Console }

func (m *Machine) op(verb string, budget time.Duration, again bool) op {
	return op{what: fmt.Sprintf("%s %q", verb, m.Name()), budget: budget, again: again}
}

// await waits until the state satisfies is, and returns it.
func (m *Machine) await(ctx context.Context, is func(engine.PowerState) bool) (engine.PowerState, error) {
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for {
		changed := m.host.link.hub.changed(m.Name())
		s, err := m.State(ctx)
		if err != nil || is(s) {
			return s, err
		}
		select {
		case <-changed:
		case <-tick.C:
		case <-ctx.Done():
			return s, ctx.Err()
		}
	}
}

func down(s engine.PowerState) bool { return s == engine.Off || s == engine.Crashed }

// Start boots the machine; no error if it runs. When the emulator ends at once the
// error quotes its log.
func (m *Machine) Start(ctx context.Context) error {
	if s, err := m.State(ctx); err != nil || s == engine.Running {
		return err
	}
	if err := m.host.keepLogDaemon(ctx); err != nil {
		return fmt.Errorf("start %q on %q: %w", m.Name(), m.host.Name(), err)
	}
	err := m.create(ctx)
	if err != nil && strings.Contains(err.Error(), "host forwarding rule") && m.mark().Port != 0 {
		// somebody outside farm's books took the port since it was allotted
		if err = m.movePort(ctx); err == nil {
			err = m.create(ctx)
		}
	}
	if err != nil {
		return m.withLog(ctx, err)
	}
	s, why, err := m.state(ctx)
	if err != nil {
		return err
	}
	if down(s) {
		return m.withLog(ctx, fmt.Errorf("start %q on %q: it ended at once: %s", m.Name(), m.host.Name(), why))
	}
	return nil
}

func (m *Machine) create(ctx context.Context) error {
	dom := m.dom()
	return m.host.link.call(ctx, m.op("start", startBudget, false), func(r *rpc.Libvirt) error {
		_, err := r.DomainCreateWithFlags(dom, 0)
		return err
	})
}

// withLog adds the end of the emulator's log to err, if there is more to say.
func (m *Machine) withLog(ctx context.Context, err error) error {
	if errors.Is(err, engine.ErrUnreachable) || ctx.Err() != nil {
		return err
	}
	dir := m.host.basic.cache + "/libvirt/qemu/log"
	if m.host.basic.uid == 0 {
		dir = "/var/log/libvirt/qemu"
	}
	cmd := engine.Cmd{Argv: []string{"tail", "-n", "8", "--", dir + "/" + m.Name() + ".log"}, Keep: 8 << 10}
	out, readErr := m.host.cfg.Conn.Exec(ctx, cmd)
	if readErr != nil {
		return err
	}
	said := ownWords(string(out.Stdout))
	if said == "" || strings.Contains(err.Error(), said) {
		return err
	}
	return fmt.Errorf("%w; the emulator's log ends: %s", err, said)
}

// ownWords are the lines of a domain's log that the emulator wrote: libvirt's own begin
// with a date, and the command line's with a dash or a variable.
func ownWords(log string) string {
	var own []string
	for line := range strings.Lines(log) {
		line = strings.TrimSpace(line)
		stamped := len(line) > 10 && line[4] == '-' && line[7] == '-'
		if line == "" || stamped && !strings.Contains(line, "qemu") || strings.HasPrefix(line, "-") || strings.HasSuffix(line, `\`) {
			continue
		}
		own = append(own, line)
	}
	return clean(strings.Join(own, "; "))
}

// Shutdown asks the guest to power off, by its agent and by ACPI, again every few
// seconds, and waits until it is off or ctx ends.
func (m *Machine) Shutdown(ctx context.Context) error {
	asked := 0
	last := ""
	for {
		s, err := m.State(ctx)
		if err != nil || down(s) {
			return err
		}
		if s == engine.Paused {
			why, _ := m.Why(ctx)
			return fmt.Errorf("shut down %q on %q: it is %s and cannot react", m.Name(), m.host.Name(), why)
		}
		if err := m.askShutdown(ctx); err != nil {
			if errors.Is(err, engine.ErrUnreachable) {
				return err
			}
			last = "; last answer: " + err.Error()
		}
		asked++
		turn, cancel := context.WithTimeout(ctx, askAgain)
		_, err = m.await(turn, down)
		cancel()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("shut down %q on %q: asked %d times, still %s%s: %w", m.Name(), m.host.Name(), asked, s, last, ctx.Err())
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
	}
}

// askShutdown asks by the agent, and by the power button where no agent answers.
func (m *Machine) askShutdown(ctx context.Context) error {
	dom := m.dom()
	by := func(how rpc.DomainShutdownFlagValues) error {
		return m.host.link.call(ctx, m.op("shut down", destroyBudget, false), func(r *rpc.Libvirt) error {
			return r.DomainShutdownFlags(dom, how)
		})
	}
	err := by(rpc.DomainShutdownGuestAgent)
	if err == nil || errors.Is(err, engine.ErrUnreachable) || ctx.Err() != nil {
		return err
	}
	return by(rpc.DomainShutdownAcpiPowerBtn)
}

// PowerOff ends the machine at once; no error if it is off.
func (m *Machine) PowerOff(ctx context.Context) error {
	dom := m.dom()
	err := m.host.link.call(ctx, m.op("power off", destroyBudget, false), func(r *rpc.Libvirt) error {
		return r.DomainDestroyFlags(dom, 0)
	})
	if err == nil || errors.Is(err, engine.ErrNotExist) {
		return nil
	}
	// it may have been off, or the answer was lost: what counts is the state
	if s, stateErr := m.State(ctx); stateErr == nil && down(s) {
		return nil
	}
	return err
}

// SetOwner replaces the owner's mark.
func (m *Machine) SetOwner(ctx context.Context, o engine.Owner) error {
	k := m.mark()
	k.Owner = o
	dom := m.dom()
	// a running domain keeps two definitions; both get the mark
	impact := rpc.DomainAffectConfig
	if s, err := m.State(ctx); err != nil {
		return err
	} else if !down(s) {
		impact |= rpc.DomainAffectLive
	}
	err := m.host.link.call(ctx, m.op("mark the owner of", queryBudget, false), func(r *rpc.Libvirt) error {
		return r.DomainSetMetadata(dom, int32(rpc.DomainMetadataElement), rpc.OptString{k.bare()},
			rpc.OptString{prefix}, rpc.OptString{namespace}, impact)
	})
	if err != nil {
		return err
	}
	m.mu.Lock()
	m.k = k
	m.mu.Unlock()
	return nil
}

// Remove powers off and undefines, with farm's own copy of the NVRAM, snapshots'
// metadata and saved memory, and gives the port back. No error if the machine is gone.
func (m *Machine) Remove(ctx context.Context) error {
	if err := m.PowerOff(ctx); err != nil && !errors.Is(err, engine.ErrNotExist) {
		return err
	}
	k := m.mark()
	// a file outside the machine's folder, such as the distribution's own variable
	// store, stays
	flags := rpc.DomainUndefineKeepNvram
	if k.NVRAM != "" {
		flags = rpc.DomainUndefineNvram
	}
	flags |= rpc.DomainUndefineManagedSave | rpc.DomainUndefineSnapshotsMetadata
	dom := m.dom()
	undefine := func(flags rpc.DomainUndefineFlagsValues) error {
		return m.host.link.call(ctx, m.op("remove", destroyBudget, false), func(r *rpc.Libvirt) error {
			return r.DomainUndefineFlags(dom, flags)
		})
	}
	err := undefine(flags | rpc.DomainUndefineCheckpointsMetadata)
	if refused(err, rpc.ErrInvalidArg, rpc.ErrNoSupport) { // a daemon that does not know all of them
		err = undefine(flags)
	}
	if err != nil && !errors.Is(err, engine.ErrNotExist) {
		return err
	}
	return m.host.releasePort(ctx, k.Port)
}

package libvirt

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
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

// State is whether the machine runs, by libvirt; a guest that hangs runs.
func (m *Machine) State(ctx context.Context) (engine.PowerState, error) {
	s, _, err := m.state(ctx)
	return s, err
}

// Why tells people the state with its reason, such as "paused: I/O error, see the space
// on the host's disk".
func (m *Machine) Why(ctx context.Context) (string, error) {
	s, why, err := m.state(ctx)
	if err != nil || why == "" {
		return string(s), err
	}
	return string(s) + ": " + why, nil
}

func (m *Machine) state(ctx context.Context) (engine.PowerState, string, error) {
	type answer struct{ state, reason int32 }
	dom := m.dom()
	a, err := ask(ctx, m.host.link, m.op("read the state of", queryBudget, true), func(r *rpc.Libvirt) (answer, error) {
		state, reason, err := r.DomainGetState(dom, 0)
		return answer{state, reason}, err
	})
	if err != nil {
		return "", "", err
	}
	s, why := powerState(a.state, a.reason)
	return s, why, nil
}

// powerState translates virDomainState and its reason (libvirt-domain.h).
func powerState(state, reason int32) (engine.PowerState, string) {
	switch rpc.DomainState(state) {
	case rpc.DomainShutoff:
		switch rpc.DomainShutoffReason(reason) {
		case rpc.DomainShutoffCrashed:
			return engine.Crashed, "the emulator ended unexpectedly"
		case rpc.DomainShutoffFailed:
			return engine.Off, "it could not be started"
		}
		return engine.Off, ""
	case rpc.DomainCrashed:
		return engine.Crashed, "the guest panicked"
	case rpc.DomainPmsuspended:
		return engine.Paused, "the guest went to sleep"
	case rpc.DomainPaused:
		switch rpc.DomainPausedReason(reason) {
		case rpc.DomainPausedIoerror:
			return engine.Paused, "I/O error on a disk; see the free space on the host"
		case rpc.DomainPausedSave, rpc.DomainPausedSnapshot:
			return engine.Paused, "its memory is being saved, or that was cut off"
		case rpc.DomainPausedWatchdog:
			return engine.Paused, "the guest's watchdog fired"
		case rpc.DomainPausedCrashed:
			return engine.Paused, "the guest panicked"
		}
		return engine.Paused, ""
	}
	return engine.Running, ""
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

// SSH is where the guest's sshd is reached from the host, host:port. Where the
// address is not known beforehand it waits for a lease, the host's ARP table or the
// guest's agent to name one.
func (m *Machine) SSH(ctx context.Context) (string, error) {
	k := m.mark()
	switch {
	case k.Port != 0:
		return net.JoinHostPort("127.0.0.1", strconv.Itoa(k.Port)), nil
	case k.Address != "":
		return k.Address, nil
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		addr, err := m.lease(ctx, k.MAC)
		if addr != "" {
			return net.JoinHostPort(addr, "22"), nil
		}
		if errors.Is(err, engine.ErrUnreachable) || errors.Is(err, engine.ErrNotExist) {
			return "", err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return "", fmt.Errorf("find the address of %q on %q: no lease, ARP entry or agent names one: %w", m.Name(), m.host.Name(), ctx.Err())
		}
	}
}

// lease asks each source of addresses once; "" where none knows one.
func (m *Machine) lease(ctx context.Context, mac string) (string, error) {
	sources := []rpc.DomainInterfaceAddressesSource{
		rpc.DomainInterfaceAddressesSrcLease, rpc.DomainInterfaceAddressesSrcAgent, rpc.DomainInterfaceAddressesSrcArp,
	}
	dom := m.dom()
	var last error
	for _, src := range sources {
		cards, err := ask(ctx, m.host.link, m.op("read the address of", destroyBudget, true), func(r *rpc.Libvirt) ([]rpc.DomainInterface, error) {
			return r.DomainInterfaceAddresses(dom, uint32(src), 0)
		})
		if err != nil {
			last = err
			continue
		}
		if a := pickAddress(cards, mac); a != "" {
			return a, nil
		}
	}
	return "", last
}

// pickAddress is the first global address of the card with the MAC, or of any but the
// loopback if mac is empty; IPv4 before IPv6.
func pickAddress(cards []rpc.DomainInterface, mac string) string {
	v6 := ""
	for _, c := range cards {
		if mac != "" && (len(c.Hwaddr) == 0 || !strings.EqualFold(c.Hwaddr[0], mac)) {
			continue
		}
		for _, a := range c.Addrs {
			ip := net.ParseIP(a.Addr)
			if ip == nil || ip.IsLoopback() || ip.IsLinkLocalUnicast() {
				continue
			}
			if ip.To4() != nil {
				return ip.String()
			}
			if v6 == "" {
				v6 = ip.String()
			}
		}
	}
	return v6
}

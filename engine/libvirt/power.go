package libvirt

import (
	"context"

	"farm/engine"

	rpc "github.com/digitalocean/go-libvirt"
)

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

package main

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"farm/engine"
	"farm/engine/dispatch"
	"farm/engine/images"
	"farm/engine/libvirt"
	"farm/engine/local"
	"farm/engine/ssh"
	"farm/inventory"
	"farm/inventory/value"
)

// openBudget bounds the opening of one hypervisor: the first contact of a user with
// libvirt was seen to take 14 s, and 48 s on a busy machine.
const openBudget = 2 * time.Minute

// openNotice is how often a user is told that hypervisors are still being opened.
const openNotice = 10 * time.Second

// hypervisor is a host of the inventory, opened or not.
type hypervisor struct {
	inventory.Hypervisor
	conn   engine.Conn
	host   engine.Host
	layers *images.Store
	caps   engine.Capabilities
	dir    string            // farm's folder on it
	err    error             // why it cannot be used
	unable map[string]string // VM id: why it cannot make its machine

	// awaits is what its opening waits for, a string; nil before and after.
	awaits atomic.Value
}

// openHosts opens hypervisors side by side. One that cannot be opened has err set; a
// bad host never delays another.
func (a *app) openHosts(ctx context.Context, list []inventory.Hypervisor) []*hypervisor {
	opened := make([]*hypervisor, len(list))
	var wg sync.WaitGroup
	for i, h := range list {
		opened[i] = &hypervisor{Hypervisor: h}
		if h.Locked != "" {
			opened[i].err = errors.New("locked: " + h.Locked)
			continue
		}
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, openBudget)
			defer cancel()
			defer opened[i].awaits.Store("")
			if err := a.open(ctx, opened[i]); err != nil {
				opened[i].close()
				opened[i].err = err
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for {
		select {
		case <-done:
			return opened
		case <-time.After(openNotice):
			if text := stillOpening(opened); text != "" {
				fmt.Fprintln(a.err, "still opening "+text)
			}
		}
	}
}

// stillOpening says which hypervisors are not open yet, and what each waits for.
func stillOpening(hosts []*hypervisor) string {
	var all []string
	for _, h := range hosts {
		if what, _ := h.awaits.Load().(string); what != "" {
			all = append(all, fmt.Sprintf("%q: %s", h.Name, what))
		}
	}
	return strings.Join(all, "; ")
}

func (a *app) open(ctx context.Context, h *hypervisor) (err error) {
	if h.Connection != "local" {
		h.awaits.Store("logging in to " + h.Address + " by SSH")
	}
	if h.conn, err = a.connect(ctx, h.Hypervisor); err != nil {
		return err
	}
	h.awaits.Store("libvirt at " + h.URI)
	host, err := libvirt.Open(ctx, libvirt.Config{Name: h.Name, Conn: h.conn, URI: h.URI, Accel: a.getenv("FARM_ACCEL"), Log: a.log.Named(h.Name)})
	if err != nil {
		return err // never a nil *libvirt.Host in an interface
	}
	h.host = host
	h.awaits.Store("what it can run: at the first contact libvirt asks every emulator, and KVM is tried out")
	if h.caps, err = h.host.Capabilities(ctx); err != nil {
		return err
	}
	h.dir = path.Join(h.caps.Home, ".local/share/farm")
	h.awaits.Store("its folder of images, " + h.dir)
	h.layers, err = images.Open(ctx, h.conn, h.dir)
	return err
}

// connect opens the connection to a hypervisor's own system.
func (a *app) connect(ctx context.Context, h inventory.Hypervisor) (engine.Conn, error) {
	if h.Connection == "local" {
		return local.New(), nil
	}
	cfg, err := ssh.FromHypervisor(h)
	if err != nil {
		return nil, err
	}
	home, err := a.home()
	if err != nil {
		return nil, err
	}
	cfg.Log, cfg.Spare, cfg.Warn = a.log.Named(h.Name), filepath.Join(home, "known_hosts.d", "hypervisors"), a.warnOnce
	conn, err := ssh.Dial(ctx, cfg)
	if err != nil {
		return nil, err // never a nil *ssh.Conn in an interface
	}
	return conn, nil
}

// close ends the connections.
func (h *hypervisor) close() {
	if h.host != nil {
		h.host.Close()
	}
	if h.conn != nil {
		h.conn.Close()
	}
	h.host, h.conn = nil, nil
}

func closeAll(hosts []*hypervisor) {
	for _, h := range hosts {
		h.close()
	}
}

// forDispatch is what the queue knows of a host.
func (h *hypervisor) forDispatch() dispatch.Host {
	d := dispatch.Host{
		Name: h.Name, Caps: h.caps, Labels: h.Labels, Locked: h.Locked,
		VCPUs: h.VCPUs, MemoryMiB: h.MemoryMiB, VMs: h.VMs, Unable: h.unable,
	}
	if h.err != nil && h.Locked == "" {
		d.Down = h.err.Error()
	}
	return d
}

// facts returns Ansible's facts of the named host, nil if it is not open.
func facts(hosts []*hypervisor) func(string) *value.Dict {
	return func(name string) *value.Dict {
		for _, h := range hosts {
			if h.Name == name && h.err == nil {
				d, _ := value.From(h.caps.Facts).(*value.Dict)
				return d
			}
		}
		return nil
	}
}

// allDown is the error of a run whose hosts all failed, nil if one can be used.
func allDown(hosts []*hypervisor) error {
	var errs []error
	for _, h := range hosts {
		if h.err == nil {
			return nil
		}
		errs = append(errs, fmt.Errorf("hypervisor %q: %w", h.Name, h.err))
	}
	return engine.Blame(engine.FarmFault, errors.Join(errs...))
}

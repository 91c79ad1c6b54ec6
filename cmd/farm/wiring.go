package main

import (
	"fmt"
	"io"
	"os"
	"os/user"
	"time"

	"farm/engine"
	"farm/engine/runner"
	"farm/engine/store"
	"farm/inventory/value"
)

// unclosed is a writer that somebody else closes.
type unclosed struct{ io.Writer }

func (unclosed) Close() error { return nil }

// journal is the store as the runner sees it.
type journal struct {
	app   *app
	store *store.Store
	hosts []*hypervisor
}

func (j journal) Intend(m runner.MachineRecord) error {
	reached, err := hypervisorRecord(j.hosts, m.Host)
	if err != nil {
		return err
	}
	return j.store.Intend(store.Machine{
		Name: m.Name, Run: m.Run, VM: m.VM, Host: m.Host, Dir: m.Dir, Hypervisor: reached,
		SSHUser: m.SSHUser, KeyFile: m.KeyFile, HostKeys: m.HostKeys,
	})
}

func (j journal) Settle(name, state string, keepUntil time.Time) error {
	if state == store.Gone {
		return j.app.gone(j.store, name)
	}
	return j.store.Settle(name, state, keepUntil)
}

func (j journal) Stands(run, vm, host string, states map[string]engine.CachedState) error {
	return j.store.Stands(run, vm, host, states)
}

// user is user@controller, the owner's name in a machine's mark.
func (a *app) user() string {
	name := fmt.Sprint(os.Getuid())
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, _ := os.Hostname() // "" is a name like any other here
	return name + "@" + host
}

// factsMap is facts as a Go map, empty for nil.
func factsMap(d *value.Dict) map[string]any {
	m := map[string]any{}
	for k, v := range d.All() {
		m[fmt.Sprint(k)] = v
	}
	return m
}

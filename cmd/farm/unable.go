package main

import (
	"context"
	"sync"

	"farm/inventory"
)

// machineJudge is a host that can tell whether it can make a VM's machine.
type machineJudge interface {
	Unable(ctx context.Context, vm inventory.VM) (string, error)
}

// judgeMachines asks every hypervisor about the machines of the VMs, before anything starts.
// One that does not answer is left to the run.
func (s *session) judgeMachines(ctx context.Context) {
	var wg sync.WaitGroup
	for _, h := range s.hosts {
		if judge, ok := h.host.(machineJudge); ok && h.err == nil {
			wg.Go(func() { h.unable = s.unableOn(ctx, h, judge) })
		}
	}
	wg.Wait()
}

// unableOn says by VM id why a hypervisor cannot make the machines that it cannot.
func (s *session) unableOn(ctx context.Context, h *hypervisor, judge machineJudge) map[string]string {
	all := map[string]string{}
	for _, vm := range s.vms {
		if vm.Host != "" && vm.Host != h.Name {
			continue
		}
		if _, ok := h.caps.Guests[vm.Arch]; !ok {
			continue // which is told
		}
		why, err := judge.Unable(ctx, vm)
		if err != nil {
			s.log.Warn("machines cannot be judged", "host", h.Name, "error", err)
			return all
		}
		if why == "" {
			continue
		}
		if file, err := findTemplate(s.inv, vm); err != nil || file != "" {
			continue // the machine is what the template makes
		}
		// The definition may follow the facts of the host.
		if vm, err = s.inv.Place(ctx, vm, h.Name, s.expand); err != nil {
			continue
		}
		if why, err = judge.Unable(ctx, vm); err == nil && why != "" {
			all[vm.ID] = why
		}
	}
	return all
}

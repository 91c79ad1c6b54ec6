// Package dispatch decides which VM runs where and when. It is a pure queue: no
// goroutine, no I/O, no clock.
package dispatch

import (
	"fmt"
	"sort"
	"strings"

	"farm/engine"
	"farm/inventory"
)

// Host is what the queue knows of a hypervisor.
type Host struct {
	Name   string
	Caps   engine.Capabilities
	Labels []string
	// VCPUs, MemoryMiB and VMs are what may be in use at once; 0 = as the host reports, for
	// VMs no limit.
	VCPUs, MemoryMiB, VMs int
	Locked                string // why nothing may run here; "" = it may
	Down                  string // why the host cannot be used; "" = it can
	// Unable says by VM id why the host cannot make that VM's machine, as it was asked about it.
	Unable map[string]string
}

// Placement is where one VM runs.
type Placement struct {
	VM   inventory.VM
	Host string
	KVM  bool
	Why  string // for people
}

// Refusal is a VM that fits nowhere, with a reason for each host, in the hosts' order.
type Refusal struct {
	VM      inventory.VM
	Reasons []Reason
}

// Reason is why one host cannot run a VM.
type Reason struct{ Host, Why string }

// Why holds the reasons.
func (r Refusal) Why() string {
	parts := make([]string, len(r.Reasons))
	for i, reason := range r.Reasons {
		parts[i] = reason.Host + ": " + reason.Why
	}
	return strings.Join(parts, "; ")
}

func (r Refusal) String() string {
	return fmt.Sprintf("no hypervisor can run %s (%s)", r.VM.ID, r.Why())
}

// Queue holds VMs that wait and those that run. It is not safe for concurrent use.
type Queue struct {
	hosts   []*hostState
	waiting []item
	running map[string]running // by VM id
	// slower is how much longer an emulated run takes than an accelerated one.
	slower int
}

type hostState struct {
	Host
	planned map[string]int // VMs preferred here, by arch
	inUse   struct{ vcpus, memoryMiB, vms int }
}

type item struct {
	vm        inventory.VM
	preferred string
}

type running struct {
	host             *hostState
	vcpus, memoryMiB int
}

// emulated is how many times longer than an accelerated run an emulated one is taken to be.
const emulated = 8

// New returns a queue over hosts, which are preferred in their order where all else is equal.
func New(hosts []Host) *Queue {
	q := &Queue{running: map[string]running{}, slower: emulated}
	for _, h := range hosts {
		q.hosts = append(q.hosts, &hostState{Host: h, planned: map[string]int{}})
	}
	return q
}

// Add queues VMs in their order and returns those that fit nowhere.
func (q *Queue) Add(vms ...inventory.VM) []Refusal {
	var refused []Refusal
	for _, vm := range vms {
		best, reasons := q.prefer(vm)
		if best == nil {
			refused = append(refused, Refusal{vm, reasons})
			continue
		}
		best.planned[vm.Arch]++
		q.waiting = append(q.waiting, item{vm, best.Name})
	}
	return refused
}

// prefer picks the host where vm would be done first if every planned VM took equally
// long: its planned VMs of that architecture, each counted by how slow it runs there.
func (q *Queue) prefer(vm inventory.VM) (*hostState, []Reason) {
	var best *hostState
	var reasons []Reason
	least := 0
	for _, h := range q.hosts {
		if why := unfit(h, vm); why != "" {
			reasons = append(reasons, Reason{h.Name, why})
			continue
		}
		cost := (h.planned[vm.Arch] + 1) * q.cost(h, vm)
		if best == nil || cost < least {
			best, least = h, cost
		}
	}
	return best, reasons
}

// cost is a VM's relative time on a host. What the definition says of virt_domain does not
// count: it may follow the facts of the host, and is known once the VM is placed.
func (q *Queue) cost(h *hostState, vm inventory.VM) int {
	if h.Caps.Guests[vm.Arch].KVM {
		return 1
	}
	return q.slower
}

// unfit says why a host can never run vm, or "".
func unfit(h *hostState, vm inventory.VM) string {
	switch {
	case vm.Host != "" && vm.Host != h.Name:
		return "the VM is pinned to " + vm.Host
	case h.Locked != "":
		return "locked: " + h.Locked
	case h.Down != "":
		return h.Down
	}
	guest, ok := h.Caps.Guests[vm.Arch]
	if !ok {
		return fmt.Sprintf("no emulator for %s (it has %s)", vm.Arch, archs(h.Caps))
	}
	if guest.Emulator == "" && vm.Def.Emulator == "" {
		return "no emulator for " + vm.Arch
	}
	if vm.Def.Firmware.Loader == "auto" && len(guest.Firmware) == 0 {
		return "no UEFI firmware for " + vm.Arch
	}
	if why := h.Unable[vm.ID]; why != "" {
		return why
	}
	if total := memory(h); total > 0 && vm.Def.RAMMiB > total {
		return fmt.Sprintf("%d MiB of memory asked for, %d are there", vm.Def.RAMMiB, total)
	}
	if vm.Def.Requires != "" {
		if missing := require(vm.Def.Requires, labels(h, vm)); missing != "" {
			return "requires " + missing
		}
	}
	return ""
}

func archs(c engine.Capabilities) string {
	var names []string
	for name := range c.Guests {
		names = append(names, name)
	}
	sort.Strings(names)
	return strings.Join(names, ", ")
}

// labels are the words that `requires` can name: the host's labels, its name and
// architecture, and "kvm" where the VM would be accelerated.
func labels(h *hostState, vm inventory.VM) map[string]bool {
	have := map[string]bool{h.Name: true, h.Caps.Arch: true}
	for _, l := range h.Labels {
		have[l] = true
	}
	if h.Caps.Guests[vm.Arch].KVM {
		have["kvm"] = true
	}
	return have
}

// require returns the first word of an expression of the form "a & b & !c" that does not
// hold, or why it is none.
func require(text string, have map[string]bool) string {
	words, err := inventory.ParseRequires(text)
	if err != nil {
		return fmt.Sprintf("%q: %v", text, err)
	}
	for _, w := range words {
		if have[w.Name] != w.Not {
			continue
		}
		if w.Not {
			return "!" + w.Name
		}
		return w.Name
	}
	return ""
}

func memory(h *hostState) int {
	if h.MemoryMiB > 0 {
		return h.MemoryMiB
	}
	return h.Caps.MemoryMiB
}

func vcpus(h *hostState) int {
	if h.VCPUs > 0 {
		return h.VCPUs
	}
	return h.Caps.VCPUs
}

// Next takes the first waiting VM that fits somewhere now: on its preferred host, or on
// another that is as fast. ok is false where nothing can start before something is Done.
func (q *Queue) Next() (p Placement, ok bool) {
	for i, it := range q.waiting {
		h := q.room(it)
		if h == nil {
			continue
		}
		q.waiting = append(q.waiting[:i:i], q.waiting[i+1:]...)
		take := running{h, demand(h, it.vm), it.vm.Def.RAMMiB}
		h.inUse.vcpus += take.vcpus
		h.inUse.memoryMiB += take.memoryMiB
		h.inUse.vms++
		q.running[it.vm.ID] = take
		return q.placement(it.vm, h), true
	}
	return Placement{}, false
}

func (q *Queue) placement(vm inventory.VM, h *hostState) Placement {
	p := Placement{VM: vm, Host: h.Name, KVM: q.cost(h, vm) == 1}
	switch {
	case vm.Host != "":
		p.Why = "pinned"
	case p.KVM:
		p.Why = "accelerated"
	default:
		p.Why = "emulated: " + h.Caps.Guests[vm.Arch].WhyNot
	}
	return p
}

func (q *Queue) room(it item) *hostState {
	var other *hostState
	for _, h := range q.hosts {
		if unfit(h, it.vm) != "" || !free(h, it.vm) {
			continue
		}
		if h.Name == it.preferred {
			return h
		}
		if other == nil && q.cost(h, it.vm) <= q.cost(q.host(it.preferred), it.vm) {
			other = h
		}
	}
	return other
}

func (q *Queue) host(name string) *hostState {
	for _, h := range q.hosts {
		if h.Name == name {
			return h
		}
	}
	return nil
}

// demand is the CPUs that vm takes on h: all of them where it asks for more, as it then
// runs alone.
func demand(h *hostState, vm inventory.VM) int {
	if total := vcpus(h); total > 0 {
		return min(max(vm.Def.VCPUs, 1), total)
	}
	return max(vm.Def.VCPUs, 1)
}

func free(h *hostState, vm inventory.VM) bool {
	total := vcpus(h)
	switch {
	case h.VMs > 0 && h.inUse.vms >= h.VMs:
		return false
	case total > 0 && h.inUse.vcpus+demand(h, vm) > total:
		return false
	case memory(h) > 0 && h.inUse.memoryMiB+vm.Def.RAMMiB > memory(h):
		return false
	}
	return true
}

// Done gives back what a VM took.
func (q *Queue) Done(id string) {
	r, ok := q.running[id]
	if !ok {
		return
	}
	delete(q.running, id)
	r.host.inUse.vcpus -= r.vcpus
	r.host.inUse.memoryMiB -= r.memoryMiB
	r.host.inUse.vms--
}

// Waiting is how many VMs have not been placed.
func (q *Queue) Waiting() int { return len(q.waiting) }

// Planned lists where the waiting VMs would run, in their order, if all had room.
func (q *Queue) Planned() []Placement {
	var all []Placement
	for _, it := range q.waiting {
		all = append(all, q.placement(it.vm, q.host(it.preferred)))
	}
	return all
}

// Drop empties the queue of waiting VMs and returns them.
func (q *Queue) Drop() []inventory.VM {
	var vms []inventory.VM
	for _, it := range q.waiting {
		vms = append(vms, it.vm)
	}
	q.waiting = nil
	return vms
}

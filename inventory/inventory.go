// Package inventory reads what is wanted: hypervisors, platforms and targets from a
// YAML inventory in Ansible's form, and expands it to VMs. It reads files and does no other I/O.
package inventory

import (
	"context"

	"farm/inventory/expr"
	"farm/inventory/value"
)

// Options are what the command line adds to an inventory file.
type Options struct {
	Vars  []string // files of variables (--vars), later wins
	Extra []string // -e: "k=v ...", "@FILE", or inline YAML or JSON; over all, later wins
}

// Inventory is a read inventory. Its methods are safe for concurrent use.
type Inventory struct{}

// Hypervisor is how one host that runs VMs is reached and what it may carry, evaluated.
type Hypervisor struct {
	Name                  string
	Connection            string // local or ssh
	Address               string // ansible_host, else Name
	Port                  int    // 22
	User                  string // "" = the controller's user, or what ssh_config says
	KeyFile               string // with ~ expanded; "" = agent and default keys
	Password              string
	CommonArgs            string // ansible_ssh_common_args
	URI                   string // ansible_libvirt_uri, default qemu:///session
	Labels                []string
	VCPUs, MemoryMiB, VMs int    // capacity; 0 = what the host reports
	Locked                string // reason, "" = not locked
	Driver                string // libvirt
}

// DefinitionRunner runs a definition file that is a list of tasks and returns the facts it set.
// vars holds the host's facts and variables and, as `vm`, what was merged so far.
type DefinitionRunner func(ctx context.Context, r DefinitionRequest) (DefinitionFacts, error)

// DefinitionRequest is one task file to run for a definition.
type DefinitionRequest struct {
	Path string
	Host string // the hypervisor; "localhost" while there is none
	Vars *expr.Vars
}

// DefinitionFacts is what a task file left behind.
type DefinitionFacts struct {
	Facts *value.Dict
	Hosts map[string]*value.Dict // add_host: variables by host name
}

// ExpandOptions are what definitions may depend on.
type ExpandOptions struct {
	Facts func(host string) *value.Dict // Ansible's facts of a hypervisor; nil = the controller's own few
	Run   DefinitionRunner              // nil = definitions that are task files are refused
	Limit string                        // host pattern over VM ids, names, groups; "" = all
}

// Load reads an inventory with its group_vars and host_vars.
func Load(path string, o Options) (*Inventory, error) { panic("inventory: in the making") }

// Expand lists the VMs that the inventory asks for: every host's list first, then
// platforms x targets, platform-major.
func (inv *Inventory) Expand(ctx context.Context, o ExpandOptions) ([]VM, error) {
	panic("inventory: in the making")
}

// Place evaluates vm's definition anew for the host that it was placed on.
func (inv *Inventory) Place(ctx context.Context, vm VM, host string, o ExpandOptions) (VM, error) {
	panic("inventory: in the making")
}

// Hypervisors lists the hosts that run VMs; localhost where there is no such group.
func (inv *Inventory) Hypervisors() ([]Hypervisor, error) { panic("inventory: in the making") }

// Hosts lists the hosts that an Ansible host pattern selects, in inventory order.
func (inv *Inventory) Hosts(pattern string) ([]string, error) { panic("inventory: in the making") }

// HostVars is what a host sees: its groups' and its own variables by precedence, `-e`
// over all, and the magic variables (inventory_hostname, group_names, groups, hostvars, ...).
func (inv *Inventory) HostVars(host string) *expr.Vars { panic("inventory: in the making") }

// VMVars is HostVars for a VM: group variables of vms, its name, platform and target, add_host's and its own.
func (inv *Inventory) VMVars(vm VM) *expr.Vars { panic("inventory: in the making") }

// Dir is the folder of the inventory file: relative paths in it start here.
func (inv *Inventory) Dir() string { panic("inventory: in the making") }

// Engine is the expression engine that the inventory's values are evaluated with.
func (inv *Inventory) Engine() *expr.Engine { panic("inventory: in the making") }

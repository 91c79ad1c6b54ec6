// Package inventory reads what is wanted: hypervisors, platforms and targets from a
// YAML inventory in Ansible's form, and expands it to VMs. It reads files and does no other I/O.
package inventory

import (
	"context"
	"sync"

	"farm/inventory/expr"
	"farm/inventory/value"
)

// Options are what the command line adds to an inventory file.
type Options struct {
	Vars  []string // files of variables (--vars), later wins
	Extra []string // -e: "k=v ...", "@FILE", or inline YAML or JSON; over all, later wins
	// Playbooks is the folder of the playbooks that are run, "" for none: group_vars and host_vars
	// there win over those beside the inventory.
	Playbooks string
}

// Inventory is a read inventory. Its methods are safe for concurrent use.
type Inventory struct {
	path, dir string // absolute
	engine    *expr.Engine
	graph     *graph
	vars      *varFiles
	extra     *value.Dict
	lost      bool                   // extra could not all be read
	inline    map[string]*definition // "platforms/NAME"

	mu       sync.Mutex
	found    map[defKey]*definition // what lookup found
	scopes   map[string]*expr.Vars  // by host name
	shared   map[string]*value.Dict // variables by the groups that they come from
	expanded map[string]*expanded   // by VM id
	byName   map[string]*expanded   // by VM name
	order    []*expanded
	groups   *value.Dict // the variable `groups`; nil = to be made
}

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

// Dir is the folder of the inventory file: relative paths in it start here.
func (inv *Inventory) Dir() string { return inv.dir }

// Extra is the variables of --vars and -e, which win over all others; not to be changed.
func (inv *Inventory) Extra() *value.Dict { return inv.extra }

// Engine is the expression engine that the inventory's values are evaluated with.
func (inv *Inventory) Engine() *expr.Engine { return inv.engine }

func (inv *Inventory) reset() {
	inv.inline = map[string]*definition{}
	inv.found = map[defKey]*definition{}
	inv.scopes = map[string]*expr.Vars{}
	inv.shared = map[string]*value.Dict{}
	inv.expanded = map[string]*expanded{}
	inv.byName = map[string]*expanded{}
}

package inventory

import (
	"strings"

	"farm/inventory/expr"
	"farm/inventory/value"
)

// vmGroups lists the groups of a VM: vms, its name, platform and target, and what is
// above them in the inventory, without `all`.
func (inv *Inventory) vmGroups(vm VM) []string {
	var names []string
	seen := map[string]bool{"all": true, "ungrouped": true}
	add := func(name string) {
		if !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	for _, name := range []string{"vms", vm.Name, vm.Platform, vm.Target} {
		add(name)
	}
	for _, name := range names[:len(names):len(names)] {
		if gr := inv.graph.groups[name]; gr != nil {
			for _, up := range withAncestors(gr.parents) {
				add(up.name)
			}
		}
	}
	if h := inv.graph.hosts[vm.Name]; h != nil {
		for _, gr := range withAncestors(h.groups) {
			add(gr.name)
		}
	}
	return names
}

// rawVMVars merges what a VM sees, templates not evaluated: its groups, its host entry,
// add_host's, its list item's, -e. VMs that see the same share one dict.
func (inv *Inventory) rawVMVars(vm VM, x *expanded) *value.Dict {
	groups := []*group{inv.graph.groups["all"]}
	var key strings.Builder
	for _, name := range vm.Groups {
		gr := inv.graph.groups[name]
		if gr == nil {
			d, err := inv.vars.get("group_vars", name)
			if d == nil && err == nil {
				continue
			}
			gr = &group{name: name, priority: 1, depth: 1}
		}
		groups = append(groups, gr)
		key.WriteString(name)
		key.WriteByte(0)
	}
	own := inv.graph.hosts[vm.Name] != nil || x.added != nil || x.wish.vars != nil
	if d, _ := inv.vars.get("host_vars", vm.Name); d != nil {
		own = true
	}
	if !own {
		inv.mu.Lock()
		shared := inv.shared[key.String()]
		inv.mu.Unlock()
		if shared != nil {
			return shared
		}
	}
	byPrecedence(groups)
	out := inv.groupVars(groups)
	inv.ownVars(out, vm.Name)
	lay(out, x.added)
	lay(out, x.wish.vars)
	lay(out, inv.extra)
	if !own {
		inv.mu.Lock()
		inv.shared[key.String()] = out
		inv.mu.Unlock()
	}
	return out
}

// VMVars is HostVars for a VM: group variables of vms, its name, platform and target, add_host's and its own.
func (inv *Inventory) VMVars(vm VM) *expr.Vars { return inv.scopeOf(vm) }

func (inv *Inventory) scopeOf(vm VM) *expr.Vars {
	names := make([]any, len(vm.Groups))
	for i, name := range vm.Groups {
		names[i] = name
	}
	return inv.engine.Vars(vm.Vars, connection(vm), inv.extra, inv.magic(vm.Name, names))
}

// connection is the variables that a VM's definition gives, over those of its groups.
func connection(vm VM) *value.Dict {
	d := value.NewDict("vm", vm.Def.Raw, "vm_index", int64(max(vm.Index, 1)), "ansible_hostname", vm.Def.Metadata.Hostname)
	if vm.Host != "" {
		d.Set("kvm_host", vm.Host)
	}
	if len(vm.Def.Net) > 0 && vm.Def.Net[0].IP != "" {
		d.Set("ansible_host", vm.Def.Net[0].IP)
		d.Set("ansible_host_real", vm.Def.Net[0].IP)
	}
	auth := vm.Def.Metadata.Auth
	for name, v := range map[string]string{
		"ansible_user": auth.User, "ansible_password": auth.Password, "ansible_become_user": auth.BecomeUser,
		"ansible_become_password": auth.BecomePassword, "ansible_become_method": auth.BecomeMethod,
	} {
		if v != "" {
			d.Set(name, v)
		}
	}
	return d
}

package inventory

import (
	"slices"
	"sort"
	"strings"

	"farm/inventory/expr"
	"farm/inventory/value"
)

// Hosts lists the hosts that an Ansible host pattern selects, in inventory order.
func (inv *Inventory) Hosts(pattern string) ([]string, error) {
	all := inv.graph.groups["all"].members()
	index := map[*host]int{}
	u := &universe{groups: map[string][]int{}}
	for i, h := range all {
		index[h] = i
		u.names = append(u.names, []string{h.name})
	}
	for _, gr := range inv.graph.groupOrder {
		for _, h := range gr.members() {
			u.groups[gr.name] = append(u.groups[gr.name], index[h])
		}
	}
	items, err := u.sel(pattern)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(items))
	for i, item := range items {
		names[i] = all[item].name
	}
	if len(names) == 0 && pattern == "localhost" {
		names = []string{"localhost"}
	}
	return names, nil
}

// groupsOf lists the groups of a host with those above, by precedence.
func (inv *Inventory) groupsOf(name string) []*group {
	h := inv.graph.hosts[name]
	if h == nil {
		return []*group{inv.graph.groups["all"]}
	}
	groups := withAncestors(append([]*group{inv.graph.groups["all"]}, h.groups...))
	byPrecedence(groups)
	return groups
}

// groupVars merges groups, which are sorted by precedence: inline variables below files, `all` below others.
func (inv *Inventory) groupVars(groups []*group) *value.Dict {
	out := value.NewDict()
	for _, gr := range groups {
		lay(out, gr.vars)
	}
	for _, gr := range groups {
		// A fault was reported when the file was first read.
		if d, err := inv.vars.get("group_vars", gr.name); err == nil {
			lay(out, d)
		}
	}
	return out
}

// ownVars lays a host's own variables over vars.
func (inv *Inventory) ownVars(vars *value.Dict, name string) {
	if h := inv.graph.hosts[name]; h != nil {
		lay(vars, h.vars)
	}
	if d, err := inv.vars.get("host_vars", name); err == nil {
		lay(vars, d)
	}
}

// rawHostVars is what a host sees before `-e`, templates not evaluated.
func (inv *Inventory) rawHostVars(name string) *value.Dict {
	out := inv.groupVars(inv.groupsOf(name))
	if inv.graph.hosts[name] == nil && name == "localhost" {
		out.Set("ansible_connection", "local")
	}
	inv.ownVars(out, name)
	return out
}

// RawHostVars is HostVars without magic variables and with no template evaluated.
func (inv *Inventory) RawHostVars(name string) *value.Dict {
	out := inv.rawHostVars(name)
	lay(out, inv.extra)
	return out
}

// HostVars is what a host sees: its groups' and its own variables by precedence, `-e`
// over all, and the magic variables (inventory_hostname, group_names, groups, hostvars, ...).
// A VM's name gives VMVars of that VM, once the inventory has been expanded.
func (inv *Inventory) HostVars(name string) *expr.Vars {
	inv.mu.Lock()
	scope, vm := inv.scopes[name], inv.byName[name]
	inv.mu.Unlock()
	if scope != nil {
		return scope
	}
	if vm != nil {
		return inv.VMVars(vm.vm)
	}
	var names []any
	for _, gr := range inv.groupsOf(name) {
		if gr.name != "all" {
			names = append(names, gr.name)
		}
	}
	scope = inv.engine.Vars(inv.rawHostVars(name), inv.extra, inv.magic(name, names))
	inv.mu.Lock()
	defer inv.mu.Unlock()
	if have := inv.scopes[name]; have != nil {
		return have
	}
	inv.scopes[name] = scope
	return scope
}

// Joined is HostVars of a host that tasks have put into further groups, and these groups with those above them.
func (inv *Inventory) Joined(name string, groups []string) (vars *expr.Vars, all []string) {
	var direct []*group
	for _, g := range groups {
		gr := inv.graph.groups[g]
		if gr == nil {
			gr = &group{name: g, priority: 1, depth: 1}
		}
		direct = append(direct, gr)
	}
	joined := withAncestors(direct)
	for _, gr := range joined {
		if gr.name != "all" {
			all = append(all, gr.name)
		}
	}
	inv.mu.Lock()
	vm := inv.byName[name]
	inv.mu.Unlock()
	if vm != nil {
		with := vm.vm
		with.Groups = append(slices.Clone(with.Groups), all...)
		with.Vars = inv.rawVMVars(with, vm)
		return inv.VMVars(with), all
	}
	in := inv.groupsOf(name)
	for _, gr := range joined {
		if !slices.Contains(in, gr) {
			in = append(in, gr)
		}
	}
	byPrecedence(in)
	var names []any
	for _, gr := range in {
		if gr.name != "all" {
			names = append(names, gr.name)
		}
	}
	out := inv.groupVars(in)
	inv.ownVars(out, name)
	return inv.engine.Vars(out, inv.extra, inv.magic(name, names)), all
}

// magic makes the variables that every host has.
func (inv *Inventory) magic(name string, groupNames []any) *value.Dict {
	sort.Slice(groupNames, func(i, j int) bool { return groupNames[i].(string) < groupNames[j].(string) })
	if groupNames == nil {
		groupNames = []any{}
	}
	short, _, _ := strings.Cut(name, ".")
	return value.NewDict(
		"inventory_hostname", name,
		"inventory_hostname_short", short,
		"inventory_dir", inv.dir,
		"inventory_file", inv.path,
		"playbook_dir", inv.dir,
		"group_names", groupNames,
		"groups", lazyGroups{inv},
		"hostvars", lazyHosts{inv},
	)
}

// lazyGroups is the variable `groups`: host names by group, the VMs among them.
type lazyGroups struct{ inv *Inventory }

func (l lazyGroups) all() *value.Dict {
	l.inv.mu.Lock()
	defer l.inv.mu.Unlock()
	if l.inv.groups == nil {
		l.inv.groups = l.inv.makeGroups()
	}
	return l.inv.groups
}

// Get returns the list of a group's hosts.
func (l lazyGroups) Get(key string) (any, bool, error) {
	v, ok := l.all().Get(key)
	return v, ok, nil
}

// Keys lists the groups.
func (l lazyGroups) Keys() []string { return l.all().Keys() }

// makeGroups is called with inv.mu held.
func (inv *Inventory) makeGroups() *value.Dict {
	lists := map[string][]any{}
	in := map[string]map[string]bool{}
	var order []string
	put := func(gr, name string) {
		if in[gr] == nil {
			in[gr] = map[string]bool{}
			order = append(order, gr)
		}
		if name != "" && !in[gr][name] {
			in[gr][name] = true
			lists[gr] = append(lists[gr], name)
		}
	}
	for _, gr := range inv.graph.groupOrder {
		put(gr.name, "")
		for _, h := range gr.members() {
			put(gr.name, h.name)
		}
	}
	for _, x := range inv.order {
		put("all", x.vm.Name)
		for _, gr := range x.vm.Groups {
			put(gr, x.vm.Name)
		}
	}
	out := value.NewDict()
	for _, gr := range order {
		if lists[gr] == nil {
			lists[gr] = []any{}
		}
		out.Set(gr, lists[gr])
	}
	return out
}

// lazyHosts is the variable `hostvars`.
type lazyHosts struct{ inv *Inventory }

// Get returns a host's or VM's variables.
func (l lazyHosts) Get(key string) (any, bool, error) {
	l.inv.mu.Lock()
	vm := l.inv.byName[key]
	l.inv.mu.Unlock()
	if vm == nil && l.inv.graph.hosts[key] == nil && key != "localhost" {
		return nil, false, nil
	}
	return l.inv.HostVars(key).Lazy(), true, nil
}

// Keys lists the hosts, then the VMs.
func (l lazyHosts) Keys() []string {
	l.inv.mu.Lock()
	defer l.inv.mu.Unlock()
	var names []string
	seen := map[string]bool{}
	for _, h := range l.inv.graph.hostOrder {
		names, seen[h.name] = append(names, h.name), true
	}
	for _, x := range l.inv.order {
		if !seen[x.vm.Name] {
			names = append(names, x.vm.Name)
		}
	}
	return names
}

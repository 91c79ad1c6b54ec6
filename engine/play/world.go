package play

import (
	"slices"
	"sync"

	"farm/engine"
	"farm/inventory"
	"farm/inventory/expr"
	"farm/inventory/value"
)

// Hosts is where plays find their hosts and what each sees; an *inventory.Inventory is one.
type Hosts interface {
	// HostNames lists the hosts in the inventory's order.
	HostNames() []string
	// HostVars is what a host sees, with the variable groups; any name is answered.
	HostVars(name string) *expr.Vars
	// Joined is HostVars of a host that tasks have put into further groups, and these groups with those above them.
	Joined(name string, groups []string) (*expr.Vars, []string)
}

// world is the hosts with what tasks added to them. Safe for concurrent use.
type world struct {
	hosts Hosts
	extra *value.Dict

	mu     sync.Mutex // guards what follows
	names  []string
	groups map[string][]string
	order  []string                 // of groups
	added  map[string]*value.Dict   // variables that add_host gave
	joined map[string]joined        // hosts that tasks put into groups
	grown  int                      // times that tasks changed names or groups
	set    map[string][]*value.Dict // what the tasks of each host set

	listed   *value.Dict         // the variable groups, when grown was listedAt
	in       map[string][]string // the groups of each host then
	listedAt int
}

// joined is a host with the groups that tasks put it into.
type joined struct {
	groups []string
	vars   *expr.Vars
}

func newWorld(hosts Hosts, extra *value.Dict) *world {
	w := &world{
		hosts: hosts, extra: extra, names: hosts.HostNames(),
		groups: map[string][]string{}, added: map[string]*value.Dict{}, joined: map[string]joined{}, set: map[string][]*value.Dict{},
	}
	raw, _ := hosts.HostVars("localhost").Raw("groups")
	groups, ok := raw.(expr.Lazy)
	if !ok {
		w.group("all", w.names...)
		return w
	}
	for _, name := range groups.Keys() {
		v, _, _ := groups.Get(name)
		members, _ := v.([]any)
		w.group(name)
		for _, m := range members {
			w.group(name, value.Text(m))
		}
	}
	return w
}

// group adds members to a group.
func (w *world) group(name string, members ...string) {
	list, ok := w.groups[name]
	if !ok {
		w.order = append(w.order, name)
	}
	w.groups[name] = append(list, members...)
}

// add takes what add_host or group_by made, and reports whether any of it is new.
func (w *world) add(n engine.NewHost) (changed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.grown++
	if !slices.Contains(w.names, n.Name) {
		changed = true
		w.names = append(w.names, n.Name)
		w.group("all", n.Name)
		if len(n.Groups) == 0 {
			w.group("ungrouped", n.Name)
		}
	}
	if len(n.Groups) > 0 {
		w.groups["ungrouped"] = slices.DeleteFunc(slices.Clone(w.groups["ungrouped"]), func(h string) bool { return h == n.Name })
	}
	j := w.joined[n.Name]
	for _, g := range n.Groups {
		if !slices.Contains(j.groups, g) {
			j.groups = append(slices.Clip(j.groups), g)
			changed = changed || !slices.Contains(w.groups[g], n.Name)
		}
	}
	var all []string
	j.vars, all = w.hosts.Joined(n.Name, j.groups)
	w.joined[n.Name] = j
	for _, g := range all {
		if !slices.Contains(w.groups[g], n.Name) {
			w.group(g, n.Name)
		}
	}
	for k, v := range n.Vars.All() {
		old, had := w.added[n.Name].Get(k)
		changed = changed || !had || !expr.Equal(old, v)
	}
	w.added[n.Name] = value.Merge(w.added[n.Name], n.Vars)
	return changed
}

// find lists the hosts of a pattern, within limit unless that is "".
func (w *world) find(pattern, limit string) ([]string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	found, err := inventory.Select(pattern, w.names, w.groups)
	if err != nil || limit == "" {
		return found, err
	}
	within, err := inventory.Select(limit, w.names, w.groups)
	if err != nil {
		return nil, err
	}
	in := make(map[string]bool, len(within))
	for _, name := range within {
		in[name] = true
	}
	return slices.DeleteFunc(found, func(name string) bool { return !in[name] }), nil
}

// publish has other hosts see what the tasks of a host set.
func (w *world) publish(host string, set []*value.Dict) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.set[host] = set
}

// vars is what a host sees before a play's own variables.
func (w *world) vars(host string) *expr.Vars {
	w.mu.Lock()
	added, vars, grown := w.added[host], w.joined[host].vars, w.grown > 0
	w.mu.Unlock()
	if vars == nil {
		vars = w.hosts.HostVars(host)
	}
	magic := value.NewDict("hostvars", hostVars{w})
	if grown {
		groups, mine := w.members(host)
		magic.Set("groups", groups)
		magic.Set("group_names", mine)
	}
	if added.Len() == 0 {
		return vars.With(magic)
	}
	magic.Set("inventory_hostname", host) // add_host may name anything
	return vars.With(added, magic, w.extra)
}

// age counts the changes of the hosts and groups.
func (w *world) age() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.grown
}

// members are the variables groups, which all hosts share, and group_names of a host.
func (w *world) members(host string) (groups *value.Dict, mine []any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.listed == nil || w.listedAt != w.grown {
		w.list()
	}
	mine = []any{}
	for _, name := range w.in[host] {
		mine = append(mine, name)
	}
	return w.listed, mine
}

// list makes the variable groups anew. w.mu is held.
func (w *world) list() {
	w.listed, w.listedAt, w.in = value.NewDict(), w.grown, map[string][]string{}
	for _, name := range w.order {
		members := make([]any, len(w.groups[name]))
		for i, m := range w.groups[name] {
			members[i] = m
			if name != "all" {
				w.in[m] = append(w.in[m], name)
			}
		}
		w.listed.Set(name, members)
	}
	for _, names := range w.in {
		slices.Sort(names)
	}
}

// hostVars is the variable hostvars: each host's variables with what its tasks set.
type hostVars struct{ w *world }

// Get returns the variables of a host.
func (h hostVars) Get(name string) (any, bool, error) {
	h.w.mu.Lock()
	set, known := h.w.set[name], slices.Contains(h.w.names, name) || name == "localhost"
	h.w.mu.Unlock()
	if !known {
		return nil, false, nil
	}
	return h.w.vars(name).With(append(slices.Clone(set), h.w.extra)...).Lazy(), true, nil
}

// Keys lists the hosts.
func (h hostVars) Keys() []string {
	h.w.mu.Lock()
	defer h.w.mu.Unlock()
	return slices.Clone(h.w.names)
}

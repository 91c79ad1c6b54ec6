package inventory

import (
	"fmt"
	"strings"

	"farm/inventory/value"
)

// List is the whole inventory as `ansible-inventory --list` prints it: groups with their
// hosts and children, and under _meta the variables of every host, templates as they are.
func (inv *Inventory) List() *value.Dict {
	out := value.NewDict()
	seen := map[*group]bool{}
	var add func(gr *group)
	add = func(gr *group) {
		d := value.NewDict()
		if len(gr.children) > 0 {
			var names []any
			for _, c := range gr.children {
				names = append(names, c.name)
			}
			d.Set("children", names)
		}
		if gr.name != "all" && len(gr.hosts) > 0 {
			var names []any
			for _, h := range gr.hosts {
				names = append(names, h.name)
			}
			d.Set("hosts", names)
		}
		if d.Len() > 0 {
			out.Set(gr.name, d)
		}
		for _, c := range gr.children {
			if !seen[c] {
				seen[c] = true
				add(c)
			}
		}
	}
	add(inv.graph.groups["all"])
	vars := value.NewDict()
	for _, h := range inv.graph.groups["all"].members() {
		if d := inv.RawHostVars(h.name); d.Len() > 0 {
			vars.Set(h.name, d)
		}
	}
	out.Set("_meta", value.NewDict("hostvars", vars))
	return out
}

// HasHost reports whether the inventory names the host; localhost is always there.
func (inv *Inventory) HasHost(name string) bool {
	return name == "localhost" || inv.graph.hosts[name] != nil
}

// HostNames lists the hosts of the inventory file, in its order.
func (inv *Inventory) HostNames() []string {
	var names []string
	for _, h := range inv.graph.hostOrder {
		names = append(names, h.name)
	}
	return names
}

// Graph draws the groups and hosts as `ansible-inventory --graph` does.
func (inv *Inventory) Graph() string {
	var b strings.Builder
	var draw func(gr *group, depth int)
	line := func(text string, depth int) {
		if depth > 0 {
			text = strings.Repeat("  |", depth) + "--" + text
		}
		fmt.Fprintln(&b, text)
	}
	draw = func(gr *group, depth int) {
		line("@"+gr.name+":", depth)
		for _, c := range gr.children {
			draw(c, depth+1)
		}
		if gr.name == "all" {
			return
		}
		for _, h := range gr.hosts {
			line(h.name, depth+1)
		}
	}
	draw(inv.graph.groups["all"], 0)
	return b.String()
}

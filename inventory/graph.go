package inventory

import (
	"sort"

	"farm/inventory/source"
	"farm/inventory/value"
)

// group and host form the inventory's graph. They are not changed after Load.
type group struct {
	name     string
	pos      source.Pos
	vars     *value.Dict // inline ones
	priority int64       // ansible_group_priority
	depth    int         // longest way from "all"
	children []*group
	parents  []*group
	hosts    []*host
}

type host struct {
	name   string
	pos    source.Pos
	vars   *value.Dict
	groups []*group // direct ones
}

type graph struct {
	groups     map[string]*group
	groupOrder []*group
	hosts      map[string]*host
	hostOrder  []*host
}

func newGraph() *graph {
	g := &graph{groups: map[string]*group{}, hosts: map[string]*host{}}
	g.addChild(g.group("all", source.Pos{}), g.group("ungrouped", source.Pos{}))
	return g
}

func (g *graph) group(name string, pos source.Pos) *group {
	if found := g.groups[name]; found != nil {
		return found
	}
	gr := &group{name: name, pos: pos, vars: value.NewDict(), priority: 1}
	g.groups[name] = gr
	g.groupOrder = append(g.groupOrder, gr)
	return gr
}

func (g *graph) host(name string, pos source.Pos) *host {
	if found := g.hosts[name]; found != nil {
		return found
	}
	h := &host{name: name, pos: pos, vars: value.NewDict()}
	g.hosts[name] = h
	g.hostOrder = append(g.hostOrder, h)
	return h
}

// addChild reports false for an edge that closes a circle.
func (g *graph) addChild(parent, child *group) bool {
	for _, c := range parent.children {
		if c == child {
			return true
		}
	}
	if parent == child || descends(parent, child) {
		return false
	}
	parent.children = append(parent.children, child)
	child.parents = append(child.parents, parent)
	return true
}

// descends reports whether x is below top.
func descends(x, top *group) bool {
	if len(top.children) == 0 {
		return false
	}
	seen := map[*group]bool{}
	for todo := []*group{x}; len(todo) > 0; {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[at] {
			continue
		}
		seen[at] = true
		if at == top {
			return x != top
		}
		todo = append(todo, at.parents...)
	}
	return false
}

// finish gives every group a parent, every host a group, and groups their depth.
func (g *graph) finish() {
	all, ungrouped := g.groups["all"], g.groups["ungrouped"]
	for _, gr := range g.groupOrder {
		if gr != all && len(gr.parents) == 0 {
			g.addChild(all, gr)
		}
	}
	var kept []*host
	for _, h := range ungrouped.hosts {
		if onlyIn(h, all, ungrouped) {
			kept = append(kept, h)
		} else {
			h.groups = without(h.groups, ungrouped)
		}
	}
	ungrouped.hosts = kept
	for _, h := range g.hostOrder {
		if onlyIn(h, all, nil) {
			h.join(ungrouped)
		}
	}
	setDepths(g.groupOrder)
}

func onlyIn(h *host, a, b *group) bool {
	for _, gr := range h.groups {
		if gr != a && gr != b {
			return false
		}
	}
	return true
}

func without(groups []*group, x *group) []*group {
	var out []*group
	for _, gr := range groups {
		if gr != x {
			out = append(out, gr)
		}
	}
	return out
}

func (h *host) join(gr *group) {
	for _, have := range h.groups {
		if have == gr {
			return
		}
	}
	h.groups = append(h.groups, gr)
	gr.hosts = append(gr.hosts, h)
}

// setDepths gives groups their distance from the top, by the longest way.
func setDepths(groups []*group) {
	known := map[*group]bool{}
	var depth func(gr *group) int
	depth = func(gr *group) int {
		if !known[gr] {
			known[gr] = true // nothing is above itself
			for _, p := range gr.parents {
				gr.depth = max(gr.depth, depth(p)+1)
			}
		}
		return gr.depth
	}
	for _, gr := range groups {
		depth(gr)
	}
}

// withAncestors returns direct and every group above them, each once.
func withAncestors(direct []*group) []*group {
	var out []*group
	seen := map[*group]bool{}
	var add func(gr *group)
	add = func(gr *group) {
		if !seen[gr] {
			seen[gr] = true
			out = append(out, gr)
			for _, p := range gr.parents {
				add(p)
			}
		}
	}
	for _, gr := range direct {
		add(gr)
	}
	return out
}

// byPrecedence sorts groups as Ansible merges them: depth, priority, name; the last wins.
func byPrecedence(groups []*group) {
	sort.Slice(groups, func(i, j int) bool {
		a, b := groups[i], groups[j]
		if a.depth != b.depth {
			return a.depth < b.depth
		}
		if a.priority != b.priority {
			return a.priority < b.priority
		}
		return a.name < b.name
	})
}

// members lists the hosts of gr and of the groups below it, level by level.
func (gr *group) members() []*host {
	var out []*host
	seen, met := map[*host]bool{}, map[*group]bool{gr: true}
	for level := []*group{gr}; len(level) > 0; {
		var next []*group
		for _, at := range level {
			for _, h := range at.hosts {
				if !seen[h] {
					seen[h] = true
					out = append(out, h)
				}
			}
			for _, c := range at.children {
				if !met[c] {
					met[c] = true
					next = append(next, c)
				}
			}
		}
		level = next
	}
	return out
}

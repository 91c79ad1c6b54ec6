package task

import (
	"fmt"
	"strings"

	"farm/inventory/expr"
	"farm/inventory/value"
)

// magic are the variables that tell tasks of their run. What the inventory or the play knows better
// (hostvars, groups, the hosts of the play) is there already and stands.
// https://docs.ansible.com/ansible/latest/reference_appendices/special_variables.html
func (p *play) magic(s *scope) *value.Dict {
	d := value.NewDict("ansible_check_mode", p.o.Check, "ansible_diff_mode", p.o.Diff, "ansible_facts", plainFacts(p.h.Facts))
	for k, v := range p.constant().All() {
		d.Set(k, v)
	}
	if names, paths := p.parentRoles(s); len(names) > 0 {
		d.Set("ansible_parent_role_names", names)
		d.Set("ansible_parent_role_paths", paths)
	}
	d.Set("ansible_role_names", append([]any{}, p.h.roles...))
	d.Set("ansible_dependent_role_names", append([]any{}, p.h.dependent...))
	d.Set("ansible_search_path", value.From(s.dirs(p.o.Project)))
	return d
}

// constant is the part of magic that no task changes.
func (p *play) constant() *value.Dict {
	if p.same != nil {
		return p.same
	}
	tags, skip := []any{"all"}, []any{}
	if len(p.o.Tags) > 0 {
		tags = value.From(p.o.Tags).([]any)
	}
	if len(p.o.SkipTags) > 0 {
		skip = value.From(p.o.SkipTags).([]any)
	}
	alone, files := []any{p.h.Name}, []any{}
	if file, ok := p.h.Vars.Raw("inventory_file"); ok && file != nil {
		files = append(files, file)
	}
	short, _, _ := strings.Cut(p.h.Name, ".")
	p.same = value.NewDict("ansible_run_tags", tags, "ansible_skip_tags", skip)
	for k, v := range value.NewDict(
		"inventory_hostname", p.h.Name, "inventory_hostname_short", short, "playbook_dir", p.o.Project, "inventory_dir", p.o.Project,
		"ansible_play_hosts", alone, "ansible_play_hosts_all", alone, "ansible_play_batch", alone, "play_hosts", alone,
		"ansible_play_name", p.h.Name, "ansible_play_role_names", []any{},
		"ansible_verbosity", int64(0), "ansible_forks", int64(1), "ansible_version", version(), "ansible_inventory_sources", files, "group_names", []any{},
		"ansible_host", p.h.Name, "groups", value.NewDict("all", alone, "ungrouped", alone),
	).All() {
		if _, known := p.h.Vars.Raw(value.Text(k)); !known {
			p.same.Set(k, v)
		}
	}
	all, _ := p.h.Vars.Raw("hostvars")
	others, _ := all.(expr.Lazy)
	p.same.Set("hostvars", hostVars{p.h, others, p.o.Extra})
	return p.same
}

// version is the version of ansible-core whose language this is.
func version() *value.Dict {
	const major, minor, revision = 2, 14, 18
	full := fmt.Sprintf("%d.%d.%d", major, minor, revision)
	return value.NewDict("full", full, "string", full, "major", int64(major), "minor", int64(minor), "revision", int64(revision))
}

// hostVars is the variable hostvars: of the host itself with what its tasks have set so far.
type hostVars struct {
	own    *HostState
	others expr.Lazy // nil = there is no inventory
	extra  *value.Dict
}

// Get returns the variables of a host.
func (v hostVars) Get(key string) (any, bool, error) {
	switch {
	case key == v.own.Name:
		return v.own.Vars.With(append(v.own.Snapshot(), v.extra)...).Lazy(), true, nil
	case v.others == nil:
		facts, ok := v.own.elsewhere[key]
		return facts, ok, nil
	}
	other, ok, err := v.others.Get(key)
	facts := v.own.elsewhere[key]
	if facts == nil || err != nil {
		return other, ok, err
	}
	lazy, _ := other.(expr.Lazy)
	return withFacts{lazy, facts}, true, nil
}

// withFacts is another host's variables with facts that were gathered of it.
type withFacts struct {
	vars  expr.Lazy // may be nil
	facts *value.Dict
}

// Get evaluates a variable; what was gathered last wins.
func (w withFacts) Get(key string) (any, bool, error) {
	if v, ok := w.facts.Get(key); ok || w.vars == nil {
		return v, ok, nil
	}
	if key == "ansible_facts" {
		return plainFacts(w.facts), true, nil
	}
	return w.vars.Get(key)
}

// Keys lists the variables.
func (w withFacts) Keys() []string {
	names := w.facts.Keys()
	if w.vars != nil {
		for _, k := range w.vars.Keys() {
			if !w.facts.Has(k) {
				names = append(names, k)
			}
		}
	}
	return names
}

// Keys lists the hosts.
func (v hostVars) Keys() []string {
	if v.others == nil {
		return []string{v.own.Name}
	}
	return v.others.Keys()
}

// parentRoles are the roles around the one that s is in, the nearest first, and their folders.
func (p *play) parentRoles(s *scope) (names, paths []any) {
	var seen *role
	for c := s; c != nil; c = c.parent {
		if c.role != nil && c.role != seen {
			if seen != nil {
				names, paths = append(names, c.role.name), append(paths, c.role.dir)
			}
			seen = c.role
		}
	}
	return names, paths
}

package main

import (
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"farm/inventory"
	"farm/inventory/expr"
	"farm/inventory/source"
	"farm/inventory/value"
)

// listedHosts are hosts that the command line names, as a play.Hosts: those of --on and of -i HOST,HOST.
type listedHosts struct {
	names  []string
	vars   map[string]*value.Dict // by name
	extra  *value.Dict
	engine *expr.Engine
}

// HostNames lists them as they were given.
func (l listedHosts) HostNames() []string { return l.names }

// HostVars is what a host sees.
func (l listedHosts) HostVars(name string) *expr.Vars {
	short, _, _ := strings.Cut(name, ".")
	all := make([]any, len(l.names))
	for i, n := range l.names {
		all[i] = n
	}
	groups := value.NewDict("all", all, "ungrouped", all)
	return l.engine.Vars(value.NewDict("inventory_hostname", name, "inventory_hostname_short", short,
		"group_names", []any{"ungrouped"}, "groups", groups), l.vars[name], l.extra)
}

// Joined is HostVars: the groups that tasks make have no variables.
func (l listedHosts) Joined(name string, groups []string) (*expr.Vars, []string) {
	return l.HostVars(name), groups
}

// listed makes the world of hosts that the command line names; dir is where lookups begin.
func (p *performance) listed(dir string, names []string, vars map[string]*value.Dict) (*expr.Engine, error) {
	if err := p.flags.inventoryFlags.check(); err != nil {
		return nil, err
	}
	extra, err := inventory.ReadExtra(p.flags.options())
	if err != nil {
		return nil, err
	}
	lookups := expr.HostOptions(dir)
	lookups.ReadFile = source.ReadText // bounded
	lookups.Select = inventory.Select
	e := expr.New(lookups)
	p.extra, p.hosts = extra, listedHosts{names, vars, extra, e}
	return e, nil
}

// single is the world of --on: one host.
func (p *performance) single(dir string) (*expr.Engine, error) {
	name, vars, err := onHost(p.flags.on)
	if err != nil {
		return nil, &usageError{err}
	}
	p.only = name
	return p.listed(dir, []string{name}, map[string]*value.Dict{name: vars})
}

// several is the world of -i HOST,HOST.
func (p *performance) several() (*expr.Engine, error) {
	names, vars, err := hostList(p.flags.inventory)
	if err != nil {
		return nil, &usageError{err}
	}
	return p.listed(filepath.Dir(p.path), names, vars)
}

// isHostList reports whether -i names hosts and not a file: it has a comma, as in Ansible.
func isHostList(text string) bool { return strings.Contains(text, ",") }

// hostList reads HOST[:PORT],HOST... Tasks may run on the controller, as they may where an inventory says
// nothing of it.
func hostList(text string) (names []string, vars map[string]*value.Dict, err error) {
	vars = map[string]*value.Dict{"localhost": value.NewDict("ansible_connection", "local")}
	for one := range strings.SplitSeq(text, ",") {
		if one = strings.TrimSpace(one); one == "" {
			continue
		}
		if strings.ContainsAny(one, "@/ \t") || strings.HasPrefix(one, "-") {
			return nil, nil, fmt.Errorf("-i: %q is no HOST or HOST:PORT; the user is --on ssh://USER@HOST or -e ansible_user=USER", one)
		}
		name, port := one, ""
		if host, p, err := net.SplitHostPort(one); err == nil {
			name, port = host, p
			if n, err := strconv.Atoi(p); err != nil || n < 1 || n > 65535 || host == "" {
				return nil, nil, fmt.Errorf("-i: %q has no host or no port from 1 to 65535", one)
			}
		}
		name = strings.Trim(name, "[]")
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
		if port != "" {
			vars[name] = value.Merge(vars[name], value.NewDict("ansible_port", port))
		}
	}
	if len(names) == 0 {
		return nil, nil, fmt.Errorf("-i: %q has no host", text)
	}
	return names, vars, nil
}

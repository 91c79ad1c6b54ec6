package modules

import (
	"context"
	"strings"

	"farm/engine"
	"farm/inventory/value"
)

// GroupBy puts the host into a group named after a fact.
type GroupBy struct {
	Key     string   `yaml:"key,required"` // the group; blanks become dashes
	Parents []string `yaml:"parents"`      // groups that get this group's hosts too
}

func newGroupBy() engine.Module { return &GroupBy{Parents: []string{"all"}} }

// Run hands the membership over.
func (m *GroupBy) Run(_ context.Context, t *engine.Task) (engine.Result, error) {
	key := strings.ReplaceAll(m.Key, " ", "-")
	groups, parents := []string{key}, []any{}
	for _, p := range m.Parents {
		p = strings.ReplaceAll(p, " ", "-")
		parents = append(parents, p)
		if p != "all" {
			groups = append(groups, p)
		}
	}
	return engine.Result{
		Changed: !memberOf(t, groups),
		AddHost: &engine.NewHost{Name: ownName(t), Groups: groups},
		Values:  value.NewDict("add_group", key, "parent_groups", parents),
	}, nil
}

// ownName is the host that the task is of, wherever it acts.
func ownName(t *engine.Task) string {
	if name, ok, err := t.Vars.Get("inventory_hostname"); ok && err == nil {
		return value.Text(name)
	}
	return t.Host
}

// memberOf reports whether the host is in all the groups already.
func memberOf(t *engine.Task, groups []string) bool {
	v, _, err := t.Vars.Get("group_names")
	list, ok := v.([]any)
	if err != nil || !ok {
		return false
	}
	in := map[any]bool{}
	for _, g := range list {
		in[g] = true
	}
	for _, g := range groups {
		if !in[g] {
			return false
		}
	}
	return true
}

package modules

import (
	"context"
	"strconv"
	"strings"

	"farm/engine"
	"farm/inventory/value"
)

// AddHost adds a host to the inventory in memory.
type AddHost struct {
	Name   string      `yaml:"name|hostname|host,required"` // may end with :port
	Groups []string    `yaml:"groups|group|groupname"`      // it joins these
	Vars   *value.Dict `yaml:",rest"`                       // its variables
}

func newAddHost() engine.Module { return &AddHost{} }

// SetFreeForm takes "name=x groups=a,b key=value".
func (m *AddHost) SetFreeForm(text string) {
	pairs, _ := keyValues(text)
	for _, p := range pairs {
		switch p[0] {
		case "name", "hostname", "host":
			m.Name = p[1]
		case "groups", "group", "groupname":
			m.Groups = strings.Split(p[1], ",")
		default:
			if m.Vars == nil {
				m.Vars = value.NewDict()
			}
			m.Vars.Set(p[0], p[1])
		}
	}
}

// Run hands the host over.
func (m *AddHost) Run(_ context.Context, t *engine.Task) (engine.Result, error) {
	name, vars := m.Name, m.Vars.Copy()
	if host, port, ok := strings.Cut(name, ":"); ok && !strings.Contains(port, ":") {
		n, err := strconv.Atoi(port)
		if err != nil || host == "" {
			return failed("add_host: %q is no name of a host", m.Name), nil
		}
		name = host
		if !vars.Has("ansible_port") && !vars.Has("ansible_ssh_port") {
			vars.Set("ansible_ssh_port", int64(n))
		}
	}
	if name == "" {
		return failed("add_host: the name is empty"), nil
	}
	groups := make([]string, 0, len(m.Groups))
	list := []any{}
	for _, g := range m.Groups {
		if g = strings.TrimSpace(g); g != "" {
			groups, list = append(groups, g), append(list, g)
		}
	}
	return engine.Result{
		Changed: true,
		AddHost: &engine.NewHost{Name: name, Groups: groups, Vars: vars},
		Values:  value.NewDict("add_host", value.NewDict("host_name", name, "groups", list, "host_vars", vars)),
	}, nil
}

package modules

import (
	"context"
	"fmt"
	"strings"

	"farm/engine"
	"farm/inventory/value"
)

// groupModule manages groups of users.
type groupModule struct {
	// Name of the group.
	Name string `yaml:"name,required"`
	// Its number.
	GID string `yaml:"gid"`
	// present or absent.
	State string `yaml:"state"`
	// A number of the system's range.
	System bool `yaml:"system"`
}

const groupScript = `entry=$(getent group "$name" 2>/dev/null || grep "^$name:" /etc/group)
now=$(printf %s "$entry" | cut -d : -f 3)
if [ "$state" = absent ]; then
	[ -n "$entry" ] || exit 0
	say changed 1
	[ -z "$check" ] || exit 0
	if has groupdel; then groupdel "$name"; else need delgroup; delgroup "$name"; fi
	exit
fi
if [ -z "$entry" ]; then
	say changed 1
	[ -z "$check" ] || exit 0
	if has groupadd; then groupadd ${gid:+-g "$gid"} ${system:+-r} "$name" || exit
	else need addgroup; addgroup ${gid:+-g "$gid"} ${system:+-S} "$name" || exit; fi
elif [ -n "$gid" ] && [ "$gid" != "$now" ]; then
	say changed 1
	[ -z "$check" ] || exit 0
	need groupmod; groupmod -g "$gid" "$name" || exit
fi
say gid "$( (getent group "$name" 2>/dev/null || grep "^$name:" /etc/group) | cut -d : -f 3)"
`

// Validate checks what types cannot say.
func (m *groupModule) Validate() error {
	if !accountName(m.Name) {
		return errAccountName(m.Name)
	}
	if strings.Trim(m.GID, "0123456789") != "" {
		return fmt.Errorf("gid: %q is no number", m.GID)
	}
	return oneOf("state", m.State, "present", "absent")
}

// Run makes, changes or removes the group.
func (m *groupModule) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	if err := m.Validate(); err != nil {
		return failed("%v", err), nil
	}
	r, err := run(ctx, t, groupScript, map[string]string{
		"name": m.Name, "gid": m.GID, "state": m.State, "system": flag(m.System), "check": flag(t.Check)})
	if err != nil {
		return engine.Result{}, err
	}
	if !r.ok() {
		return r.failure("group " + m.Name), nil
	}
	values := value.NewDict("name", m.Name, "state", m.State)
	if m.State != "absent" {
		values.Set("system", m.System)
	}
	if t.Check && r.is("changed") {
		values = value.NewDict()
	}
	if r.has("gid") {
		values.Set("gid", r.number("gid", 10))
	}
	return engine.Result{Changed: r.is("changed"), Values: values}, nil
}

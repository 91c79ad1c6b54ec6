package modules

import (
	"context"
	"errors"
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
	// Another group may have the same number.
	NonUnique bool `yaml:"non_unique"`
	// Look at the host's own /etc/group alone, where other groups come from a directory service.
	Local bool `yaml:"local"`
}

const groupScript = `entry() { { [ -z "$local" ] && getent group "$name" 2>/dev/null; } || grep "^$name:" /etc/group; }
free() { # dies where another group of the host has the number
	[ -n "$local" ] && [ -n "$gid" ] || return 0
	other=$(while IFS=: read -r n _ g _; do [ "$g" != "$gid" ] || [ "$n" = "$name" ] || echo "$n"; done </etc/group | head -n 1)
	[ -z "$other" ] || [ -n "$same" ] || die "GID '$gid' already exists with group '$other'"
}
entry=$(entry)
now=$(printf %s "$entry" | cut -d : -f 3)
if [ "$state" = absent ]; then
	[ -n "$entry" ] || exit 0
	say changed 1
	[ -z "$check" ] || exit 0
	if [ -n "$local" ] && has lgroupdel; then lgroupdel "$name"
	elif has groupdel; then groupdel "$name"
	else need delgroup; delgroup "$name"; fi >&2
	exit
fi
if [ -z "$entry" ]; then
	free
	say changed 1
	[ -z "$check" ] || exit 0
	if [ -n "$local" ] && has lgroupadd; then lgroupadd ${gid:+-g "$gid"} ${system:+-r} "$name" >&2 || exit
	elif has groupadd; then groupadd ${gid:+-g "$gid"} ${same:+-o} ${system:+-r} "$name" || exit
	else need addgroup; addgroup ${gid:+-g "$gid"} ${system:+-S} "$name" || exit; fi
elif [ -n "$gid" ] && [ "$gid" != "$now" ]; then
	free
	say changed 1
	[ -z "$check" ] || exit 0
	if [ -n "$local" ] && has lgroupmod; then lgroupmod -g "$gid" "$name" >&2 || exit
	else need groupmod; groupmod -g "$gid" ${same:+-o} "$name" || exit; fi
fi
say gid "$(entry | cut -d : -f 3)"
`

// Validate checks what types cannot say.
func (m *groupModule) Validate() error {
	if !accountName(m.Name) {
		return errAccountName(m.Name)
	}
	if strings.Trim(m.GID, "0123456789") != "" {
		return fmt.Errorf("gid: %q is no number", m.GID)
	}
	if m.NonUnique && m.GID == "" {
		return errors.New("non_unique is True but all of the following are missing: gid")
	}
	return oneOf("state", m.State, "present", "absent")
}

// Run makes, changes or removes the group.
func (m *groupModule) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	if err := m.Validate(); err != nil {
		return failed("%v", err), nil
	}
	r, err := run(ctx, t, groupScript, map[string]string{
		"name": m.Name, "gid": m.GID, "state": m.State, "system": flag(m.System), "same": flag(m.NonUnique),
		"local": flag(m.Local), "check": flag(t.Check)})
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

package modules

import (
	"context"

	"farm/engine"
	"farm/inventory/value"
)

// hostnameModule sets the host's name, now and for the next boot.
type hostnameModule struct {
	// The name.
	Name string `yaml:"name,required"`
	// Accepted for compatibility.
	Use string `yaml:"use"`
}

const hostnameScript = `now=$(uname -n); kept=$(cat /etc/hostname 2>/dev/null)
say before "$now"
[ "$now" = "$name" ] && [ "${kept:-$name}" = "$name" ] && exit 0
say changed 1
[ -z "$check" ] || exit 0
if [ -d /run/systemd/system ] && has hostnamectl && hostnamectl set-hostname "$name" 2>/dev/null; then exit 0; fi
printf '%s\n' "$name" >/etc/hostname && hostname "$name"
`

// Run sets the name.
func (m *hostnameModule) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	r, err := run(ctx, t, hostnameScript, map[string]string{"name": m.Name, "check": flag(t.Check)})
	if err != nil {
		return engine.Result{}, err
	}
	if !r.ok() {
		return r.failure("hostname"), nil
	}
	return engine.Result{Changed: r.is("changed"), Values: value.NewDict("name", m.Name),
		Facts: value.NewDict("ansible_hostname", m.Name, "ansible_nodename", m.Name)}, nil
}

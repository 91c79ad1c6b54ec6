package modules

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"farm/engine"
	"farm/inventory/value"
)

// hostnameModule sets the host's name, now and for the next boot.
type hostnameModule struct {
	// The name.
	Name string `yaml:"name,required"`
	// Accepted for compatibility.
	Use string `yaml:"use"`

	root string // before the paths; "" but for tests
}

const hostnameScript = `now=$(uname -n); kept=$(cat "$root/etc/hostname" 2>/dev/null)
say before "$now"
[ "$now" != "$name" ] || [ "${kept:-$name}" != "$name" ] || exit 0
say changed 1
[ -z "$check" ] || exit 0
if [ -d "$root/run/systemd/system" ] && has hostnamectl && hostnamectl set-hostname "$name" 2>/dev/null; then exit 0; fi
printf '%s\n' "$name" >"$root/etc/hostname" || exit
if has hostname; then hostname "$name"; else printf %s "$name" >"$root/proc/sys/kernel/hostname"; fi
`

// hostName is what hostname(7) allows.
var hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,62}[A-Za-z0-9])?$`)

// Validate checks what types cannot say.
func (m *hostnameModule) Validate() error {
	if !hostName.MatchString(m.Name) {
		return fmt.Errorf("name: %q is no name of a host (letters, digits, dashes and dots, at most 64)", m.Name)
	}
	return nil
}

// Run sets the name.
func (m *hostnameModule) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	if err := m.Validate(); err != nil {
		return failed("%v", err), nil
	}
	r, err := run(ctx, t, hostnameScript, map[string]string{"name": m.Name, "check": flag(t.Check), "root": m.root})
	if err != nil {
		return engine.Result{}, err
	}
	if !r.ok() {
		return r.failure("hostname"), nil
	}
	short, domain, _ := strings.Cut(m.Name, ".")
	return engine.Result{Changed: r.is("changed"), Values: value.NewDict("name", m.Name), Facts: value.NewDict(
		"ansible_hostname", short, "ansible_nodename", m.Name, "ansible_fqdn", m.Name, "ansible_domain", domain)}, nil
}

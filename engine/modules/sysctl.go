package modules

import (
	"context"
	"strings"

	"farm/engine"
)

// sysctlModule sets parameters of the kernel.
type sysctlModule struct {
	// Name, such as net.ipv4.ip_forward.
	Name string `yaml:"name|key,required"`
	// Its value.
	Value *string `yaml:"value|val"`
	// present or absent.
	State string `yaml:"state"`
	// File that keeps it.
	File string `yaml:"sysctl_file"`
	// Set it in the running kernel too.
	Set bool `yaml:"sysctl_set"`
	// Have the file read again after a change.
	Reload bool `yaml:"reload"`
	// No error where the kernel does not have it.
	IgnoreErrors bool `yaml:"ignoreerrors"`
}

const sysctlScript = `changed() { say changed 1; [ -z "$check" ]; }
now=$(sed -n "s/^[[:space:]]*$(printf %s "$name" | sed 's/[.]/\\./g')[[:space:]]*=[[:space:]]*//p" "$file" 2>/dev/null | tail -n 1)
if [ "$state" = absent ]; then [ -n "$now" ] || exit 0; else [ "$now" = "$value" ] && same=1; fi
if [ -z "$same" ]; then
	changed || exit 0
	tmp=$file.$$.farm
	{ [ ! -e "$file" ] || sed "/^[[:space:]]*$(printf %s "$name" | sed 's/[.\/]/\\&/g')[[:space:]]*=/d" "$file"
	  [ "$state" = absent ] || printf '%s=%s\n' "$name" "$value"; } >"$tmp" && mv -f "$tmp" "$file" || exit
	if [ -n "$reload" ] && [ "$state" != absent ]; then need sysctl; sysctl ${ignore:+-e} -q -p "$file" >&2 || exit; fi
fi
if [ -n "$set" ] && [ "$state" != absent ]; then
	need sysctl
	[ "$(sysctl -n "$name" 2>/dev/null | tr '\t' ' ')" = "$value" ] || if changed; then sysctl ${ignore:+-e} -q -w "$name=$value" >&2 || exit; fi
fi
exit 0
`

// Validate checks what types cannot say.
func (m *sysctlModule) Validate() error {
	if m.State == "present" && m.Value == nil {
		return oneOf("value", "", "a value")
	}
	return oneOf("state", m.State, "present", "absent")
}

// Run sets the parameter.
func (m *sysctlModule) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	v := ""
	if m.Value != nil {
		v = strings.TrimSpace(*m.Value)
	}
	r, err := run(ctx, t, sysctlScript, map[string]string{
		"name": m.Name, "value": v, "state": m.State, "file": m.File, "set": flag(m.Set), "reload": flag(m.Reload),
		"ignore": flag(m.IgnoreErrors), "check": flag(t.Check)})
	if err != nil {
		return engine.Result{}, err
	}
	if !r.ok() {
		return r.failure("sysctl " + m.Name), nil
	}
	return engine.Result{Changed: r.is("changed")}, nil
}

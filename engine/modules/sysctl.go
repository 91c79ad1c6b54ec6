package modules

import (
	"context"
	"errors"
	"fmt"
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
norm() { tr -s ' \t' ' ' | sed 's/^ //; s/ $//'; }
file=$(readlink -f "$file" 2>/dev/null || printf %s "$file")
value=$(printf %s "$value" | norm)
# lines with KEY on their left, and the others; sysctl.d(5) lets a dash go before the key
split() {
	[ ! -e "$file" ] || awk -v key="$name" -v mine="$1" '{
		k = $0; i = index(k, "="); if (i) k = substr(k, 1, i - 1)
		gsub(/[ \t]/, "", k); sub(/^-/, "", k)
		is = (i && k == key)
		if (is && mine) print substr($0, i + 1)
		if (!is && !mine) print
	}' "$file"
}
now=$(split 1 | tail -n 1 | norm); same=''
if [ "$state" = absent ]; then [ -n "$now" ] || same=1
elif [ "$now" = "$value" ]; then same=1; fi
if [ -z "$same" ] && changed; then
	tmp=$(mktemp "$file.XXXXXX") || exit
	trap 'rm -f "$tmp"' EXIT
	chmod 644 "$tmp"
	[ ! -e "$file" ] || cp -p "$file" "$tmp" || exit
	{ split '' && { [ "$state" = absent ] || printf '%s=%s\n' "$name" "$value"; }; } >"$tmp" && mv -f "$tmp" "$file" || exit
	if [ -n "$reload" ]; then need sysctl; sysctl ${ignore:+-e} -q -p "$file" >&2 || exit; fi
fi
if [ -n "$set" ] && [ "$state" != absent ]; then
	need sysctl
	[ "$(sysctl -n "$name" 2>/dev/null | norm)" = "$value" ] ||
		if changed; then sysctl ${ignore:+-e} -q -w "$name=$value" >&2 || exit; fi
fi
exit 0
`

// Validate checks what types cannot say.
func (m *sysctlModule) Validate() error {
	if m.Name == "" || strings.ContainsAny(m.Name, " \t\n=") || m.Name[0] == '-' {
		return fmt.Errorf("name: %q is no name of a kernel parameter", m.Name)
	}
	if m.State == "present" && (m.Value == nil || strings.TrimSpace(*m.Value) == "") {
		return errors.New("value is missing")
	}
	if m.Value != nil && strings.Contains(strings.TrimSpace(*m.Value), "\n") {
		return errors.New("value: it is more than a line")
	}
	return oneOf("state", m.State, "present", "absent")
}

// Run sets the parameter.
func (m *sysctlModule) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	if err := m.Validate(); err != nil {
		return failed("%v", err), nil
	}
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

package modules

import (
	"context"

	"farm/engine"
	"farm/inventory/value"
)

// modprobeModule loads and unloads modules of the kernel.
type modprobeModule struct {
	// Name of the module.
	Name string `yaml:"name,required"`
	// present or absent.
	State string `yaml:"state"`
	// Parameters of the module.
	Params string `yaml:"params"`
	// present: load it at every boot; absent: no more; disabled: leave that alone.
	Persistent string `yaml:"persistent"`
}

const modprobeScript = `need modprobe
changed() { say changed 1; [ -z "$check" ]; }
loaded() {
	m=$(printf %s "$name" | tr - _)
	grep -q "^$m " /proc/modules || [ -d "/sys/module/$m" ] && return 0
	grep -qE "/$(printf %s "$name" | sed 's/[-_]/[-_]/g')\.ko" "/lib/modules/$(uname -r)/modules.builtin" 2>/dev/null
}
case $state in
present) loaded || if changed; then modprobe "$name" $params >&2 || exit; fi ;;
absent) ! loaded || if changed; then modprobe -r "$name" >&2 || exit; fi ;;
esac
conf=/etc/modules-load.d/$name.conf
case $persistent in
present) grep -qx "$name" "$conf" 2>/dev/null || if changed; then mkdir -p /etc/modules-load.d && echo "$name" >"$conf" || exit; fi ;;
absent) [ ! -e "$conf" ] || if changed; then rm -f "$conf" || exit; fi ;;
esac
exit 0
`

// Validate checks what types cannot say.
func (m *modprobeModule) Validate() error {
	if !plainWord(m.Name) {
		return errAccountName(m.Name)
	}
	return oneOf("state", m.State, "present", "absent")
}

// Run loads or unloads.
func (m *modprobeModule) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	r, err := run(ctx, t, modprobeScript, map[string]string{
		"name": m.Name, "state": m.State, "params": m.Params, "persistent": m.Persistent, "check": flag(t.Check)})
	if err != nil {
		return engine.Result{}, err
	}
	if !r.ok() {
		return r.failure("modprobe " + m.Name), nil
	}
	return engine.Result{Changed: r.is("changed"), Values: value.NewDict("name", m.Name, "params", m.Params, "state", m.State)}, nil
}

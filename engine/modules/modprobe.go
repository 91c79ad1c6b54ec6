package modules

import (
	"context"
	"fmt"
	"strings"

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

	root string // before the paths; "" but for tests
}

const modprobeScript = `need modprobe
changed() { say changed 1; [ -z "$check" ]; }
loaded() {
	[ -d "$root/sys/module/$(printf %s "$name" | tr - _)" ] && return 0
	grep -qE "/$(printf %s "$name" | sed 's/[-_]/[-_]/g')\.ko" "$root/lib/modules/$(uname -r)/modules.builtin" 2>/dev/null
}
keep() { # FILE LINE: the file holds just that line
	[ "$(cat "$1" 2>/dev/null)" != "$2" ] || return 0
	changed || return 0
	mkdir -p "$(dirname "$1")" && printf '%s\n' "$2" >"$1"
}
drop() {
	[ -e "$1" ] || return 0
	changed || return 0
	rm -f "$1"
}
case $state in
present) loaded || if changed; then modprobe -- "$name" $params >&2 || exit; fi ;;
absent) ! loaded || if changed; then modprobe -r -- "$name" >&2 || exit; fi ;;
esac
load=$root/etc/modules-load.d/$name.conf options=$root/etc/modprobe.d/$name.conf
case $persistent in
present)
	keep "$load" "$name" || exit
	[ -z "$params" ] || keep "$options" "options $name $params" || exit ;;
absent) drop "$load" && drop "$options" || exit ;;
esac
exit 0
`

// Validate checks what types cannot say.
func (m *modprobeModule) Validate() error {
	if !plainWord(m.Name) || strings.ContainsAny(m.Name, "/*?.") {
		return fmt.Errorf("name: %q is no name of a kernel module", m.Name)
	}
	if strings.ContainsAny(m.Params, "\n*?[") {
		return fmt.Errorf("params: %q are no parameters of a kernel module", m.Params)
	}
	if m.Persistent != "" {
		if err := oneOf("persistent", m.Persistent, "disabled", "present", "absent"); err != nil {
			return err
		}
	}
	return oneOf("state", m.State, "present", "absent")
}

// Run loads or unloads.
func (m *modprobeModule) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	if err := m.Validate(); err != nil {
		return failed("%v", err), nil
	}
	r, err := run(ctx, t, modprobeScript, map[string]string{
		"name": m.Name, "state": m.State, "params": m.Params, "persistent": m.Persistent, "check": flag(t.Check), "root": m.root})
	if err != nil {
		return engine.Result{}, err
	}
	if !r.ok() {
		return r.failure("modprobe " + m.Name), nil
	}
	return engine.Result{Changed: r.is("changed"), Values: value.NewDict("name", m.Name, "params", m.Params, "state", m.State)}, nil
}

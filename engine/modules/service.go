package modules

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"farm/engine"
	"farm/inventory/value"
)

// serviceModule starts, stops and enables services, with systemd, OpenRC or init scripts.
type serviceModule struct {
	// Name of the service or unit.
	Name string `yaml:"name|unit|service"`
	// started, stopped, restarted or reloaded.
	State string `yaml:"state"`
	// Start it at boot.
	Enabled *bool `yaml:"enabled"`
	// Make it impossible to start (systemd).
	Masked *bool `yaml:"masked"`
	// Have systemd read its units again first.
	DaemonReload bool `yaml:"daemon_reload|daemon-reload"`
	// Have systemd start itself anew first.
	DaemonReexec bool `yaml:"daemon_reexec|daemon-reexec"`
	// system, user or global (systemd).
	Scope string `yaml:"scope"`
	// Do not wait (systemd).
	NoBlock bool `yaml:"no_block"`
	// Seconds between stop and start of a restart.
	Sleep int `yaml:"sleep"`
	// Runlevel (OpenRC).
	Runlevel string `yaml:"runlevel"`
	// Accepted for compatibility.
	Use string `yaml:"use"`
	// Accepted for compatibility.
	Pattern string `yaml:"pattern"`
	// Accepted for compatibility.
	Args string `yaml:"arguments|args"`

	systemd bool
	root    string // before the paths of the service managers; "" but for tests
}

const serviceScript = `changed() { say changed 1; [ -z "$check" ]; }
if [ -d "$root/run/systemd/system" ] && has systemctl; then
	s="systemctl ${scope:+--$scope} ${noblock:+--no-block}"
	[ -z "$reexec" ] || [ -n "$check" ] || $s daemon-reexec || exit
	[ -z "$reload" ] || [ -n "$check" ] || $s daemon-reload || exit
	[ -n "$name" ] || exit 0
	load=$($s show -p LoadState -- "$name" 2>/dev/null | sed 's/^LoadState=//')
	[ "$load" != not-found ] || [ "$masked" = yes ] || die "there is no service \"$name\""
	is_active() { a=$($s is-active -- "$name" 2>/dev/null); [ "$a" = active ] || [ "$a" = activating ] || [ "$a" = reloading ]; }
	is_enabled() { e=$($s is-enabled -- "$name" 2>/dev/null); case $e in enabled | enabled-runtime | static | alias | indirect | generated) return 0 ;; esac; return 1; }
	act() { $s "$1" -- "$name"; }
	case $masked:$load in yes:masked) ;; yes:*) if changed; then act mask >&2 || exit; fi ;; no:masked) if changed; then act unmask >&2 || exit; fi ;; esac
elif [ "$only_systemd" = 1 ]; then die "systemd does not run on this host"
elif has rc-service; then
	rc-service -e "$name" || die "there is no service \"$name\""
	is_active() { rc-service "$name" status >/dev/null 2>&1; }
	is_enabled() { rc-update show "${level:-default}" 2>/dev/null | grep -q "^[[:space:]]*${name}[[:space:]]*|"; }
	act() { case $1 in enable) rc-update -q add "$name" "${level:-default}" ;; disable) rc-update -q del "$name" "${level:-default}" ;; *) rc-service "$name" "$1" ;; esac; }
elif [ -x "$root/etc/init.d/$name" ] || has service; then
	[ -x "$root/etc/init.d/$name" ] || service "$name" status >/dev/null 2>&1 || [ -e "$root/etc/rc.d/$name" ] || die "there is no service \"$name\""
	is_active() { service "$name" status >/dev/null 2>&1; }
	is_enabled() { ls "$root"/etc/rc[2345].d/S??"$name" >/dev/null 2>&1; }
	act() { case $1 in enable | disable) need update-rc.d; update-rc.d "$name" "$1" ;; *) service "$name" "$1" ;; esac; }
else die "no service manager that farm knows runs on this host (systemd, OpenRC, init scripts)"; fi
case $enabled in
yes) is_enabled || if changed; then act enable >&2 || exit; fi ;;
no) ! is_enabled || if changed; then act disable >&2 || exit; fi ;;
esac
case $state in
started) is_active || if changed; then act start >&2 || exit; fi ;;
stopped) ! is_active || if changed; then act stop >&2 || exit; fi ;;
restarted)
	if changed; then
		if [ -n "$sleep" ]; then act stop >&2 || exit; sleep "$sleep"; act start >&2 || exit; else act restart >&2 || exit; fi
	fi ;;
reloaded) if changed; then if is_active; then act reload >&2; else act start >&2; fi || exit; fi ;;
esac
exit 0
`

// Validate checks what types cannot say.
func (m *serviceModule) Validate() error {
	if strings.HasPrefix(m.Name, "-") || strings.ContainsAny(m.Name, "/ \t\n") {
		return fmt.Errorf("name: %q is no name of a service", m.Name)
	}
	if m.Name == "" && !(m.systemd && (m.DaemonReload || m.DaemonReexec) && m.State == "" && m.Enabled == nil && m.Masked == nil) {
		return errors.New("name is missing")
	}
	if m.Scope != "" {
		if err := oneOf("scope", m.Scope, "system", "user", "global"); err != nil {
			return err
		}
	}
	if m.State == "" {
		return nil
	}
	return oneOf("state", m.State, "started", "stopped", "restarted", "reloaded")
}

// Run brings the service into the state.
func (m *serviceModule) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	if err := m.Validate(); err != nil {
		return failed("%v", err), nil
	}
	scope := m.Scope
	if scope == "system" {
		scope = ""
	}
	sleep := ""
	if m.Sleep > 0 {
		sleep = number(int64(m.Sleep))
	}
	r, err := run(ctx, t, serviceScript, map[string]string{
		"name": m.Name, "state": m.State, "enabled": yesNo(m.Enabled), "masked": yesNo(m.Masked), "reload": flag(m.DaemonReload),
		"reexec": flag(m.DaemonReexec), "scope": scope, "noblock": flag(m.NoBlock), "sleep": sleep, "level": m.Runlevel,
		"only_systemd": flag(m.systemd), "check": flag(t.Check), "root": m.root,
	})
	if err != nil {
		return engine.Result{}, err
	}
	if !r.ok() {
		return r.failure("service " + m.Name), nil
	}
	values := value.NewDict("name", m.Name)
	switch m.State {
	case "":
	case "stopped":
		values.Set("state", "stopped")
	default:
		values.Set("state", "started")
	}
	if m.Enabled != nil {
		values.Set("enabled", *m.Enabled)
	}
	return engine.Result{Changed: r.is("changed"), Values: values}, nil
}

// yesNo is a boolean that may be absent, for a script.
func yesNo(b *bool) string {
	switch {
	case b == nil:
		return ""
	case *b:
		return "yes"
	}
	return "no"
}

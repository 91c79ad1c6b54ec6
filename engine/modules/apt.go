package modules

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"farm/engine"
	"farm/inventory/value"
)

// aptModule manages Debian packages with apt-get. What is installed already costs one
// round trip.
type aptModule struct {
	// Packages: NAME, NAME=VERSION, NAME/SUITE, or paths of .deb files on the host.
	Name []string `yaml:"name|pkg|package"`
	// A .deb file on the host.
	Deb string `yaml:"deb"`
	// present, latest, absent, build-dep or fixed.
	State string `yaml:"state"`
	// Run apt-get update first.
	UpdateCache bool `yaml:"update_cache|update-cache"`
	// Do not update if the lists are younger than this many seconds.
	CacheValidTime int64 `yaml:"cache_valid_time"`
	// How often an update that failed is tried again.
	UpdateRetries int64 `yaml:"update_cache_retries"`
	// Upgrade all packages: yes, safe, full, dist or no.
	Upgrade any `yaml:"upgrade"`
	// Install recommended packages; default as apt is configured.
	InstallRecommends *bool `yaml:"install_recommends|install-recommends"`
	// Remove dependencies that nothing needs any more.
	Autoremove bool `yaml:"autoremove"`
	// Remove configuration files too.
	Purge bool `yaml:"purge"`
	// Suite to take packages from.
	DefaultRelease string `yaml:"default_release|default-release"`
	// Install what is not signed.
	AllowUnauthenticated bool `yaml:"allow_unauthenticated|allow-unauthenticated"`
	// Install an older version than there is.
	AllowDowngrade bool `yaml:"allow_downgrade"`
	// Seconds to wait for another apt to end.
	LockTimeout int64 `yaml:"lock_timeout"`
	// Options for dpkg, separated by commas.
	DpkgOptions string `yaml:"dpkg_options"`
	// Change packages that are on hold.
	AllowHeld bool `yaml:"allow_change_held_packages"`
	// Fail rather than remove another package.
	FailOnAutoremove bool `yaml:"fail_on_autoremove"`
	// Leave out what is not installed yet.
	OnlyUpgrade bool `yaml:"only_upgrade"`
	// Do what apt asks twice for: packages that are not signed, downgrades, held and essential ones.
	Force bool `yaml:"force"`
	// What services are told that a package starts: 101 keeps them from starting; none by default.
	PolicyRCD *int `yaml:"policy_rc_d"`
	// Remove all downloaded packages afterwards.
	Clean bool `yaml:"clean"`
	// Remove downloaded packages afterwards that cannot be fetched any more.
	Autoclean bool `yaml:"autoclean"`
	// Accepted; apt-get is what is used always.
	ForceAptGet bool `yaml:"force_apt_get"`

	root string // before the paths of apt's own files; "" but for tests
}

const aptScript = `need apt-get dpkg-query
export DEBIAN_FRONTEND=noninteractive DEBIAN_PRIORITY=critical APT_LISTCHANGES_FRONTEND=none
lists=$root/var/lib/apt/lists
success=$root/var/lib/apt/periodic/update-success-stamp
stamp() { # prints when the lists were fetched, in seconds since 1970
	at=0
	for f in "$success" "$lists"; do
		[ -e "$f" ] || continue
		n=$(stat -c %Y "$f" 2>/dev/null || date -r "$f" +%s)
		[ "${n:-0}" -le "$at" ] || at=$n
	done
	echo "$at"
}
empty() { # images are made without lists, whatever the time of the folder
	for f in "$lists"/*_Packages* "$lists"/*Release; do [ ! -e "$f" ] || return 1; done
	return 0
}
releases() { cat "$lists"/*Release 2>/dev/null | cksum; }
update() {
	n=0
	while ! apt-get -q -y -o DPkg::Lock::Timeout="$lock" update >&2; do
		n=$((n + 1)); [ "$n" -lt "$retries" ] || return 1
		sleep "$n"
	done
	touch "$lists"
	[ ! -e "$success" ] || touch "$success"
}
status() { # prints STATUS VERSION of the package NAME
	dpkg-query -W -f '${db:Status-Status} ${Version}\n' -- "$1" 2>/dev/null | sort | sed -n '/^installed /{p;q;}; $p'
}
installed() { # NAME[=VERSION]
	farm_s=$(status "${1%%=*}")
	case $farm_s in
	'installed '*) case $1 in
		*=*) # the version may be a pattern
			case ${farm_s#installed } in ${1#*=}) return 0 ;; esac
			return 1 ;;
		esac
		return 0 ;;
	esac
	case $1 in *=*) return 1 ;; esac
	[ "$state" != absent ] || return 1
	# a virtual package counts when something provides it
	dpkg-query -W -f '${db:Status-Status} ${Provides},\n' 2>/dev/null | grep '^installed .*[a-z]' |
		tr ' ' ',' | grep -qF -- ",$1,"
}
traces() { # NAME: of it configuration files are left
	[ -n "$purge" ] && case $(status "${1%%=*}") in config-files*) return 0 ;; esac
	return 1
}
fresh=1
if [ -n "$update_cache" ]; then
	now=$(date +%s)
	if [ "$valid" = 0 ] || empty || [ $((now - $(stamp))) -gt "$valid" ]; then fresh=; fi
fi
set -f
todo=
for p; do
	case $p in
	*/*) ;;
	*.deb) p=./$p ;;
	esac
	case $state:$p in
	absent:*[*?]* | build-dep:* | latest:* | *:*/*) todo="$todo $p" ;;
	absent:*) if installed "$p" || traces "$p"; then todo="$todo $p"; fi ;;
	*:*=*) installed "$p" || todo="$todo $p" ;;
	*:*[*?]*) todo="$todo $p" ;;
	*) installed "$p" || todo="$todo $p" ;;
	esac
done
if [ -z "$fresh" ]; then
	if [ -z "$check" ]; then
		set +f
		before=$(releases)
		update || die "apt-get update failed, $retries times"
		[ "$before" = "$(releases)" ] || say moved 1
		set -f
	else say moved 1; fi
	say updated 1
fi
say cache_time "$(stamp)"
[ -n "$todo$upgrade$autoremove$clean$autoclean" ] || [ "$state" = fixed ] || exit 0
opts="-q -y -o DPkg::Lock::Timeout=$lock"
[ -z "$check" ] || opts="$opts -s"
[ "$recommends" != no ] || opts="$opts --no-install-recommends"
[ "$recommends" != yes ] || opts="$opts -o APT::Install-Recommends=yes"
[ -z "$unsigned" ] || opts="$opts --allow-unauthenticated"
[ -z "$downgrade" ] || opts="$opts --allow-downgrades"
[ -z "$held" ] || opts="$opts --allow-change-held-packages"
[ -z "$force" ] || opts="$opts --allow-unauthenticated --allow-downgrades --allow-change-held-packages --allow-remove-essential"
[ -z "$keep" ] || opts="$opts --no-remove"
[ -z "$autoremove" ] || [ "$state" != absent ] || opts="$opts --auto-remove"
[ -z "$purge" ] || opts="$opts --purge"
for o in $dpkg; do opts="$opts -o Dpkg::Options::=--$o"; done
log=$(mktemp) || die "no temporary file can be made"
rcd=$root/usr/sbin/policy-rc.d own=
trap 'rm -f "$log" "$log.rc"
	if [ -n "$own" ]; then rm -f "$rcd"; [ ! -e "$rcd.farm" ] || mv "$rcd.farm" "$rcd"; fi' EXIT
if [ -n "$policy" ] && [ -z "$check" ]; then
	[ ! -e "$rcd" ] || mv "$rcd" "$rcd.farm" || exit
	own=1
	printf '#!/bin/sh\nexit %s\n' "$policy" >"$rcd" && chmod 755 "$rcd" || exit
fi
act() {
	{ apt-get $opts ${release:+-t "$release"} "$@" 2>&1; echo $? >"$log.rc"; } | tee "$log"
	rc=$(cat "$log.rc")
	if [ "$rc" != 0 ]; then
		grep '^[EW]: ' "$log" >&2 || tail -n 5 "$log" >&2
		exit "$rc"
	fi
	if grep -qE '^(Inst|Remv|Purg|Conf) |^[1-9][0-9]* upgraded|, [1-9][0-9]* (newly |re)installed|, [1-9][0-9]* to remove|, [1-9][0-9]* downgraded|^[1-9][0-9]* not fully installed' "$log"; then
		say changed 1
	fi
}
case $upgrade in
'') ;;
full | dist) act dist-upgrade ;;
safe) act upgrade --with-new-pkgs ;;
*) act upgrade ;;
esac
if [ -n "$todo" ]; then
	case $state in
	absent) act remove $todo ;;
	build-dep) act build-dep $todo ;;
	*) act install ${only:+--only-upgrade} $todo ;;
	esac
elif [ -n "$autoremove" ] && [ $# = 0 ]; then act autoremove; fi
[ "$state" != fixed ] || act -f install
[ -z "$clean" ] || [ -n "$check" ] || apt-get clean >&2 || exit
[ -z "$autoclean" ] || [ -n "$check" ] || apt-get -q autoclean >&2 || exit
exit 0
`

// Validate checks what types cannot say.
func (m *aptModule) Validate() error {
	for _, n := range append(slices.Clone(m.Name), m.Deb) {
		if n != "" && !plainWord(n) {
			return fmt.Errorf("name: %q is no name of a package", n)
		}
	}
	if _, err := m.upgradeMode(); err != nil {
		return err
	}
	if m.DefaultRelease != "" && !plainWord(m.DefaultRelease) {
		return fmt.Errorf("default_release: %q is no name of a suite", m.DefaultRelease)
	}
	return oneOf("state", m.State, "present", "installed", "latest", "absent", "removed", "build-dep", "fixed")
}

// Run installs, upgrades or removes.
func (m *aptModule) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	if err := m.Validate(); err != nil {
		return failed("%v", err), nil
	}
	upgrade, _ := m.upgradeMode() // Validate has seen its error
	names := m.Name
	if m.Deb != "" {
		names = append(names, m.Deb)
	}
	recommends := ""
	if m.InstallRecommends != nil {
		recommends = map[bool]string{true: "yes", false: "no"}[*m.InstallRecommends]
	}
	r, err := script{Text: aptScript, Args: names, Vars: map[string]string{
		"state": canonical(m.State), "update_cache": flag(m.UpdateCache || m.CacheValidTime > 0), "valid": number(m.CacheValidTime),
		"retries": number(m.UpdateRetries), "lock": number(m.LockTimeout), "check": flag(t.Check), "recommends": recommends,
		"unsigned": flag(m.AllowUnauthenticated), "downgrade": flag(m.AllowDowngrade), "autoremove": flag(m.Autoremove),
		"purge": flag(m.Purge), "release": m.DefaultRelease, "upgrade": upgrade, "dpkg": m.dpkgOptions(),
		"held": flag(m.AllowHeld), "keep": flag(m.FailOnAutoremove), "force": flag(m.Force), "policy": count(m.PolicyRCD), "only": flag(m.OnlyUpgrade),
		"clean": flag(m.Clean), "autoclean": flag(m.Autoclean), "root": m.root,
	}}.runShown(ctx, t)
	if err != nil {
		return engine.Result{}, err
	}
	if !r.ok() {
		return r.failure("apt-get"), nil
	}
	// As with Ansible an update alone is a change where it fetched something new.
	changed := r.is("changed") || r.is("moved") && len(names) == 0 && upgrade == ""
	return engine.Result{Changed: changed, Values: value.NewDict(
		"stdout", text(r.stdout()), "stderr", text(r.stderr()), "stdout_lines", lines(text(r.stdout())), "stderr_lines", lines(text(r.stderr())),
		"cache_updated", r.is("updated"), "cache_update_time", r.number("cache_time", 10))}, nil
}

func (m *aptModule) upgradeMode() (string, error) {
	switch u := m.Upgrade.(type) {
	case nil:
		return "", nil
	case bool:
		if u {
			return "yes", nil
		}
		return "", nil
	case string:
		if u == "no" {
			return "", nil
		}
		return u, oneOf("upgrade", u, "yes", "safe", "full", "dist")
	}
	return "", oneOf("upgrade", value.Text(m.Upgrade), "yes", "safe", "full", "dist", "no")
}

func (m *aptModule) dpkgOptions() string {
	var opts []string
	for o := range strings.SplitSeq(m.DpkgOptions, ",") {
		if o = strings.TrimSpace(o); o != "" && plainWord(o) {
			opts = append(opts, o)
		}
	}
	if len(opts) == 0 {
		opts = []string{"force-confdef", "force-confold"}
	}
	return strings.Join(opts, " ")
}

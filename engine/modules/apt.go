package modules

import (
	"context"
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
	// Accepted; apt-get is what is used always.
	ForceAptGet bool `yaml:"force_apt_get"`
}

const aptScript = `need apt-get dpkg-query
export DEBIAN_FRONTEND=noninteractive DEBIAN_PRIORITY=critical APT_LISTCHANGES_FRONTEND=none
lists=/var/lib/apt/lists
stamp() { # when the lists were fetched, in seconds
	for f in /var/lib/apt/periodic/update-success-stamp "$lists"; do
		[ -e "$f" ] && { stat -c %Y "$f" 2>/dev/null || date -r "$f" +%s; } && return
	done
	echo 0
}
empty() { set -- "$lists"/*_Packages* "$lists"/*_InRelease; for f; do [ -e "$f" ] && return 1; done; return 0; }
update() {
	n=0
	while ! apt-get -q -y -o DPkg::Lock::Timeout="$lock" update >&2; do
		n=$((n + 1)); [ "$n" -lt "$retries" ] || return 1
		sleep $n
	done
	mkdir -p /var/lib/apt/periodic && : >/var/lib/apt/periodic/update-success-stamp
}
installed() { # NAME[=VERSION]
	v=$(dpkg-query -W -f '${db:Status-Status} ${Version}\n' "${1%%=*}" 2>/dev/null | sed -n 's/^installed //p' | head -n 1)
	[ -n "$v" ] || { case $1 in *=*) return 1 ;; esac
		# a virtual package counts when something provides it
		dpkg-query -W -f '${db:Status-Status} ${Provides}\n' 2>/dev/null |
			grep '^installed ' | grep -qE "[ ,]$(printf %s "$1" | sed 's/[.+]/\\&/g')( |,|\$)" || return 1; return 0; }
	case $1 in *=*) case $v in ${1#*=}) ;; *) return 1 ;; esac ;; esac
}
fresh=1
if [ -n "$update_cache" ]; then
	now=$(date +%s); at=$(stamp)
	if [ "$valid" = 0 ] || empty || [ $((now - at)) -gt "$valid" ]; then fresh=; fi
fi
todo=
for p; do
	case $state:$p in
	absent:*) installed "$p" && todo="$todo $p" ;;
	build-dep:* | latest:* | *:*/*) todo="$todo $p" ;;
	*) installed "$p" || todo="$todo $p" ;;
	esac
done
if [ -z "$fresh" ] && [ -z "$check" ]; then
	before=$(cat "$lists"/*Release 2>/dev/null | cksum)
	update || die "apt-get update failed"
	[ "$before" = "$(cat "$lists"/*Release 2>/dev/null | cksum)" ] || say moved 1
	say updated 1
fi
say cache_time "$(stamp)"
opts="-q -y -o DPkg::Lock::Timeout=$lock"
[ -z "$check" ] || opts="$opts -s"
[ "$recommends" != no ] || opts="$opts --no-install-recommends"
[ "$recommends" != yes ] || opts="$opts -o APT::Install-Recommends=yes"
[ -z "$unsigned" ] || opts="$opts --allow-unauthenticated"
[ -z "$downgrade" ] || opts="$opts --allow-downgrades"
[ -z "$autoremove" ] || [ "$state" != absent ] || opts="$opts --auto-remove"
for o in $dpkg; do opts="$opts -o Dpkg::Options::=--$o"; done
log=$(mktemp) || die "no temporary file"
trap 'rm -f "$log"' EXIT
act() {
	{ apt-get $opts ${release:+-t "$release"} "$@" 2>&1; echo $? >"$log.rc"; } | tee -a "$log"
	rc=$(cat "$log.rc"); rm -f "$log.rc"
	[ "$rc" = 0 ] || { tail -n 5 "$log" >&2; exit "$rc"; }
	grep -qE '^(Inst|Remv|Purg) |^([1-9][0-9]*) upgraded|, [1-9][0-9]* newly installed|, [1-9][0-9]* to remove|[1-9][0-9]* downgraded' "$log" && say changed 1
	return 0
}
case $upgrade in
'') ;;
full | dist) act dist-upgrade ;;
safe) act upgrade --with-new-pkgs ;;
*) act upgrade ;;
esac
if [ -n "$todo" ]; then
	case $state in
	absent) act ${purge:+--purge} remove $todo ;;
	build-dep) act build-dep $todo ;;
	*) act install $todo ;;
	esac
elif [ -n "$autoremove" ] && [ $# = 0 ]; then act autoremove; fi
[ "$state" != fixed ] || act -f install
exit 0
`

// Validate checks what types cannot say.
func (m *aptModule) Validate() error {
	return oneOf("state", m.State, "present", "installed", "latest", "absent", "removed", "build-dep", "fixed")
}

// Run installs, upgrades or removes.
func (m *aptModule) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	upgrade, err := m.upgradeMode()
	if err != nil {
		return failed("%v", err), nil
	}
	names := m.Name
	if m.Deb != "" {
		names = append(names, m.Deb)
	}
	for _, n := range names {
		if !plainWord(n) {
			return failed("%q is no name of a package", n), nil
		}
	}
	recommends := ""
	if m.InstallRecommends != nil {
		recommends = map[bool]string{true: "yes", false: "no"}[*m.InstallRecommends]
	}
	r, err := script{Text: aptScript, Args: names, Stdout: outputOf(t), Vars: map[string]string{
		"state": canonical(m.State), "update_cache": flag(m.UpdateCache || m.CacheValidTime > 0), "valid": number(m.CacheValidTime),
		"retries": number(m.UpdateRetries), "lock": number(m.LockTimeout), "check": flag(t.Check), "recommends": recommends,
		"unsigned": flag(m.AllowUnauthenticated), "downgrade": flag(m.AllowDowngrade), "autoremove": flag(m.Autoremove),
		"purge": flag(m.Purge), "release": m.DefaultRelease, "upgrade": upgrade, "dpkg": m.dpkgOptions(),
	}}.run(ctx, t)
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

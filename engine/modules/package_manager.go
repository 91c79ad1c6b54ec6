package modules

import (
	"context"
	"fmt"
	"strings"

	"farm/engine"
	"farm/inventory/value"
)

// managerModule manages packages with dnf, apk, pacman or zypper.
type managerModule struct {
	// Packages; for dnf and zypper also NAME-VERSION, URLs and files on the host.
	Name []string `yaml:"name|pkg|package"`
	// present, latest or absent.
	State string `yaml:"state"`
	// Fetch the lists of packages first.
	UpdateCache bool `yaml:"update_cache|update-cache"`
	// Upgrade all packages.
	Upgrade any `yaml:"upgrade"`
	// Install recommended packages, where the manager knows them.
	InstallRecommends *bool `yaml:"install_recommends|install-recommends"`
	// Remove what needs the packages too (pacman: --cascade).
	Force bool `yaml:"force"`
	// With absent: remove dependencies that nothing needs any more.
	Autoremove bool `yaml:"autoremove"`
	// Further options of the manager.
	ExtraArgs string `yaml:"extra_args"`
	// Repositories to use besides (dnf).
	EnableRepo []string `yaml:"enablerepo"`
	// Repositories not to use (dnf).
	DisableRepo []string `yaml:"disablerepo"`
	// Do not check signatures (dnf, zypper).
	DisableGPGCheck bool `yaml:"disable_gpg_check"`

	manager string
}

// manager returns a constructor for one package manager.
func manager(name string) func() engine.Module {
	return func() engine.Module { return &managerModule{State: "present", manager: name} }
}

// managerScripts define for each manager, over PACKAGE names: have and there (by what it
// provides, and by its own name), pending (an upgrade of it waits), refresh, install,
// remove, upgrade, and list (all that is installed).
var managerScripts = map[string]string{
	"dnf": `if has dnf; then m=dnf; elif has yum; then m=yum; else need dnf; fi
need rpm
have() { there "$1" || rpm -q --whatprovides -- "$1" >/dev/null 2>&1; }
there() { rpm -q -- "$1" >/dev/null 2>&1; }
pending() { $m -q -y $extra check-update "$@" >/dev/null 2>&1; [ $? = 100 ]; }
refresh() { $m -q -y $extra makecache; }
install() { $m -y $extra install "$@"; }
latest() { install "$@" && $m -y $extra upgrade "$@"; }
remove() { $m -y $extra ${autoremove:+--setopt=clean_requirements_on_remove=True} remove "$@"; }
upgrade() { $m -y $extra upgrade; }
list() { rpm -qa; }
`,
	"apk": `need apk
have() { apk info -e "$1" >/dev/null 2>&1; }
there() { have "$1"; }
pending() { apk add -u -s $extra "$@" 2>/dev/null | grep -q '^([0-9]'; }
refresh() { apk update; }
install() { apk add $extra "$@"; }
latest() { apk add -u $extra "$@"; }
remove() { apk del $extra "$@"; }
upgrade() { apk upgrade $extra; }
list() { apk info -v; }
`,
	"pacman": `need pacman
have() { pacman -T -- "$1" >/dev/null 2>&1 || there "$1"; }
there() { pacman -Q -- "$1" >/dev/null 2>&1 || { g=$(pacman -Sgq -- "$1" 2>/dev/null) && [ -n "$g" ] && pacman -Q $g >/dev/null 2>&1; }; }
pending() { pacman -Qu "$@" 2>/dev/null | grep -qv '\[ignored\]$'; }
refresh() { pacman -Sy --noconfirm --noprogressbar; }
install() { pacman -S --noconfirm --noprogressbar --needed $extra "$@"; }
latest() { install "$@"; }
remove() { pacman -R --noconfirm --noprogressbar ${force:+--cascade} ${autoremove:+--recursive} $extra "$@"; }
upgrade() { pacman -Su --noconfirm --noprogressbar $extra; }
list() { pacman -Q; }
`,
	"zypper": `need zypper rpm
# the statuses above 100 are no errors, but for a package that is not found (zypper(8))
z() { zypper -n ${nogpg:+--no-gpg-checks} "$@"; farm_z=$?; case $farm_z in 10[0-3] | 106) return 0 ;; esac; return $farm_z; }
have() { there "$1" || rpm -q --whatprovides -- "$1" >/dev/null 2>&1; }
there() { rpm -q -- "$1" >/dev/null 2>&1; }
pending() { z install --dry-run $extra "$@" 2>/dev/null | grep -qE 'going to be (installed|upgraded|updated)'; }
refresh() { z -q refresh; }
install() { z install $extra "$@"; }
latest() { install "$@"; }
remove() { z remove ${autoremove:+--clean-deps} $extra "$@"; }
upgrade() { z update $extra; }
list() { rpm -qa; }
`,
}

const managerScript = `set -f
todo='' old=''
for p; do
	case $state:$p in
	latest:'*') upgrade=1 ;;
	absent:*) if there "$p"; then todo="$todo $p"; fi ;;
	*) if ! have "$p"; then todo="$todo $p"; elif [ "$state" = latest ]; then old="$old $p"; fi ;;
	esac
done
if [ -n "$refresh_cache" ] && [ -z "$check" ]; then
	refresh >&2 || die "the lists of packages could not be fetched"
	say updated 1
fi
if [ -n "$check" ]; then
	if [ -n "$todo" ] || { [ -n "$old" ] && pending $old; } || { [ -n "$upgrade" ] && pending; }; then say changed 1; fi
	exit 0
fi
[ -n "$todo$old$upgrade" ] || exit 0
before=$(list | sort)
if [ -n "$upgrade" ]; then upgrade || exit; fi
case $state:$todo:$old in
*::) ;;
absent:*) remove $todo || exit ;;
latest:*) latest $todo $old || exit ;;
*) install $todo || exit ;;
esac
[ "$before" = "$(list | sort)" ] || say changed 1
`

// Validate checks what types cannot say.
func (m *managerModule) Validate() error {
	for _, n := range m.Name {
		if !plainWord(n) {
			return fmt.Errorf("name: %q is no name of a package", n)
		}
	}
	if m.Upgrade != nil {
		if _, err := value.ParseBool(m.Upgrade); err != nil {
			return fmt.Errorf("upgrade: %w", err)
		}
	}
	for name, set := range map[string]bool{"enablerepo": m.EnableRepo != nil, "disablerepo": m.DisableRepo != nil} {
		if set && m.manager != "dnf" {
			return fmt.Errorf("%s: %s has no such option", name, m.manager)
		}
	}
	if m.DisableGPGCheck && m.manager != "dnf" && m.manager != "zypper" {
		return fmt.Errorf("disable_gpg_check: %s has no such option", m.manager)
	}
	return oneOf("state", m.State, "present", "installed", "latest", "absent", "removed")
}

// Run installs, upgrades or removes.
func (m *managerModule) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	if err := m.Validate(); err != nil {
		return failed("%v", err), nil
	}
	upgrade := false
	if m.Upgrade != nil {
		upgrade, _ = value.ParseBool(m.Upgrade) // Validate has seen its error
	}
	extra := append(strings.Fields(m.ExtraArgs), options(m)...)
	r, err := script{Text: managerScripts[m.manager] + managerScript, Args: m.Name, Vars: map[string]string{
		"state": canonical(m.State), "refresh_cache": flag(m.UpdateCache), "upgrade": flag(upgrade),
		"force": flag(m.Force), "check": flag(t.Check), "extra": strings.Join(extra, " "),
		"autoremove": flag(m.Autoremove), "nogpg": flag(m.DisableGPGCheck),
	}}.runShown(ctx, t)
	if err != nil {
		return engine.Result{}, err
	}
	if !r.ok() {
		return r.failure(m.manager), nil
	}
	return engine.Result{Changed: r.is("changed"), Values: value.NewDict(
		"stdout", text(r.stdout()), "stderr", text(r.stderr()), "stdout_lines", lines(text(r.stdout())),
		"cache_updated", r.is("updated"))}, nil
}

// options are those of the manager's own for the arguments that only some managers know.
func options(m *managerModule) []string {
	switch {
	case m.manager == "zypper" && m.InstallRecommends != nil && canonical(m.State) != "absent":
		return []string{map[bool]string{true: "--recommends", false: "--no-recommends"}[*m.InstallRecommends]}
	case m.manager != "dnf":
		return nil
	}
	var opts []string
	for _, r := range m.EnableRepo {
		opts = append(opts, "--enablerepo="+r)
	}
	for _, r := range m.DisableRepo {
		opts = append(opts, "--disablerepo="+r)
	}
	if m.DisableGPGCheck {
		opts = append(opts, "--nogpgcheck")
	}
	if m.InstallRecommends != nil && !*m.InstallRecommends {
		opts = append(opts, "--setopt=install_weak_deps=False")
	}
	return opts
}

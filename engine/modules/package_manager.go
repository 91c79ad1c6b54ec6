package modules

import (
	"context"
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
	// Further options of the manager.
	ExtraArgs string `yaml:"extra_args"`
	// Repositories to use besides, and not to use (dnf).
	EnableRepo  []string `yaml:"enablerepo"`
	DisableRepo []string `yaml:"disablerepo"`
	// Do not check signatures (dnf).
	DisableGPGCheck bool `yaml:"disable_gpg_check"`

	manager string
}

// manager returns a constructor for one package manager.
func manager(name string) func() engine.Module {
	return func() engine.Module { return &managerModule{State: "present", manager: name} }
}

// managerScripts: each defines have NAME, refresh, install NAMES, remove NAMES and upgrade.
var managerScripts = map[string]string{
	"dnf": `if has dnf; then m=dnf; elif has yum; then m=yum; else need dnf; fi
have() { rpm -q --whatprovides -- "$1" >/dev/null 2>&1 || rpm -q -- "$1" >/dev/null 2>&1; }
refresh() { $m -q -y $extra makecache; }
install() { if [ "$state" = latest ]; then $m -y $extra install "$@" && $m -y $extra upgrade "$@"; else $m -y $extra install "$@"; fi; }
remove() { $m -y $extra remove "$@"; }
upgrade() { $m -y $extra upgrade; }
`,
	"apk": `need apk
have() { apk -e info "$1" >/dev/null 2>&1; }
refresh() { apk update; }
install() { if [ "$state" = latest ]; then apk add -u $extra "$@"; else apk add $extra "$@"; fi; }
remove() { apk del $extra "$@"; }
upgrade() { apk upgrade $extra; }
`,
	"pacman": `need pacman
have() { pacman -Q -- "$1" >/dev/null 2>&1 || { g=$(pacman -Sgq -- "$1" 2>/dev/null) && [ -n "$g" ] && pacman -Q $g >/dev/null 2>&1; } ||
	pacman -T -- "$1" >/dev/null 2>&1; }
refresh() { pacman -Sy --noconfirm --noprogressbar; }
install() { pacman -S --noconfirm --noprogressbar --needed $extra "$@"; }
remove() { pacman -R --noconfirm --noprogressbar ${force:+--cascade} $extra "$@"; }
upgrade() { pacman -Su --noconfirm --noprogressbar $extra; }
`,
	"zypper": `need zypper
have() { rpm -q --whatprovides -- "$1" >/dev/null 2>&1; }
refresh() { zypper -n -q refresh; }
install() { if [ "$state" = latest ]; then zypper -n $extra install -u "$@" || zypper -n $extra update "$@"; else zypper -n install $extra "$@"; fi; }
remove() { zypper -n remove $extra "$@"; }
upgrade() { zypper -n update $extra; }
`,
}

const managerScript = `
list() { case $m in apk) apk info -v ;; pacman) pacman -Q ;; *) rpm -qa ;; esac 2>/dev/null | sort | cksum; }
: "${m:=$manager}"
todo=
for p; do
	case $state in
	absent) have "$p" && todo="$todo $p" ;;
	latest) todo="$todo $p" ;;
	*) have "$p" || todo="$todo $p" ;;
	esac
done
if [ -n "$check" ]; then
	[ -z "$todo$upgrade" ] || say changed 1
	exit 0
fi
if [ -n "$refresh_cache" ]; then refresh >&2 || die "the lists of packages could not be fetched"; say updated 1; fi
[ -n "$todo$upgrade" ] || exit 0
before=$(list)
if [ -n "$upgrade" ]; then upgrade || exit; fi
if [ -n "$todo" ]; then
	if [ "$state" = absent ]; then remove $todo || exit; else install $todo || exit; fi
fi
[ "$before" = "$(list)" ] || say changed 1
`

// Validate checks what types cannot say.
func (m *managerModule) Validate() error {
	return oneOf("state", m.State, "present", "installed", "latest", "absent", "removed")
}

// Run installs, upgrades or removes.
func (m *managerModule) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	extra := strings.Fields(m.ExtraArgs)
	if m.manager == "dnf" {
		extra = append(extra, repoOptions(m)...)
	}
	for _, n := range m.Name {
		if !plainWord(n) {
			return failed("%q is no name of a package", n), nil
		}
	}
	upgrade, err := value.ParseBool(m.Upgrade)
	if m.Upgrade != nil && err != nil {
		return failed("upgrade: %v", err), nil
	}
	r, err := script{Text: managerScripts[m.manager] + managerScript, Args: m.Name, Stdout: outputOf(t), Vars: map[string]string{
		"manager": m.manager, "state": canonical(m.State), "refresh_cache": flag(m.UpdateCache), "upgrade": flag(upgrade),
		"force": flag(m.Force), "check": flag(t.Check), "extra": strings.Join(extra, " "),
	}}.run(ctx, t)
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

func repoOptions(m *managerModule) []string {
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

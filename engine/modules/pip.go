package modules

import (
	"context"
	"strings"

	"farm/engine"
	"farm/inventory/value"
)

// pipModule manages Python packages with pip; Python and pip have to be on the host.
type pipModule struct {
	// Packages, with version specifiers if wanted.
	Name []string `yaml:"name"`
	// present, latest, absent or forcereinstall.
	State string `yaml:"state"`
	// Version of a single package.
	Version string `yaml:"version"`
	// File of requirements on the host.
	Requirements string `yaml:"requirements"`
	// Virtual environment to install into; made if it is missing.
	Virtualenv string `yaml:"virtualenv"`
	// Command that makes it.
	VirtualenvCommand string `yaml:"virtualenv_command"`
	// Let the virtual environment see the system's packages.
	SitePackages bool `yaml:"virtualenv_site_packages"`
	// The pip program.
	Executable string `yaml:"executable"`
	// Further arguments of pip.
	ExtraArgs string `yaml:"extra_args"`
	// Folder to run in.
	Chdir string `yaml:"chdir"`
	// Change Debian's own Python too.
	BreakSystemPackages bool `yaml:"break_system_packages"`
}

const pipScript = `[ -z "$dir" ] || cd "$(untilde "$dir")" || exit
[ -z "$venv" ] || venv=$(untilde "$venv")
if [ -n "$venv" ] && [ ! -e "$venv/bin/pip" ]; then
	say changed 1
	[ -z "$check" ] || exit 0
	${venvcmd:-python3 -m venv} $venvargs "$venv" >&2 || die "the virtual environment \"$venv\" could not be made"
fi
if [ -n "$executable" ]; then pip=$executable
elif [ -n "$venv" ]; then pip=$venv/bin/pip
elif has pip3; then pip=pip3
elif has pip; then pip=pip
elif python3 -m pip --version >/dev/null 2>&1; then pip=
else die "the program \"pip\" is missing on this host (package python3-pip)"; fi
p() { if [ -n "$pip" ]; then "$pip" "$@"; else python3 -m pip "$@"; fi; }
[ -z "$break" ] || export PIP_BREAK_SYSTEM_PACKAGES=1
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
[ $# -gt 0 ] || [ -n "$req" ] || exit 0
if [ -n "$check" ]; then
	[ -z "$req" ] || say changed 1
	for n; do
		there=$(p show "${n%%[]=<>!~;[ ]*}" 2>/dev/null | sed -n 's/^Version: //p')
		case $state:$there in
		absent: | present:?*) case $state:$n in present:*=="$there") ;; present:*==*) say changed 1 ;; esac ;;
		*) say changed 1 ;;
		esac
	done
	exit 0
fi
log=$(mktemp) || die "no temporary file can be made"
trap 'rm -f "$log" "$log.rc"' EXIT
{
	case $state in
	absent) p uninstall -y $extra ${req:+-r "$req"} "$@" ;;
	latest) p install -U $extra ${req:+-r "$req"} "$@" ;;
	forcereinstall) p install -U --force-reinstall $extra ${req:+-r "$req"} "$@" ;;
	*) p install $extra ${req:+-r "$req"} "$@" ;;
	esac
	echo $? >"$log.rc"
} | tee "$log"
rc=$(cat "$log.rc")
[ "$rc" = 0 ] || exit "$rc"
if grep -qE '^ *Successfully (un)?installed' "$log"; then say changed 1; fi
`

// Validate checks what types cannot say.
func (m *pipModule) Validate() error {
	return oneOf("state", m.State, "present", "latest", "absent", "forcereinstall")
}

// Run installs or removes.
func (m *pipModule) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	names := specifiers(m.Name)
	if m.Version != "" {
		if len(names) != 1 {
			return failed("version goes with one name"), nil
		}
		names = []string{names[0] + "==" + m.Version}
	}
	if len(names) == 0 && m.Requirements == "" && m.Virtualenv == "" {
		return failed("pip needs name, requirements or virtualenv"), nil
	}
	var venvArgs []string
	if m.SitePackages {
		venvArgs = append(venvArgs, "--system-site-packages")
	}
	r, err := script{Text: pipScript, Args: names, Vars: map[string]string{
		"state": m.State, "venvargs": strings.Join(venvArgs, " "), "req": m.Requirements, "venv": m.Virtualenv, "venvcmd": m.VirtualenvCommand, "executable": m.Executable,
		"extra": m.ExtraArgs, "dir": m.Chdir, "break": flag(m.BreakSystemPackages), "check": flag(t.Check),
	}}.runShown(ctx, t)
	if err != nil {
		return engine.Result{}, err
	}
	if !r.ok() {
		return r.failure("pip"), nil
	}
	return engine.Result{Changed: r.is("changed"), Values: value.NewDict(
		"name", value.From(m.Name), "stdout", text(r.stdout()), "stderr", text(r.stderr()), "virtualenv", m.Virtualenv, "state", m.State)}, nil
}

// specifiers puts together what was split at commas inside a name: "a>1,<2".
func specifiers(names []string) []string {
	var out []string
	for _, n := range names {
		if len(out) > 0 && n != "" && strings.ContainsRune("<>=!~", rune(n[0])) {
			out[len(out)-1] += "," + n
			continue
		}
		out = append(out, n)
	}
	return out
}

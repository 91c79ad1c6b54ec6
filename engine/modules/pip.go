package modules

import (
	"context"

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
	[ -z "$check" ] || { say changed 1; exit 0; }
	${venvcmd:-python3 -m venv} "$venv" >&2 || die "the virtual environment \"$venv\" cannot be made"
	say changed 1
fi
if [ -n "$executable" ]; then pip=$executable; elif [ -n "$venv" ]; then pip=$venv/bin/pip
elif has pip3; then pip=pip3; elif has pip; then pip=pip
elif python3 -m pip --version >/dev/null 2>&1; then pip="python3 -m pip"
else die "the program \"pip\" is missing on this host (package python3-pip)"; fi
[ -z "$break" ] || export PIP_BREAK_SYSTEM_PACKAGES=1
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
freeze() { $pip freeze 2>/dev/null | sort; }
before=$(freeze)
if [ -n "$check" ]; then
	for p; do
		$pip show -q "${p%%[=<>!~[]*}" 2>/dev/null; there=$?
		case $state:$there in absent:0 | present:[1-9]* | latest:* | forcereinstall:*) say changed 1 ;; esac
	done
	exit 0
fi
case $state in
absent) $pip uninstall -y $extra "$@" ;;
latest) $pip install -U $extra ${req:+-r "$req"} "$@" ;;
forcereinstall) $pip install -U --force-reinstall $extra ${req:+-r "$req"} "$@" ;;
*) $pip install $extra ${req:+-r "$req"} "$@" ;;
esac || exit
[ "$before" = "$(freeze)" ] && [ "$state" != forcereinstall ] || say changed 1
`

// Validate checks what types cannot say.
func (m *pipModule) Validate() error {
	return oneOf("state", m.State, "present", "latest", "absent", "forcereinstall")
}

// Run installs or removes.
func (m *pipModule) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	names := m.Name
	if m.Version != "" {
		if len(names) != 1 {
			return failed("version goes with one name"), nil
		}
		names = []string{names[0] + "==" + m.Version}
	}
	if len(names) == 0 && m.Requirements == "" && m.Virtualenv == "" {
		return failed("pip needs name, requirements or virtualenv"), nil
	}
	r, err := script{Text: pipScript, Args: names, Stdout: outputOf(t), Vars: map[string]string{
		"state": m.State, "req": m.Requirements, "venv": m.Virtualenv, "venvcmd": m.VirtualenvCommand, "executable": m.Executable,
		"extra": m.ExtraArgs, "dir": m.Chdir, "break": flag(m.BreakSystemPackages), "check": flag(t.Check),
	}}.run(ctx, t)
	if err != nil {
		return engine.Result{}, err
	}
	if !r.ok() {
		return r.failure("pip"), nil
	}
	return engine.Result{Changed: r.is("changed"), Values: value.NewDict(
		"name", value.From(m.Name), "stdout", text(r.stdout()), "stderr", text(r.stderr()), "virtualenv", m.Virtualenv, "state", m.State)}, nil
}

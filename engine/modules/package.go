package modules

import (
	"context"
	"slices"
	"strings"

	"farm/engine"
	"farm/inventory/value"
)

// packageModule manages packages with whichever manager the host has. Every other argument is
// passed on to that manager's module.
type packageModule struct {
	// apt, dnf, apk, pacman, zypper; default what is found.
	Use string `yaml:"use"`
	// Arguments of that manager's module.
	Rest *value.Dict `yaml:",rest"`
}

// managers are the modules that package hands over to.
var managers = []string{"apt", "dnf", "apk", "pacman", "zypper"}

const whichManager = `for m in apt-get dnf yum apk pacman zypper; do
	if has $m; then say manager $m; exit; fi
done
die "no package manager is found on this host (looked for apt-get, dnf, yum, apk, pacman, zypper)"
`

// Run finds the manager, once on a host, and hands over.
func (m *packageModule) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	name := m.Use
	if name == "" || name == "auto" {
		found, res, err := findManager(ctx, t)
		if err != nil || res.Failed {
			return res, err
		}
		name = found
	}
	name = name[strings.LastIndexByte(name, '.')+1:]
	for _, def := range systemModules() {
		if def.Name != name || !slices.Contains(managers, name) {
			continue
		}
		module := def.New()
		args := m.Rest
		if args == nil {
			args = value.NewDict()
		}
		if err := value.Decode(passedOn(name, args), module); err != nil {
			return failed("%s: %v", name, err), nil
		}
		if v, ok := module.(engine.Validator); ok {
			if err := v.Validate(); err != nil {
				return failed("%s: %v", name, err), nil
			}
		}
		return module.Run(ctx, t)
	}
	return failed("use: unknown package manager %q (known: %s)", name, strings.Join(managers, ", ")), nil
}

// passedOn leaves out what only other managers know.
func passedOn(manager string, args *value.Dict) *value.Dict {
	out := args.Copy()
	if manager == "apk" || manager == "pacman" {
		out.Delete("install_recommends")
	}
	return out
}

func findManager(ctx context.Context, t *engine.Task) (string, engine.Result, error) {
	const key = "package manager"
	if name, ok := t.State[key].(string); ok {
		return name, engine.Result{}, nil
	}
	r, err := run(ctx, t, whichManager, nil)
	if err != nil {
		return "", engine.Result{}, err
	}
	if !r.ok() {
		return "", r.failure(""), nil
	}
	name := strings.TrimSuffix(r.get("manager"), "-get")
	if name == "yum" {
		name = "dnf"
	}
	if t.State != nil {
		t.State[key] = name
	}
	return name, engine.Result{}, nil
}

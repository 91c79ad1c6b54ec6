package modules

import (
	"context"
	"fmt"
	"strings"

	"farm/engine"
	"farm/inventory/value"
)

// Tempfile makes a file or folder with a name of its own, for nobody else to read.
type Tempfile struct {
	State  string `yaml:"state"`  // file (the default) or directory
	Path   string `yaml:"path"`   // folder to make it in; TMPDIR or /tmp by default
	Prefix string `yaml:"prefix"` // its name starts so
	Suffix string `yaml:"suffix"` // and ends so
}

func newTempfile() engine.Module { return &Tempfile{State: "file", Prefix: "ansible."} }

// Validate checks the name's parts.
func (m *Tempfile) Validate() error {
	if m.State != "file" && m.State != "directory" {
		return fmt.Errorf("state %q is neither file nor directory", m.State)
	}
	if strings.Contains(m.Prefix+m.Suffix, "/") {
		return fmt.Errorf("prefix and suffix hold no /")
	}
	return nil
}

// mktemp has no suffix in POSIX or busybox, so the name is farm's; noclobber and mkdir
// make sure that nobody was there before.
const tempfileScript = fileFuncs + `changed=1
dir=${path:-${TMPDIR:-/tmp}}
dir=$(untilde "$dir")
f=${dir%/}/$prefix$token$suffix
umask 077
if [ "$state" = directory ]; then mkdir -- "$f" || exit
else (set -C; : >"$f") || exit; fi
report "$f"
`

// Run makes it.
func (m *Tempfile) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	if err := m.Validate(); err != nil {
		return failed("tempfile: %v", err), nil
	}
	if t.Check {
		return engine.Result{Skipped: true, Msg: "a name is only made together with its file"}, nil
	}
	r, err := run(ctx, t, tempfileScript, map[string]string{
		"path": m.Path, "state": m.State, "prefix": m.Prefix, "suffix": m.Suffix, "token": token()})
	if err != nil {
		return engine.Result{}, err
	}
	if !r.ok() {
		return r.failure("make a temporary " + m.State), nil
	}
	return engine.Result{Changed: true, Values: fileValues(r, value.NewDict("path", text(r.get("path"))))}, nil
}

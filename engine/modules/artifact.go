package modules

import (
	"context"
	"fmt"

	"farm/engine"
)

// Artifact keeps files of the guest in the run's folder on the controller. It changes nothing in the guest.
type Artifact struct {
	Src           []string `yaml:"src|path|paths,required"` // files, folders with all that is in them, or globs in the guest
	Dest          string   `yaml:"dest"`                    // folder below `artifacts` in the VM's folder; that itself by default
	FailOnMissing bool     `yaml:"fail_on_missing"`         // fail where nothing matches; true by default
	MaxSize       string   `yaml:"max_size"`                // of all files together, such as 500m; 1g by default
}

func newArtifact() engine.Module { return &Artifact{FailOnMissing: true, MaxSize: "1g"} }

func (m *Artifact) gathering() (gathering, error) {
	most, atMost, err := threshold(m.MaxSize, sizeUnits)
	if err != nil || atMost || most <= 0 {
		return gathering{}, fmt.Errorf("max_size: %q is no size such as 500m", m.MaxSize)
	}
	g := gathering{src: m.Src, dest: m.Dest, most: most, empty: !m.FailOnMissing}
	return g, g.validate()
}

// Validate checks what types cannot say.
func (m *Artifact) Validate() error {
	_, err := m.gathering()
	return err
}

// Run copies the files.
func (m *Artifact) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	g, err := m.gathering()
	if err != nil {
		return failed("artifact: %v", err), nil
	}
	if t.Check {
		return engine.Result{Skipped: true, Msg: "nothing is kept in check mode"}, nil
	}
	dir, err := g.folder(t)
	if err != nil {
		return failed("artifact: %v", err), nil
	}
	files, bad, err := g.run(ctx, t, dir)
	if err != nil {
		return engine.Result{}, err
	}
	if bad != nil {
		return *bad, nil
	}
	if len(files) > 0 {
		t.Emit(engine.Event{Kind: engine.FilesKept, Path: dir, Text: fmt.Sprintf("%s kept in %s", counted(len(files), "file"), dir)})
	}
	return engine.Result{Values: g.values(dir, files)}, nil
}

// counted is "1 file" or "2 files".
func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

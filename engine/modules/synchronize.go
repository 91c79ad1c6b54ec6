package modules

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"farm/engine"
)

// Synchronize makes a folder of the guest like one of the controller. It compares
// checksums and sends what differs over the connection; rsync is not needed, and times
// are not copied.
type Synchronize struct {
	Src       string   `yaml:"src,required"`  // folder or file of the controller; of a folder that ends with / what is in it
	Dest      string   `yaml:"dest,required"` // folder in the guest
	Delete    bool     `yaml:"delete"`        // remove what src has not
	Mode      string   `yaml:"mode"`          // push, the only one
	Archive   bool     `yaml:"archive"`       // accepted: folders are copied whole, with permissions
	Recursive bool     `yaml:"recursive"`     // accepted, as archive
	Perms     bool     `yaml:"perms"`         // accepted, as archive
	Checksum  bool     `yaml:"checksum"`      // accepted: checksums decide
	Times     bool     `yaml:"times"`         // accepted
	Compress  bool     `yaml:"compress"`      // accepted
	RsyncOpts []string `yaml:"rsync_opts"`    // --exclude=GLOB alone
}

func newSynchronize() engine.Module {
	return &Synchronize{Mode: "push", Archive: true, Compress: true, Perms: true, Recursive: true, Times: true}
}

// Validate refuses what would not be done.
func (m *Synchronize) Validate() error {
	if m.Mode != "push" {
		return errors.New("mode: pull is not supported; fetch copies files to the controller")
	}
	for _, o := range m.RsyncOpts {
		glob, ok := strings.CutPrefix(o, "--exclude=")
		if !ok {
			return fmt.Errorf("rsync_opts: %q is not supported; --exclude=GLOB is", o)
		}
		if _, err := path.Match(glob, ""); err != nil {
			return fmt.Errorf("rsync_opts: %q: %w", o, err)
		}
	}
	return nil
}

// skip says what --exclude leaves out: by path if the glob holds a /, by name otherwise.
func (m *Synchronize) skip(rel string) bool {
	for _, o := range m.RsyncOpts {
		glob := strings.TrimSuffix(strings.TrimPrefix(o, "--exclude="), "/")
		name := path.Base(rel)
		if strings.Contains(glob, "/") {
			glob, name = strings.TrimPrefix(glob, "/"), rel
		}
		if ok, _ := path.Match(glob, name); ok {
			return true
		}
	}
	return false
}

// Run copies, then removes.
func (m *Synchronize) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	if err := m.Validate(); err != nil {
		return failed("synchronize: %v", err), nil
	}
	c := &Copy{Src: m.Src, Dest: m.Dest, Mode: "preserve", Force: true, skip: m.skip}
	res, err := c.Run(ctx, t)
	if err != nil || res.Failed || !m.Delete {
		return res, err
	}
	dir, err := t.Files.Find("files", m.Src)
	if err != nil {
		return failed("%v", err), nil
	}
	files, folders, links, err := readTree(t.Files, dir, true, m.skip)
	if err != nil || len(folders) == 0 { // a file alone: nothing to remove
		return res, nil
	}
	keep := map[string]bool{}
	for _, f := range files {
		keep[f.rel] = true
	}
	for _, d := range folders {
		keep[d] = true
	}
	for _, l := range links {
		keep[l.rel] = true
	}
	removed, bad, err := m.remove(ctx, t, c.treeDest(dir), keep)
	if err != nil {
		return engine.Result{}, err
	}
	if bad != nil {
		return *bad, nil
	}
	res.Changed = res.Changed || removed > 0
	return res, nil
}

// remove removes what is in dest and not in keep, and says how much that is.
func (m *Synchronize) remove(ctx context.Context, t *engine.Task, dest string, keep map[string]bool) (n int, bad *engine.Result, err error) {
	r, err := script{Text: `dest=$(untilde "$dest"); [ -d "$dest" ] || exit 0; cd -- "$dest/." && exec find . ! -name . -print0`,
		Vars: map[string]string{"dest": dest}, Keep: 32 << 20}.run(ctx, t)
	if err != nil {
		return 0, nil, err
	}
	if !r.ok() || r.Dropped > 0 {
		r.Stdout = nil
		res := r.failure(fmt.Sprintf("list %q", dest))
		return 0, &res, nil
	}
	var list strings.Builder
	for name := range strings.SplitSeq(string(r.Stdout), "\x00") {
		rel := strings.TrimPrefix(name, "./")
		if rel != "" && !keep[rel] && !m.excluded(rel) && !strings.Contains(rel, "\n") {
			n++
			list.WriteString(rel + "\n")
		}
	}
	if n == 0 || t.Check {
		return n, nil, nil
	}
	r, err = script{Text: `cd -- "$(untilde "$dest")/." || exit
while IFS= read -r f; do rm -rf -- "./$f" || exit; done
`, Vars: map[string]string{"dest": dest}, Stdin: strings.NewReader(list.String())}.run(ctx, t)
	if err == nil && !r.ok() {
		res := r.failure(fmt.Sprintf("remove files of %q", dest))
		bad = &res
	}
	return n, bad, err
}

// excluded reports whether a path or a folder above it is left alone.
func (m *Synchronize) excluded(rel string) bool {
	for ; rel != "."; rel = path.Dir(rel) {
		if m.skip(rel) {
			return true
		}
	}
	return false
}

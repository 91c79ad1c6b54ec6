package callbacks

import (
	"context"
	"fmt"
	"path"
	"strings"

	"farm/engine"
)

// installToLibvirt moves a finished file from the work folder to the folder that a VM's disks
// are taken from. It is what an on_provision without a `callback` does.
type installToLibvirt struct {
	// Src is the file to install: below the work folder, or an absolute path on the host.
	Src string `yaml:"src,required"`
	// Dest is its name below the pool folder; default the name of Src. A name that ends
	// in / is a folder.
	Dest string `yaml:"dest"`
	// Replace overwrites a file of the same name; without it that file is kept.
	Replace bool `yaml:"replace"`
}

func newInstall() engine.Callback { return &installToLibvirt{Replace: true} }

// Run moves files of the work folder and copies others, also those that have another name elsewhere.
func (c *installToLibvirt) Run(ctx context.Context, im *engine.Image) error {
	src, err := existing(ctx, im, c.Src)
	if err != nil {
		return err
	}
	name := c.Dest
	if name == "" || strings.HasSuffix(name, "/") {
		name += path.Base(src)
	}
	if rel, ok := under(im.VM.Def.Metadata.PoolDir, name); ok {
		name = rel
	}
	if path.IsAbs(name) || climbs(name) {
		return engine.Blamef(engine.UserFault, "`dest` %q is outside of the pool folder %q; use a name below it", c.Dest, im.VM.Def.Metadata.PoolDir)
	}
	dest := path.Join(im.PoolDir, path.Join("/", name))
	if dest == path.Clean(im.PoolDir) {
		return engine.Blamef(engine.UserFault, "`dest` %q names no file", c.Dest)
	}
	if there, err := exists(ctx, im, dest); err != nil || there && !c.Replace {
		return err
	}
	if _, ok := under(im.TmpDir, src); ok {
		_, err = sh(ctx, im, atLast, plainScript+modeScript+`
plain "$3" "$1" && plain "$4" "${2%/*}" && mkdir -p -- "${2%/*}" || exit
if [ "$(stat -c %h -- "$1")" -gt 1 ]; then rm -f -- "$2" && cp --reflink=auto -- "$1" "$2" && rm -f -- "$1"
else mv -f -T -- "$1" "$2"; fi && mode 0644 "$2"`, src, dest, path.Clean(im.TmpDir), path.Clean(im.PoolDir))
	} else {
		err = fill(ctx, im, src, dest)
	}
	if err != nil {
		return fmt.Errorf("install %q as %q: %w", c.Src, name, err)
	}
	im.Installed = append(im.Installed, dest)
	return nil
}

// Key is the state of a source outside of the work folder.
func (c *installToLibvirt) Key(ctx context.Context, im *engine.Image) (string, error) {
	return outside(ctx, im, c.Src)
}

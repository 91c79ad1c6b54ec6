package callbacks

import (
	"context"
	"fmt"

	"farm/engine"
)

// copyFile copies a file within the work folder, or one of the host's into it.
type copyFile struct {
	// Src is the file to copy: below the work folder, or an absolute path on the host.
	Src string `yaml:"src,required"`
	// Dest is the new file, below the work folder.
	Dest string `yaml:"dest,required"`
	// Force replaces a file that is there already.
	Force bool `yaml:"force"`
}

func newCopy() engine.Callback { return &copyFile{Force: true} }

// Run copies. A file that exists stays unless Force is set.
func (c *copyFile) Run(ctx context.Context, im *engine.Image) error {
	src, err := existing(ctx, im, c.Src)
	if err != nil {
		return err
	}
	dest, err := place(im, c.Dest)
	if err != nil {
		return err
	}
	if src == dest {
		return nil
	}
	if there, err := exists(ctx, im, dest); err != nil || there && !c.Force {
		return err
	}
	if err := fill(ctx, im, src, dest); err != nil {
		return fmt.Errorf("copy %q to %q: %w", c.Src, c.Dest, err)
	}
	return nil
}

// Key is the state of a source outside of the work folder.
func (c *copyFile) Key(ctx context.Context, im *engine.Image) (string, error) {
	return outside(ctx, im, c.Src)
}

func exists(ctx context.Context, im *engine.Image, file string) (bool, error) {
	out, err := sh(ctx, im, shortly, `[ ! -e "$1" ] || echo yes`, file)
	return out != "", err
}

// outside is the size and age of a file that lies on the host before anything is
// prepared; "" where there is none.
func outside(ctx context.Context, im *engine.Image, name string) (string, error) {
	bare := &engine.Image{Conn: im.Conn}
	file, err := firstFile(ctx, bare, real(im, name))
	if err != nil || file == "" {
		return "", err
	}
	return sh(ctx, bare, shortly, `stat -L -c '%n %s %Y' -- "$1"`, file)
}

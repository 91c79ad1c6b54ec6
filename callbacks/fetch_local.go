package callbacks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"
	"strings"

	"farm/engine"
)

// localPath is the path that a file address or plain path names.
func (f *fetch) localPath() (string, error) {
	if !strings.HasPrefix(f.Src, "file:") {
		return f.Src, nil
	}
	u, err := url.Parse(f.Src)
	if err != nil || u.Host != "" && u.Host != "localhost" || !path.IsAbs(u.Path) {
		return "", engine.Blamef(engine.UserFault, "`src` %q is no address of a local file; write file:///folder/file", f.Src)
	}
	return u.Path, nil
}

// localKey is the file's size and age, on the host or else on the controller.
func (f *fetch) localKey(ctx context.Context, im *engine.Image) (string, error) {
	name, err := f.localPath()
	if err != nil {
		return "", err
	}
	if text, err := outside(ctx, im, name); err != nil || text != "" {
		return text, err
	}
	if im.Local == nil || !path.IsAbs(name) {
		return "", nil // made by a callback before this one, or missing: Run will say
	}
	return outside(ctx, &engine.Image{Conn: im.Local}, name)
}

// local copies a file of the host, or else of the controller, to dest.
func (f *fetch) local(ctx context.Context, im *engine.Image, dest string) error {
	name, err := f.localPath()
	if err != nil {
		return err
	}
	want, err := f.want(ctx, im)
	if err != nil {
		return err
	}
	file, err := existing(ctx, im, name)
	switch {
	case err == nil && file == dest:
	case err == nil:
		err = fill(ctx, im, file, dest)
	case errors.Is(err, engine.ErrNotExist) && im.Local != nil && path.IsAbs(name):
		err = errors.Join(mkdirFor(ctx, im, dest), send(ctx, im.Local, name, im.Conn, dest))
	}
	if err != nil || want.algo == "" {
		return err
	}
	out, err := sh(ctx, im, atLast, `"$1" <"$2"`, want.algo+"sum", dest)
	if err != nil {
		return err
	}
	if digest, _, _ := strings.Cut(out, " "); checksumOf(digest) != want {
		_, err := sh(ctx, im, shortly, `rm -f -- "$1"`, dest)
		return errors.Join(fmt.Errorf("the file's checksum is %s, not %s", checksumOf(digest), want), err)
	}
	return nil
}

func mkdirFor(ctx context.Context, im *engine.Image, file string) error {
	_, err := sh(ctx, im, shortly, plainScript+`plain "$2" "${1%/*}" && mkdir -p -- "${1%/*}"`, file, rootOf(im, file))
	return err
}

// send copies a file from one machine to another through this process.
func send(ctx context.Context, from engine.Conn, src string, to engine.Conn, dest string) error {
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := from.Download(ctx, src, w)
		w.CloseWithError(err)
		done <- err
	}()
	err := to.Upload(ctx, dest, 0o644, r)
	r.CloseWithError(err)
	if lost := <-done; lost != nil && !errors.Is(lost, io.ErrClosedPipe) {
		return lost
	}
	return err
}

package ssh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/pkg/sftp"

	"farm/engine/shell"
)

// sftp returns the client, or nil where the server has no such subsystem.
func (c *Conn) sftp(ctx context.Context) (*sftp.Client, error) {
	c.files.mu.Lock()
	defer c.files.mu.Unlock()
	if c.files.none || c.files.client != nil {
		return c.files.client, nil
	}
	client, err := await(ctx, c, c.openSFTP, func(s *sftp.Client) { s.Close() })
	if err == nil {
		c.files.client = client
		return client, nil
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if lost := c.lostWith(err); lost != nil {
		return nil, lost
	}
	c.cfg.Log.Debug("no sftp, files go through the shell", "machine", c.cfg.Name, "error", err)
	c.files.none = true
	return nil, nil
}

// openSFTP asks for the subsystem; its errors come from the server, which may have none.
func (c *Conn) openSFTP() (*sftp.Client, error) {
	return sftp.NewClient(c.client, sftp.UseConcurrentWrites(true), sftp.MaxConcurrentRequestsPerFile(64))
}

// Upload writes a file; see engine.Conn.
func (c *Conn) Upload(ctx context.Context, dst string, perm fs.FileMode, src io.Reader) error {
	client, err := c.sftp(ctx)
	if err != nil {
		return c.fileError("write", dst, err)
	}
	if client == nil {
		return c.pool.Upload(ctx, inHome(dst), perm, src)
	}
	_, err = await(ctx, c, func() (struct{}, error) {
		return struct{}{}, put(ctx, client, relative(dst), perm, src)
	}, func(struct{}) {})
	return c.fileError("write", dst, err)
}

func put(ctx context.Context, client *sftp.Client, dst string, perm fs.FileMode, src io.Reader) (err error) {
	tmp := shell.TempName(dst)
	f, err := client.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			client.Remove(tmp)
		}
	}()
	err = f.Chmod(0o600)
	if err == nil {
		_, err = f.ReadFromWithConcurrency(&guarded{ctx: ctx, r: src}, 0)
	}
	if err == nil {
		err = f.Chmod(perm.Perm())
	}
	if err2 := f.Close(); err == nil {
		err = err2
	}
	if err != nil {
		return err
	}
	err = client.PosixRename(tmp, dst)
	var status *sftp.StatusError
	if errors.As(err, &status) && status.FxCode() == sftp.ErrSSHFxOpUnsupported {
		// Without the extension a rename does not replace: there is a moment without the file.
		client.Remove(dst)
		err = client.Rename(tmp, dst)
	}
	return err
}

// Download reads a file; see engine.Conn.
func (c *Conn) Download(ctx context.Context, src string, dst io.Writer) error {
	client, err := c.sftp(ctx)
	if err != nil {
		return c.fileError("read", src, err)
	}
	if client == nil {
		return c.pool.Download(ctx, inHome(src), dst)
	}
	_, err = await(ctx, c, func() (struct{}, error) {
		f, err := client.Open(relative(src))
		if err != nil {
			return struct{}{}, err
		}
		defer f.Close()
		_, err = f.WriteTo(&guarded{ctx: ctx, w: dst})
		return struct{}{}, err
	}, func(struct{}) {})
	return c.fileError("read", src, err)
}

func (c *Conn) fileError(what, file string, err error) error {
	if err == nil {
		return nil
	}
	if lost := c.lostWith(err); lost != nil {
		err = lost
	}
	return fmt.Errorf("%s %q on %q: %w", what, file, c.cfg.Name, err)
}

// relative names a file below the home folder as sftp does.
func relative(file string) string { return strings.TrimPrefix(file, "~/") }

// inHome is for the shell, which starts at home.
func inHome(file string) string { return strings.TrimPrefix(file, "~/") }

// guarded stops a copy when ctx ends, so that the caller's reader or writer is not
// used after the call has returned but for one call under way.
type guarded struct {
	ctx context.Context
	r   io.Reader
	w   io.Writer
}

func (g *guarded) Read(p []byte) (int, error) {
	if err := g.ctx.Err(); err != nil {
		return 0, err
	}
	return g.r.Read(p)
}

func (g *guarded) Write(p []byte) (int, error) {
	if err := g.ctx.Err(); err != nil {
		return 0, err
	}
	return g.w.Write(p)
}

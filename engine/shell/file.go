package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"farm/engine"
)

// notThere is the exit status by which a script says that there is no such file or folder.
const notThere = 44

// Upload is engine.Conn's Upload, through a shell.
func (p *Pool) Upload(ctx context.Context, dst string, perm fs.FileMode, src io.Reader) error {
	tmp := TempName(dst)
	script := fmt.Sprintf(`[ -d %s ] || exit %d
t=%s
(umask 077; cat >"$t") && chmod %o "$t" && mv -f "$t" %s && exit
s=$?; rm -f "$t"; exit $s`, Quote(path.Dir(dst)), notThere, Quote(tmp), perm.Perm(), Quote(dst))
	out, err := p.Exec(ctx, engine.Cmd{Script: script, Stdin: src})
	return fileError("write", dst, p.name, out, err)
}

// Download is engine.Conn's Download, through a shell.
func (p *Pool) Download(ctx context.Context, src string, dst io.Writer) error {
	script := fmt.Sprintf(`f=%s
[ -e "$f" ] || [ -L "$f" ] || exit %d
exec cat <"$f"`, Quote(src), notThere)
	out, err := p.Exec(ctx, engine.Cmd{Script: script, Stdout: dst, Keep: 2})
	return fileError("read", src, p.name, out, err)
}

func fileError(what, file, machine string, out engine.Output, err error) error {
	var exit *engine.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	if exit.Status == notThere {
		return fmt.Errorf("%s %q on %q: %w", what, file, machine, fs.ErrNotExist)
	}
	text := strings.TrimSpace(string(out.Stderr))
	if text == "" {
		text = exit.Error()
	}
	return fmt.Errorf("%s %q on %q: %s", what, file, machine, text)
}

// TempName is a name beside file that no other upload uses.
func TempName(file string) string {
	return path.Join(path.Dir(file), "."+path.Base(file)+".farm-"+newToken()[:12])
}

package modules

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"farm/engine"
	"farm/inventory/value"
)

// gathering copies files of the guest into the run's folder on the controller. What the guest says of them is
// not believed: no name leads out of the folder, and all is bounded.
type gathering struct {
	src   []string // paths and globs in the guest; a folder stands for all regular files in it
	dest  string   // folder in the run's folder of the host; "" = that itself
	most  int64    // bytes of all files together
	empty bool     // it is no failure that a source matches nothing
}

// gathered is one file that was copied.
type gathered struct {
	from string // path in the guest
	name string // in the folder, with slashes
	path string // on the controller, absolute
	size int64
	sum  string // SHA-1, in hex
}

// maxGathered is how many files one task keeps at most.
const maxGathered = 10_000

const gatherScript = `IFS=
record() { printf '%s\0%s\0' "$1" "$2"; }
for s; do
	pattern=$(untilde "$s") found=
	for f in $pattern; do
		if [ -d "$f" ]; then
			found=1
			while [ "$f" != / ] && [ "$f" != "${f%/}" ]; do f=${f%/}; done
			root=$f find -H "$f" -type f -exec sh -c 'for f; do printf "%s\0%s\0" "$root" "$f"; done' sh {} + || exit
		elif [ -f "$f" ]; then
			found=1
			record '' "$f"
		elif [ -e "$f" ]; then
			die "$f is neither a file nor a folder"
		fi
	done
	[ -n "$found" ] || [ -n "$empty" ] || die "nothing matches $s"
done
`

// validate checks what types cannot say.
func (g gathering) validate() error {
	for _, s := range g.src {
		if strings.TrimSpace(s) == "" {
			return errors.New("src: a path is empty")
		}
	}
	if len(g.src) == 0 {
		return errors.New("src names no file")
	}
	if g.dest != "" && !filepath.IsLocal(g.dest) {
		return fmt.Errorf("dest: %q is no folder in the run's: give a relative path that stays in it", g.dest)
	}
	return nil
}

// folder is where the files go, absolute.
func (g gathering) folder(t *engine.Task) (string, error) {
	if t.Artifacts == "" {
		return "", errors.New("only farm run and farm play keep files of a host")
	}
	return filepath.Abs(filepath.Join(t.Artifacts, g.dest))
}

// run copies the files. The result is nil unless the task failed.
func (g gathering) run(ctx context.Context, t *engine.Task, dir string) ([]gathered, *engine.Result, error) {
	files, bad, err := g.list(ctx, t)
	if err != nil || bad != nil {
		return nil, bad, err
	}
	left := g.most
	for i := range files {
		f := &files[i]
		f.path = filepath.Join(dir, filepath.FromSlash(f.name))
		if bad, err := f.copy(ctx, t, left); err != nil || bad != nil {
			return nil, bad, err
		}
		left -= f.size
	}
	return files, nil, nil
}

// list asks the guest which files there are.
func (g gathering) list(ctx context.Context, t *engine.Task) ([]gathered, *engine.Result, error) {
	r, err := script{Text: gatherScript, Vars: map[string]string{"empty": flag(g.empty)}, Args: g.src, Keep: 8 << 20}.run(ctx, t)
	refuse := func(format string, args ...any) ([]gathered, *engine.Result, error) {
		res := failed(format, args...)
		return nil, &res, nil
	}
	switch {
	case err != nil:
		return nil, nil, err
	case !r.ok():
		return refuse("%s", engine.Printable(r.stderr()))
	}
	fields := bytes.Split(r.Stdout, []byte{0})
	if r.Dropped > 0 || len(fields)/2 > maxGathered {
		return refuse("more than %d files match; name fewer, or keep an archive of them", maxGathered)
	}
	var files []gathered
	seen := map[string]string{}
	for i := 0; i+1 < len(fields); i += 2 {
		root, from := string(fields[i]), string(fields[i+1])
		f := gathered{from: from, name: nameOf(root, from)}
		if other, known := seen[f.name]; known && other != from {
			return refuse("%q and %q would both be %q; keep them by two tasks, each with a dest of its own", other, from, f.name)
		} else if known {
			continue
		}
		seen[f.name] = from
		files = append(files, f)
	}
	return files, nil, nil
}

// nameOf is a file's name in the folder: its last part, with what is above it in the folder that was named.
func nameOf(root, from string) string {
	name := path.Base(path.Clean("/" + from))
	if root != "" {
		name = path.Base(path.Clean("/"+root)) + "/" + strings.TrimPrefix(from, root)
	}
	name = strings.ToValidUTF8(strings.ReplaceAll(name, "\x00", ""), "\uFFFD")
	return strings.TrimPrefix(path.Clean("/"+name), "/")
}

// copy writes the file beside its place and renames it.
func (f *gathered) copy(ctx context.Context, t *engine.Task, most int64) (*engine.Result, error) {
	refuse := func(format string, args ...any) (*engine.Result, error) {
		res := failed("keep %q: %s", engine.Printable(f.from), fmt.Sprintf(format, args...))
		return &res, nil
	}
	if err := os.MkdirAll(filepath.Dir(f.path), 0o755); err != nil {
		return refuse("%v", err)
	}
	to, err := os.CreateTemp(filepath.Dir(f.path), ".farm-*")
	if err != nil {
		return refuse("%v", err)
	}
	defer os.Remove(to.Name()) // nothing after the rename
	defer to.Close()
	limited, stop := context.WithCancel(ctx)
	defer stop()
	h := sha1.New()
	w := &limitedWriter{w: io.MultiWriter(to, h), left: most, stop: stop}
	r, err := script{Text: readScript, Vars: map[string]string{"src": f.from}, Stdout: w, Keep: 4 << 10}.run(limited, t)
	switch {
	case w.over:
		return refuse("the files are larger than max_size")
	case err != nil:
		return nil, err
	case !r.ok():
		return refuse("%s", engine.Printable(r.stderr()))
	case w.err != nil:
		return refuse("%v", w.err)
	}
	f.size, f.sum = most-w.left, hex.EncodeToString(h.Sum(nil))
	if err := errors.Join(to.Chmod(0o644), to.Close(), os.Rename(to.Name(), f.path)); err != nil {
		return refuse("%v", err)
	}
	return nil, nil
}

// limitedWriter passes left bytes on, and ends what writes more.
type limitedWriter struct {
	w    io.Writer
	left int64
	stop func()
	over bool
	err  error // of w
}

func (l *limitedWriter) Write(p []byte) (int, error) {
	switch {
	case l.over || l.err != nil:
	case int64(len(p)) > l.left:
		l.over = true
		l.stop()
	default:
		l.left -= int64(len(p))
		if _, l.err = l.w.Write(p); l.err != nil {
			l.stop()
		}
	}
	return len(p), nil
}

// values are the result's keys about the files.
func (g gathering) values(dir string, files []gathered) *value.Dict {
	list, size := []any{}, int64(0)
	for _, f := range files {
		size += f.size
		list = append(list, value.NewDict("src", text(f.from), "dest", f.path, "size", f.size, "checksum", f.sum))
	}
	return value.NewDict("dest", dir, "files", list, "size", size)
}

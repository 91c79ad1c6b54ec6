package callbacks

import (
	"context"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"farm/engine"
)

// The deadlines of commands on the host: those that touch names, and those that move
// a whole disk.
const (
	shortly = 2 * time.Minute
	atLast  = 2 * time.Hour
)

// sh runs a script of ours on the host in the work folder; args are its positional
// parameters and are never parsed as text. It returns standard output.
func sh(ctx context.Context, im *engine.Image, limit time.Duration, script string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	dir := im.TmpDir
	if dir == "" {
		dir = "/"
	}
	out, err := im.Conn.Exec(ctx, engine.Cmd{
		Argv: append([]string{"/bin/sh", "-c", script, "farm"}, args...),
		Dir:  dir, Env: map[string]string{"LC_ALL": "C"},
	})
	if err != nil {
		return "", out.Because(err)
	}
	return string(out.Stdout), nil
}

// under returns the part of name below the folder dir, if it is there.
func under(dir, name string) (string, bool) {
	if dir == "" {
		return "", false
	}
	rel, ok := strings.CutPrefix(path.Clean(name), path.Clean(dir)+"/")
	return rel, ok
}

// climbs reports whether a relative name leads out of the folder that it is in.
func climbs(name string) bool {
	name = path.Clean(name)
	return name == ".." || strings.HasPrefix(name, "../")
}

// place is where a callback writes a file that its argument names: below the work
// folder, which stands for the definition's tmp_dir. Names that lead out of it are refused.
func place(im *engine.Image, name string) (string, error) {
	if rel, ok := under(im.VM.Def.Metadata.TmpDir, name); ok && path.IsAbs(name) {
		name = rel
	}
	if rel, ok := under(im.TmpDir, name); ok {
		name = rel
	}
	if path.IsAbs(name) {
		return "", engine.Blamef(engine.UserFault, "%q is outside of the work folder; use a relative path", name)
	}
	if climbs(name) {
		return "", engine.Blamef(engine.UserFault, "%q is outside of the work folder; use a path below it", name)
	}
	inner := path.Join("/", name)
	if inner == "/" {
		return "", engine.Blamef(engine.UserFault, "%q names no file", name)
	}
	return path.Join(im.TmpDir, inner), nil
}

// existing finds a file that an argument names: in the work folder, in the
// definition's real tmp_dir, then where an absolute path says.
func existing(ctx context.Context, im *engine.Image, name string) (string, error) {
	if name == "" {
		return "", engine.Blamef(engine.UserFault, "`src` is missing")
	}
	if climbs(name) {
		_, err := place(im, name)
		return "", err
	}
	places := real(im, name)
	if p, err := place(im, name); err == nil {
		places = append([]string{p}, places...)
	}
	file, err := firstFile(ctx, im, places)
	if err == nil && file == "" {
		err = fmt.Errorf("%q is not on %s: looked at %s: %w", name, im.Conn, strings.Join(places, ", "), engine.ErrNotExist)
	}
	return file, err
}

// real is where a name leads that no callback has written.
func real(im *engine.Image, name string) []string {
	if path.IsAbs(name) {
		return []string{path.Clean(name)}
	}
	if tmp := im.VM.Def.Metadata.TmpDir; path.IsAbs(tmp) {
		return []string{path.Join(tmp, path.Join("/", name))}
	}
	return nil
}

// firstFile is the first of places that is a file on the host; "" if none is. Below the work
// folder, where callbacks write, links are refused: farm moves such files and changes their modes.
func firstFile(ctx context.Context, im *engine.Image, places []string) (string, error) {
	out, err := sh(ctx, im, shortly, plainScript+`
root=$1; shift; i=0
for f; do
	if [ -n "$root" ]; then case $f in "$root"/*) plain "$root" "$f" || { echo "! $f"; exit; } ;; esac; fi
	[ -f "$f" ] && { echo $i; exit; }
	i=$((i+1))
done`, append([]string{im.TmpDir}, places...)...)
	if err != nil || out == "" {
		return "", err
	}
	if odd, ok := strings.CutPrefix(strings.TrimSpace(out), "! "); ok {
		return "", engine.Blamef(engine.UserFault, "%q is a symbolic link or lies behind one; put the file itself there", odd)
	}
	i, err := strconv.Atoi(strings.TrimSpace(out))
	if err != nil || i < 0 || i >= len(places) {
		return "", fmt.Errorf("asked which of %d files is there, got %q", len(places), out)
	}
	return places[i], nil
}

// plainScript defines the shell function plain ROOT FILE, which fails if FILE or a folder between
// it and ROOT is a symbolic link; FILE need not exist.
const plainScript = `
plain() {
	[ "$1" != "$2" ] || return 0
	at=${1%/}; rest=${2#"$at"/}
	while [ -n "$rest" ]; do
		case $rest in */*) at=$at/${rest%%/*}; rest=${rest#*/} ;; *) at=$at/$rest; rest= ;; esac
		if [ -L "$at" ]; then echo "$at is a symbolic link; put the file or folder itself there" >&2; return 1; fi
	done
}
`

// modeScript defines the shell function mode BITS FILE, which is chmod for regular files
// alone: chmod itself follows links.
const modeScript = `
mode() { find "$2" -prune -type f -exec chmod "$1" {} \; ; }
`

// rootOf is the folder of this preparation that file lies below; / if none.
func rootOf(im *engine.Image, file string) string {
	for _, root := range []string{im.TmpDir, im.PoolDir} {
		if _, ok := under(root, file); ok {
			return path.Clean(root)
		}
	}
	return "/"
}

// fill copies the file from to the new file to, both on the host. No folder on the way to it
// may be a link.
func fill(ctx context.Context, im *engine.Image, from, to string) error {
	_, err := sh(ctx, im, atLast, plainScript+modeScript+`
plain "$3" "${2%/*}" && mkdir -p -- "${2%/*}" && rm -f -- "$2" && cp --reflink=auto -- "$1" "$2" && mode 0644 "$2"`, from, to, rootOf(im, to))
	return err
}

func emit(im *engine.Image, kind engine.Kind, format string, args ...any) {
	if im.Emit != nil {
		im.Emit(engine.Event{Kind: kind, VM: im.VM.ID, Text: fmt.Sprintf(format, args...)})
	}
}

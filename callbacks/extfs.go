package callbacks

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"strings"

	"farm/engine"
)

// extFS is an ext file system in a plain file on the host, read and written by
// debugfs(8). Changes are collected and made by apply.
type extFS struct {
	ctx   context.Context
	im    *engine.Image
	part  string
	dirs  []change
	files []change
}

// change is one file or folder to write.
type change struct {
	name    string // absolute, in the file system
	content string
	mode    int
	owner   int // user and group
}

// most is how much of a configuration file is read.
const mostConfig = 1 << 20

// read is a file's content; "" where there is none.
func (fs *extFS) read(name string) (string, error) {
	out, err := fs.debugfs("cat " + quote(name))
	if err == nil && len(out) > mostConfig {
		err = fmt.Errorf("%s is larger than %d bytes", name, mostConfig)
	}
	return out, err
}

// has reports whether a folder or file exists.
func (fs *extFS) has(name string) bool {
	out, err := fs.debugfs("stat " + quote(name))
	return err == nil && strings.Contains(out, "Inode:")
}

// quote makes a word of debugfs's language of a name, which holds no quotes.
func quote(name string) string { return `"` + name + `"` }

func (fs *extFS) debugfs(request string) (string, error) {
	return sh(fs.ctx, fs.im, shortly, withSbin+`debugfs -R "$2" "$1" 2>/dev/null`, fs.part, request)
}

func (fs *extFS) mkdir(name string, mode, owner int) {
	fs.dirs = append(fs.dirs, change{name: name, mode: mode, owner: owner})
}

func (fs *extFS) write(name, content string, mode, owner int) {
	fs.files = append(fs.files, change{name, content, mode, owner})
}

// apply makes the changes and reads them back, for debugfs has no exit status worth the name.
func (fs *extFS) apply() error {
	if _, err := sh(fs.ctx, fs.im, atLast, withSbin+`e2fsck -fp -- "$1" >&2; [ $? -le 1 ]`, fs.part); err != nil {
		return fmt.Errorf("its file system is damaged: %w", err)
	}
	var script strings.Builder
	for _, d := range fs.dirs {
		if !fs.has(d.name) {
			var parents []string
			for p := d.name; p != "/" && !fs.has(p); p = path.Dir(p) {
				parents = append([]string{p}, parents...)
			}
			for _, p := range parents {
				fmt.Fprintf(&script, "mkdir %s\n", quote(p))
			}
			fmt.Fprintf(&script, "sif %s mode 0%o\nsif %s uid %d\nsif %s gid %d\n", quote(d.name), 0o40000|d.mode, quote(d.name), d.owner, quote(d.name), d.owner)
		}
	}
	for i, f := range fs.files {
		local := fmt.Sprintf("%s.new%d", fs.part, i)
		if err := fs.im.Conn.Upload(fs.ctx, local, 0o600, strings.NewReader(f.content)); err != nil {
			return err
		}
		defer func() { sh(context.WithoutCancel(fs.ctx), fs.im, shortly, `rm -f -- "$1"`, local) }()
		gid := fmt.Sprint(f.owner)
		if g := fs.gid(f.name); g != "" && f.owner == 0 {
			gid = g // such as shadow's
		}
		fmt.Fprintf(&script, "cd %s\nrm %s\nwrite %s %s\nsif %s mode 0%o\nsif %s uid %d\nsif %s gid %s\n",
			quote(path.Dir(f.name)), quote(path.Base(f.name)), quote(local), quote(path.Base(f.name)),
			quote(f.name), 0o100000|f.mode, quote(f.name), f.owner, quote(f.name), gid)
	}
	out, err := fs.im.Conn.Exec(fs.ctx, engine.Cmd{
		Argv: []string{"/bin/sh", "-c", withSbin + `exec debugfs -w -f - "$1"`, "farm", fs.part}, Dir: "/",
		Stdin: bytes.NewReader([]byte(script.String())),
	})
	if err != nil {
		return out.Because(err)
	}
	for _, f := range fs.files {
		if now, err := fs.read(f.name); err != nil || now != f.content {
			return fmt.Errorf("debugfs did not write %s: %s", f.name, bytes.TrimSpace(out.Stderr[:min(len(out.Stderr), 500)]))
		}
	}
	_, err = sh(fs.ctx, fs.im, atLast, withSbin+`e2fsck -fp -- "$1" >&2; [ $? -le 1 ]`, fs.part)
	return err
}

// gid is the group of a file; "" where there is none.
func (fs *extFS) gid(name string) string {
	out, err := fs.debugfs("stat " + quote(name))
	if err != nil {
		return ""
	}
	_, rest, ok := strings.Cut(out, "Group:")
	if f := strings.Fields(rest); ok && len(f) > 0 {
		return f[0]
	}
	return ""
}

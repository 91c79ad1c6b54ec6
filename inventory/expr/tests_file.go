package expr

import (
	"io/fs"
	"os"
	"path"
	"syscall"
)

func fileTests(t map[string]function) {
	test := func(links bool, ok func(i fs.FileInfo) bool) function {
		return func(c *call) any {
			stat := c.m.vars.e.o.Stat
			if links {
				stat = c.m.vars.e.o.Lstat
			}
			if stat == nil {
				throw("the test %q cannot look at files here", c.name)
			}
			info, err := stat(c.m.expandUser(c.text()))
			return err == nil && ok(info)
		}
	}
	there := func(fs.FileInfo) bool { return true }
	t["exists"], t["link_exists"] = test(false, there), test(true, there)
	t["file"] = test(false, func(i fs.FileInfo) bool { return i.Mode().IsRegular() })
	t["directory"] = test(false, fs.FileInfo.IsDir)
	t["link"] = test(true, func(i fs.FileInfo) bool { return i.Mode()&fs.ModeSymlink != 0 })
	t["same_file"] = sameFile
	t["mount"] = isMount
}

// sameFile reports whether two names lead to one file; both must exist.
func sameFile(c *call) any {
	stat := c.m.vars.e.o.Stat
	if stat == nil {
		throw("the test %q cannot look at files here", c.name)
	}
	a, err := stat(c.text())
	if err != nil {
		throwErr(err)
	}
	b, err := stat(text(c.need(0, "path")))
	if err != nil {
		throwErr(err)
	}
	return os.SameFile(a, b)
}

// isMount reports whether a filesystem is mounted on a folder: it is on another device than its
// parent, or is its own parent.
func isMount(c *call) any {
	stat := c.m.vars.e.o.Lstat
	if stat == nil {
		throw("the test %q cannot look at files here", c.name)
	}
	name := c.text()
	in, err := stat(name)
	if err != nil || in.Mode()&fs.ModeSymlink != 0 {
		return false
	}
	above, err := stat(path.Clean(name) + "/..")
	if err != nil {
		return false
	}
	own, ok := in.Sys().(*syscall.Stat_t)
	parent, both := above.Sys().(*syscall.Stat_t)
	return os.SameFile(in, above) || ok && both && own.Dev != parent.Dev
}

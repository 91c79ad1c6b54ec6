package task

import (
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"farm/engine"
	"farm/inventory/source"
	"farm/inventory/value"
)

// ansible finds out whether the files that a task of the module ansible names are there. Roles of collections
// are Ansible's to find.
func (v *validator) ansible(t *Task, s *scope) {
	if !v.wellNamed(t) {
		return
	}
	find := Folders(s.dirs(v.r.o.Project))
	if name, ok := t.Args.Get("playbook"); ok {
		if text, isText := name.(string); isText && text != "" {
			path, err := find.Find("playbooks", text)
			if err == nil {
				err = noFolder(path)
			}
			v.absentAt(t.Args.ValPos("playbook"), t, s, err)
		}
	}
	p := &play{Runner: v.r}
	for _, one := range listed(t, "roles") {
		name, ok := one.v.(string)
		if !ok || strings.Count(name, ".") >= 2 || p.roleDir(s, name) != "" {
			continue
		}
		err := fmt.Errorf("there is no role %q (searched %s)", name, strings.Join(p.roleFolders(s), ", "))
		if hint := source.DidYouMean(name, v.roles(p, s)); hint != "" {
			err = fmt.Errorf("%w (%s)", err, hint)
		}
		v.absentAt(one.pos, t, s, err)
	}
	for _, one := range listed(t, "reads") {
		if name, ok := one.v.(string); ok {
			_, err := find.Find("files", name)
			v.absentAt(one.pos, t, s, err)
		}
	}
}

// absentAt is absent with the place of the name; nothing where err is nil.
func (v *validator) absentAt(pos source.Pos, t *Task, s *scope, err error) {
	if err == nil {
		return
	}
	known := len(v.missing)
	v.absent(t, s, err)
	if len(v.missing) > known {
		v.missing[known] = &source.Error{Pos: pos, What: t.Module, Err: err}
	}
}

func noFolder(path string) error {
	st, err := os.Stat(path)
	if err == nil && st.IsDir() {
		err = &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("it is a folder, not a playbook")}
	}
	return err
}

// placed is a value with its place.
type placed struct {
	v   any // a string or a Template
	pos source.Pos
}

// listed are the items of an argument that is a list, or text that is split at commas.
func listed(t *Task, arg string) (items []placed) {
	raw, _ := t.Args.Get(arg)
	switch list := raw.(type) {
	case []any:
		for i, x := range list {
			items = append(items, placed{x, t.Args.ItemPos(arg, i)})
		}
	case string:
		for _, x := range strings.Split(list, ",") {
			items = append(items, placed{strings.TrimSpace(x), t.Args.ValPos(arg)})
		}
	case value.Template:
		items = append(items, placed{list, list.Pos})
	}
	return slices.DeleteFunc(items, func(p placed) bool { return p.v == "" || p.v == nil })
}

// ansible adds what a task of the module ansible says that its playbook reads.
func (c *closure) ansible(t *Task, s *scope) {
	at := t.Pos.String()
	unknown := engine.Input{Name: "unknown " + at, Unknown: at + ": what the playbook reads is known only when it runs; the argument reads can say it before"}
	if !t.Args.Has("reads") {
		c.inputs = append(c.inputs, unknown)
		return
	}
	find := Folders(s.dirs(c.r.o.Project))
	for _, path := range c.paths(t, find, "playbooks", c.names(t, s, "playbook")) {
		c.tree(path)
	}
	for _, path := range c.paths(t, find, "files", c.names(t, s, "vault_password_file")) {
		c.tree(path)
	}
	for _, one := range listed(t, "reads") {
		for _, path := range c.paths(t, find, "files", c.oneName(t, s, one)) {
			c.tree(path)
		}
	}
	for _, one := range listed(t, "roles") {
		for _, name := range c.oneName(t, s, one) {
			dirs := c.roleDirs(s, name)
			if len(dirs) == 0 {
				c.inputs = append(c.inputs, unknown) // one that Ansible finds, or nobody
			}
			for _, dir := range dirs {
				c.tree(dir)
			}
		}
	}
}

// oneName are the names that an item of a list may be.
func (c *closure) oneName(t *Task, s *scope, one placed) []fileName {
	alone := *t
	alone.Args = value.NewDict("name", one.v)
	return c.names(&alone, s, "name")
}

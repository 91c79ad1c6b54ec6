package task

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"farm/engine"
	"farm/inventory/expr"
	"farm/inventory/source"
	"farm/inventory/value"
)

// fileArgs are the arguments that name a file or folder of the controller, with the
// folder in which it is looked up, by module.
var fileArgs = map[string]struct{ arg, kind string }{
	"copy":           {"src", "files"},
	"template":       {"src", "templates"},
	"script":         {"cmd", "files"},
	"unarchive":      {"src", "files"},
	"synchronize":    {"src", "files"},
	"assemble":       {"src", "files"},
	"authorized_key": {"path", "files"},
}

// closure collects what a task file reads.
type closure struct {
	r      *Runner
	vars   *expr.Vars
	seen   map[string]bool
	inputs []engine.Input
	errs   []error
}

// Closure lists the files that the task file at path reads: itself, what it includes,
// roles, files of variables, templates and copied files, with the SHA-256 of their content,
// sorted by name. Names with templates are evaluated with vars; one that needs a result of a
// task that has yet to run is left out. The names are relative to the project's folder where they
// lie in it.
//
// A file that is named by a constant and does not exist is an error.
func (r *Runner) Closure(path string, vars *expr.Vars) ([]engine.Input, error) {
	c := &closure{r: r, vars: vars, seen: map[string]bool{}}
	c.file(path, &scope{keys: value.NewDict(), file: path})
	sort.Slice(c.inputs, func(i, j int) bool { return c.inputs[i].Name < c.inputs[j].Name })
	return c.inputs, source.Join(c.errs...)
}

// file adds a task file and what it reads.
func (c *closure) file(path string, s *scope) {
	if c.seen["tasks "+path] {
		return
	}
	c.seen["tasks "+path] = true
	c.add(path)
	f, err := c.r.file(path)
	if err != nil {
		c.errs = append(c.errs, err)
		return
	}
	c.tasks(f.Tasks, s)
}

func (c *closure) tasks(tasks []*Task, s *scope) {
	for _, t := range tasks {
		in := s.within(t)
		if t.IsBlock() {
			for _, list := range [][]*Task{t.Block, t.Rescue, t.Always} {
				c.tasks(list, in)
			}
			continue
		}
		c.task(t, in)
	}
}

// task adds the files that one task names.
func (c *closure) task(t *Task, s *scope) {
	find := Folders(s.dirs(c.r.o.Project))
	switch {
	case t.Module == "include_tasks" || t.Module == "import_tasks":
		for _, name := range c.names(t, s, "file") {
			path, err := find.Find("tasks", name)
			if err != nil {
				c.missing(t, name, err)
				continue
			}
			c.file(path, &scope{parent: s, keys: value.NewDict(), file: path, role: s.role})
		}
	case t.Module == "include_vars":
		for _, arg := range []string{"file", "dir"} {
			c.found(t, find, "vars", c.names(t, s, arg))
		}
	case strings.HasSuffix(t.Module, "_role"):
		for _, arg := range []string{"name", "role"} {
			for _, name := range c.names(t, s, arg) {
				p := &play{Runner: c.r}
				if dir := p.roleDir(s, name); dir != "" {
					c.role(name, dir, s)
				}
			}
		}
	default:
		if a, ok := fileArgs[t.Module]; ok && !c.remote(t) {
			c.found(t, find, a.kind, c.names(t, s, a.arg))
		}
	}
}

// remote reports whether a task's src is a file of the guest.
func (c *closure) remote(t *Task) bool {
	for _, k := range []string{"remote_src", "content"} {
		if v, ok := t.Args.Get(k); ok {
			if b, err := value.ParseBool(v); k == "content" || err == nil && b {
				return true
			}
		}
	}
	return false
}

func (c *closure) found(t *Task, find Folders, kind string, names []string) {
	for _, name := range names {
		if t.Module == "script" {
			name, _, _ = strings.Cut(name, " ")
		}
		if strings.Contains(name, "://") {
			continue
		}
		path, err := find.Find(kind, name)
		if err != nil {
			c.missing(t, name, err)
			continue
		}
		c.tree(path)
	}
}

// missing complains about a constant name; an evaluated one may be that of another case.
func (c *closure) missing(t *Task, name string, err error) {
	if hasTemplate(t.Args) || hasTemplate(t.Free) || t.Keys.Has("when") {
		return
	}
	c.errs = append(c.errs, &source.Error{Pos: t.ModulePos, What: t.Module, Err: err})
}

// names evaluates an argument, once for each item of a loop that can be evaluated now.
func (c *closure) names(t *Task, s *scope, arg string) []string {
	raw, ok := t.Args.Get(arg)
	if !ok {
		if t.Free == nil || arg == "dir" {
			return nil
		}
		raw = t.Free
	}
	p := &play{Runner: c.r, h: &HostState{Vars: c.vars}}
	if c.vars == nil {
		if text, ok := raw.(string); ok && text != "" {
			return []string{text}
		}
		return nil
	}
	vars := p.vars(s, nil)
	items, loops, err := p.items(t, vars)
	if !loops || err != nil {
		items = []any{nil}
	}
	var names []string
	for _, item := range items {
		top := value.NewDict()
		if loops && err == nil {
			name := "item"
			if lc, ok := t.Keys.Get("loop_control"); ok {
				if v, ok := lc.(*value.Dict).Get("loop_var"); ok {
					name = value.Text(v)
				}
			}
			top.Set(name, item)
		}
		if v, err := vars.With(top).Eval(raw); err == nil {
			if text, ok := v.(string); ok && text != "" && !slices.Contains(names, text) {
				names = append(names, text)
			}
		}
	}
	return names
}

// role adds every file of a role but its tests and documents.
func (c *closure) role(name, dir string, s *scope) {
	if c.seen["role "+dir] {
		return
	}
	c.seen["role "+dir] = true
	for _, sub := range []string{"tasks", "handlers", "defaults", "vars", "meta", "files", "templates", "library"} {
		if _, err := os.Stat(filepath.Join(dir, sub)); err == nil {
			c.tree(filepath.Join(dir, sub))
		}
	}
	p := &play{Runner: c.r}
	ro, err := p.loadRole(name, dir, "main", "main")
	if err != nil {
		c.errs = append(c.errs, err)
		return
	}
	for _, d := range ro.deps {
		if dep := p.roleDir(&scope{parent: s, keys: value.NewDict(), role: ro}, d.name); dep != "" {
			c.role(d.name, dep, s)
		}
	}
	matches, _ := filepath.Glob(filepath.Join(dir, "tasks", "*.y*ml"))
	for _, path := range matches {
		c.file(path, &scope{parent: s, keys: value.NewDict(), file: path, role: ro})
	}
}

// tree adds a file, or all files below a folder.
func (c *closure) tree(root string) {
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			c.add(path)
		} else if err == nil && e.Type()&fs.ModeSymlink != 0 {
			if st, serr := os.Stat(path); serr == nil && st.Mode().IsRegular() {
				c.add(path)
			}
		}
		return err
	})
	if err != nil {
		c.errs = append(c.errs, err)
	}
}

func (c *closure) add(path string) {
	if c.seen[path] {
		return
	}
	c.seen[path] = true
	digest, err := sum(path)
	if err != nil {
		c.errs = append(c.errs, err)
		return
	}
	name := path
	if rel, err := filepath.Rel(c.r.o.Project, path); err == nil && c.r.o.Project != "" && !strings.HasPrefix(rel, "..") {
		name = rel
	}
	c.inputs = append(c.inputs, engine.Input{Name: "file " + name, Digest: digest})
}

package task

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
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
	set    *produced
	seen   map[string]bool // paths, "tasks PATH", "variable NAME"
	inputs []engine.Input
	errs   []error
}

// Closure lists the files that the task file at path reads: itself, what it includes,
// roles, files of variables, templates and copied files, with the SHA-256 of their content,
// sorted by name. The names are relative to the project's folder where they lie in it. before
// are the files whose tasks have run on the host by then.
//
// Names with templates are evaluated with vars. Of a name that depends on facts every file that it may
// mean is listed. A name that depends on anything else that tasks find out gives an Input that is Unknown.
//
// A file that is named by a constant and does not exist is an error.
func (r *Runner) Closure(path string, vars *expr.Vars, before ...string) ([]engine.Input, error) {
	set := &produced{names: map[string]bool{}}
	for _, f := range before {
		r.closure(f, vars, set) // its faults and files are told for itself
	}
	c := r.closure(path, vars, set)
	for known := -1; known != set.size(); { // a task may set what one before it, by a loop or another file, reads
		known = set.size()
		c = r.closure(path, vars, set)
	}
	sort.Slice(c.inputs, func(i, j int) bool { return c.inputs[i].Name < c.inputs[j].Name })
	return c.inputs, source.Join(c.errs...)
}

func (r *Runner) closure(path string, vars *expr.Vars, set *produced) *closure {
	c := &closure{r: r, vars: vars, set: set, seen: map[string]bool{}}
	c.file(path, &scope{keys: value.NewDict(), file: path})
	return c
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
	c.set.add(t)
	c.lookups(t, s)
	switch {
	case t.Module == "include_tasks" || t.Module == "import_tasks":
		for _, path := range c.paths(t, find, "tasks", c.names(t, s, "file")) {
			c.file(path, &scope{parent: s, keys: value.NewDict(), file: path, role: s.role})
		}
	case t.Module == "include_vars":
		for _, arg := range []string{"file", "dir"} {
			for _, path := range c.paths(t, find, "vars", c.names(t, s, arg)) {
				c.tree(path)
				c.set.file(path)
			}
		}
	case strings.HasSuffix(t.Module, "_role"):
		for _, arg := range []string{"name", "role"} {
			for _, name := range c.names(t, s, arg) {
				for _, dir := range c.roleDirs(s, name) {
					c.role(filepath.Base(dir), dir, s)
				}
			}
		}
	default:
		if a, ok := fileArgs[t.Module]; ok && !c.remote(t) {
			for _, path := range c.paths(t, find, a.kind, c.names(t, s, a.arg)) {
				c.tree(path)
				if t.Module == "template" {
					c.template(path)
				}
			}
		}
	}
}

// roleDirs are the folders of the roles that a name may mean.
func (c *closure) roleDirs(s *scope, name fileName) (dirs []string) {
	p := &play{Runner: c.r}
	if !name.glob {
		if dir := p.roleDir(s, name.text); dir != "" {
			dirs = append(dirs, dir)
		}
		return dirs
	}
	return globAll(p.roleFolders(s), name.text)
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

// paths are the files and folders that names mean.
func (c *closure) paths(t *Task, find Folders, kind string, names []fileName) (paths []string) {
	for _, n := range names {
		name := n.text
		if t.Module == "script" {
			name, _, _ = strings.Cut(strings.TrimSpace(name), " ")
		}
		if strings.Contains(name, "://") {
			continue
		}
		if n.glob {
			var dirs []string
			for _, dir := range find {
				dirs = append(dirs, filepath.Join(dir, kind), dir)
			}
			paths = append(paths, globAll(dirs, name)...)
			continue
		}
		path, err := find.Find(kind, name)
		if err != nil {
			c.missing(t, name, err)
			continue
		}
		paths = append(paths, path)
	}
	return paths
}

// globAll is what matches a pattern in any of the folders.
func globAll(dirs []string, pattern string) (paths []string) {
	for _, dir := range dirs {
		full := pattern
		if !filepath.IsAbs(full) {
			full = filepath.Join(literal(dir), pattern)
		}
		found, _ := filepath.Glob(full) // the pattern is well formed
		for _, path := range found {
			if !slices.Contains(paths, path) {
				paths = append(paths, path)
			}
		}
	}
	return paths
}

// missing complains about a constant name; an evaluated one may be that of another case.
func (c *closure) missing(t *Task, name string, err error) {
	if hasTemplate(t.Args) || hasTemplate(t.Free) || t.Keys.Has("when") {
		return
	}
	c.errs = append(c.errs, &source.Error{Pos: t.ModulePos, What: t.Module, Err: err})
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
	c.own(path)
}

// own adds the host's own variables that a file mentions. Files longer than any task
// file or template are left out.
func (c *closure) own(path string) {
	st, err := os.Stat(path)
	if len(c.r.o.Own) == 0 || err != nil || st.Size() > maxMention {
		return
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return // sum has read it
	}
	for _, name := range c.r.o.Own {
		if key := "variable " + name; bytes.Contains(text, []byte(name)) && !c.seen[key] {
			c.seen[key] = true
			v, _, _ := c.vars.Get(name)
			shown := value.Text(v)
			digest := sha256.Sum256([]byte(shown))
			c.inputs = append(c.inputs, engine.Input{Name: key, Digest: hex.EncodeToString(digest[:]), Text: shown})
		}
	}
}

// maxMention bounds the files that are searched for variables, in bytes.
const maxMention = 1 << 20

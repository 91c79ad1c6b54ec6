package task

import (
	"cmp"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
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
	reads  expr.Mentions
	// watched is the state of every file and folder that was looked at; loose says that this is
	// not enough to tell whether the closure is still the same.
	watched map[string]state
	loose   bool
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
	c, err := r.close(path, vars, before)
	return c.inputs, err
}

func (r *Runner) close(path string, vars *expr.Vars, before []string) (*closure, error) {
	set := &produced{names: map[string]bool{}}
	var firsts []*closure
	for _, f := range before {
		firsts = append(firsts, r.closure(f, vars, set)) // its faults and files are told for itself
	}
	c := r.closure(path, vars, set)
	for known := -1; known != set.size(); { // a task may set what one before it, by a loop or another file, reads
		known = set.size()
		c = r.closure(path, vars, set)
	}
	for _, first := range firsts {
		maps.Copy(c.watched, first.watched)
		c.loose = c.loose || first.loose
	}
	slices.SortFunc(c.inputs, func(a, b engine.Input) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Digest, b.Digest))
	})
	return c, source.Join(c.errs...)
}

func (r *Runner) closure(path string, vars *expr.Vars, set *produced) *closure {
	c := &closure{r: r, vars: vars, set: set, seen: map[string]bool{}, watched: map[string]state{}}
	c.file(path, &scope{keys: value.NewDict(), file: path})
	return c
}

// file adds a task file and what it reads.
func (c *closure) file(path string, s *scope) {
	if c.seen["tasks "+path] {
		return
	}
	c.seen["tasks "+path] = true
	c.watch(path)
	f, err := c.r.file(path)
	if err != nil {
		c.errs = append(c.errs, err)
		return
	}
	c.meaning(path, tasksValue(f.Tasks))
	c.tasks(f.Tasks, s)
}

func (c *closure) tasks(tasks []*Task, s *scope) {
	for _, t := range tasks {
		in := s.within(t)
		c.mentions(t)
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
	if file := c.r.parser.modules[t.Module].File; file != "" {
		c.tree(file)
	}
	c.look([]any{t.Keys, t.Args, t.Free, t.ArgsFrom}, s, t)
	switch {
	case t.Module == "include_tasks" || t.Module == "import_tasks":
		for _, path := range c.paths(t, find, "tasks", c.names(t, s, "file")) {
			c.file(path, &scope{parent: s, keys: value.NewDict(), file: path, role: s.role})
		}
	case t.Module == "include_vars":
		for _, arg := range []string{"file", "dir"} {
			for _, path := range c.paths(t, find, "vars", c.names(t, s, arg)) {
				c.varTree(path, s)
				c.set.file(path)
			}
		}
	case t.Module == "ansible":
		c.ansible(t, s)
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
					c.rendered(t, path)
				}
			}
		}
	}
}

// roleDirs are the folders of the roles that a name may mean.
func (c *closure) roleDirs(s *scope, name fileName) (dirs []string) {
	p := &play{Runner: c.r}
	c.watchNames(p.roleFolders(s), "", name)
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
		c.watchNames(find, kind, n)
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
	c.watch(dir)
	p := &play{Runner: c.r}
	ro, err := p.loadRole(name, dir, "main", "main")
	if err != nil {
		c.errs = append(c.errs, err)
		return
	}
	c.specified(ro)
	in := &scope{parent: s, keys: value.NewDict(), role: ro}
	for _, d := range ro.deps {
		c.watchNames(p.roleFolders(in), "", fileName{text: d.name})
		if dep := p.roleDir(in, d.name); dep != "" {
			c.role(d.name, dep, s)
		}
	}
	for _, sub := range []string{"tasks", "handlers"} {
		matches, _ := filepath.Glob(filepath.Join(literal(dir), sub, "*.y*ml"))
		for _, path := range matches {
			c.file(path, &scope{parent: s, keys: value.NewDict(), file: path, role: ro})
		}
	}
	for _, sub := range []string{"tasks", "handlers", "defaults", "vars", "meta", "files", "templates", "library"} {
		switch _, err := os.Stat(filepath.Join(dir, sub)); {
		case err != nil:
		case sub == "defaults" || sub == "vars" || sub == "meta":
			c.varTree(filepath.Join(dir, sub), in)
		default:
			c.tree(filepath.Join(dir, sub))
		}
	}
}

// tree adds a file, or all files below a folder.
func (c *closure) tree(root string) {
	c.walk(root, c.add)
}

// walk calls f for the regular files below root, and for root if it is one.
func (c *closure) walk(root string, f func(path string)) {
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		c.watch(path)
		if err == nil && e.Type().IsRegular() {
			f(path)
		} else if err == nil && e.Type()&fs.ModeSymlink != 0 {
			if st, serr := os.Stat(path); serr == nil && st.Mode().IsRegular() {
				f(path)
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
	c.watch(path)
	digest, err := sum(path)
	if err != nil {
		c.errs = append(c.errs, err)
		return
	}
	c.inputs = append(c.inputs, engine.Input{Name: "file " + c.short(path), Digest: digest})
}

// meaning adds a file by what it says: neither comments nor how it is laid out count.
func (c *closure) meaning(path string, v any) {
	if c.seen[path] {
		return
	}
	digest, ok := Digest(v)
	if !ok {
		c.add(path)
		return
	}
	c.seen[path] = true
	c.inputs = append(c.inputs, engine.Input{Name: "file " + c.short(path), Digest: digest})
}

// short is a path from the project's folder, if it lies in it.
func (c *closure) short(path string) string {
	if rel, err := filepath.Rel(c.r.o.Project, path); err == nil && c.r.o.Project != "" && !strings.HasPrefix(rel, "..") {
		return rel
	}
	return path
}

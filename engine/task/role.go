package task

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"farm/engine"
	"farm/inventory/source"
	"farm/inventory/value"
)

// role is one loaded role.
type role struct {
	name, dir      string
	defaults, vars *value.Dict
	params         *value.Dict // variables of the call, which its handlers see too
	deps           []roleDep
	again          bool        // runs each time that it is a dependency or among a play's roles
	specs          *value.Dict // what its arguments shall be, by entry point
}

type roleDep struct {
	name string
	pos  source.Pos
	keys *value.Dict // keywords, vars among them
}

func (r *role) magic() *value.Dict {
	return value.NewDict("role_name", r.name, "role_path", r.dir, "ansible_role_name", r.name)
}

// callRole runs a role: made in Go, or from a folder.
func (p *play) callRole(ctx context.Context, c *call, args *value.Dict) error {
	text := func(key, def string) string {
		if v, ok := args.Get(key); ok && value.Text(v) != "" {
			return value.Text(v)
		}
		return def
	}
	name := text("name", text("role", ""))
	last := name[strings.LastIndex(name, ".")+1:]
	dir := p.roleDir(c.s, name)
	if f, ok := p.o.Roles[last]; ok && dir == "" {
		if ok, err := p.selected(c.s, c.vars); err != nil || !ok {
			return err
		}
		p.announce(c)
		if err := f(ctx, RoleCall{Name: last, TasksFrom: text("tasks_from", "main"), Host: p.h, Vars: c.vars, Pos: c.t.Pos}); err != nil {
			_, ferr := c.failed(engine.FaultOf(err), err)
			return ferr
		}
		return nil
	}
	if dir == "" {
		known := make([]string, 0, len(p.o.Roles))
		for n := range p.o.Roles {
			known = append(known, n)
		}
		_, err := c.failed(engine.UserFault, &source.Error{Pos: c.t.ModulePos, What: fmt.Sprintf("there is no role %q (searched %s)", name, strings.Join(p.roleFolders(c.s), ", ")), Hint: source.DidYouMean(last, known)})
		return err
	}
	ro, err := p.loadRole(name, dir, text("defaults_from", "main"), text("vars_from", "main"))
	if err == nil {
		err = p.roleHandlers(ro, text("handlers_from", "main"))
	}
	var f *File
	if err == nil {
		f, err = p.roleFile(ro, "tasks", text("tasks_from", "main"))
	}
	if err != nil {
		_, ferr := c.failed(engine.UserFault, err)
		return ferr
	}
	ro.params = paramsOf(c.t)
	if once, _ := args.Get("allow_duplicates"); once == false && p.ranBefore(c, ro) {
		return nil
	}
	if pub, _ := args.Get("public"); c.t.Module == "import_role" || pub == true {
		d := p.absent(ro.defaults)
		for k, v := range ro.vars.All() {
			d.Set(k, v)
		}
		set(&p.h.public, d)
	}
	s := p.inner(c.t, c.s, c.vars, args, filepath.Join(dir, "tasks", "main.yml"))
	s.role = ro
	if !slices.Contains(p.h.roles, any(ro.name)) {
		p.h.roles = append(slices.Clip(p.h.roles), ro.name)
	}
	if err := p.roleDeps(ctx, ro, s); err != nil {
		return err
	}
	var tasks []*Task
	valid, given := args.Get("rolespec_validate")
	if on, err := value.ParseBool(valid); !given || err != nil || on {
		if t := ro.validation(text("tasks_from", "main")); t != nil {
			tasks = append(tasks, t)
		}
	}
	if f != nil {
		s.file = f.Path
		tasks = append(tasks, f.Tasks...)
	}
	return p.in(len(ro.deps), func() error { return p.tasks(ctx, tasks, s) })
}

func paramsOf(t *Task) *value.Dict {
	vars, _ := t.Keys.Get("vars")
	d, _ := vars.(*value.Dict)
	return d
}

// ranBefore notes that a role runs on the host, and reports whether it did already with the same
// parameters, conditions and tags, and once is enough.
func (p *play) ranBefore(c *call, ro *role) bool {
	when, _ := c.t.Keys.Get("when")
	tags, _ := c.t.Keys.Get("tags")
	how := []any{when, tags}
	if ro.params.Len() > 0 {
		how = append(how, ro.params)
	}
	text, err := json.Marshal(how)
	if err != nil || ro.again {
		return false
	}
	key := ro.dir + " " + string(text)
	if p.h.ran[key] {
		return true
	}
	if p.h.ran == nil {
		p.h.ran = map[string]bool{}
	}
	p.h.ran[key] = true
	return false
}

// roleDeps runs the roles that meta/main.yml names, before the role itself.
func (p *play) roleDeps(ctx context.Context, ro *role, s *scope) error {
	for i, d := range ro.deps {
		if name := any(filepath.Base(d.name)); !slices.Contains(p.h.dependent, name) {
			p.h.dependent = append(slices.Clip(p.h.dependent), name)
		}
		t := &Task{Pos: d.pos, ModulePos: d.pos, Module: "import_role", Keys: d.keys, Args: value.NewDict("name", d.name, "allow_duplicates", false)}
		if err := p.in(i, func() error { return p.include(ctx, t, s.within(t), p.vars(s, nil)) }); err != nil {
			return err
		}
	}
	return nil
}

// roleFolders are the folders in which roles are looked up.
func (p *play) roleFolders(s *scope) []string {
	var out []string
	for c := s; c != nil; c = c.parent {
		if c.role != nil {
			out = append(out, filepath.Dir(c.role.dir))
		}
	}
	for _, d := range s.dirs(p.o.Project) {
		out = append(out, filepath.Join(d, "roles"))
	}
	seen := map[string]bool{}
	return slices.DeleteFunc(append(out, p.o.RolePaths...), func(dir string) bool {
		had := seen[dir]
		seen[dir] = true
		return had
	})
}

func (p *play) roleDir(s *scope, name string) string {
	if filepath.IsAbs(name) {
		if st, err := os.Stat(name); err == nil && st.IsDir() {
			return name
		}
		return ""
	}
	for _, d := range p.roleFolders(s) {
		for _, n := range []string{name, name[strings.LastIndex(name, ".")+1:]} {
			dir := filepath.Join(d, n)
			if st, err := os.Stat(dir); err == nil && st.IsDir() {
				return dir
			}
		}
	}
	return ""
}

// roleFile finds DIR/KIND/NAME{,.yml,.yaml,.json}; nil where there is no main one.
func (p *play) roleFile(ro *role, kind, name string) (*File, error) {
	path, ok := rolePath(ro.dir, kind, name)
	if !ok {
		if name == "main" {
			return nil, nil
		}
		return nil, fmt.Errorf("role %q has no %s/%s.yml", ro.name, kind, name)
	}
	return p.file(path)
}

func rolePath(dir, kind, name string) (string, bool) {
	for _, ext := range []string{"", ".yml", ".yaml", ".json"} {
		path := filepath.Join(dir, kind, name+ext)
		if st, err := os.Stat(path); err == nil && st.Mode().IsRegular() {
			return path, true
		}
	}
	return "", false
}

// loadRole reads a role. With the error, which holds all faults, comes what is right.
func (p *play) loadRole(name, dir, defaults, vars string) (*role, error) {
	ro := &role{name: filepath.Base(name), dir: dir}
	var errs []error
	for _, part := range []struct {
		kind, name string
		into       **value.Dict
	}{{"defaults", defaults, &ro.defaults}, {"vars", vars, &ro.vars}} {
		path, ok := rolePath(dir, part.kind, part.name)
		if !ok {
			if part.name != "main" {
				errs = append(errs, fmt.Errorf("role %q has no %s/%s.yml", ro.name, part.kind, part.name))
			}
			continue
		}
		d, err := ReadVars(path)
		*part.into, errs = d, append(errs, err)
	}
	path, ok := rolePath(dir, "meta", "main")
	if !ok {
		return ro, source.Join(append(errs, ro.loadSpecs(nil))...)
	}
	meta, err := ReadVars(path)
	errs = append(errs, ro.loadSpecs(meta))
	again, _ := meta.Get("allow_duplicates")
	ro.again = again == true
	deps, depsErr := dependencies(meta)
	ro.deps = deps
	return ro, source.Join(append(errs, err, depsErr)...)
}

// dependencies are the roles that meta/main.yml names. With the error come those that are right.
func dependencies(meta *value.Dict) (deps []roleDep, err error) {
	v, _ := meta.Get("dependencies")
	list, ok := v.([]any)
	if !ok && v != nil {
		return nil, source.Errorf(meta.ValPos("dependencies"), "dependencies is %s, not a list of roles", value.Kind(v))
	}
	var errs []error
	for i, one := range list {
		dep, err := dependency(one, meta.ItemPos("dependencies", i))
		if errs = append(errs, err); dep.name != "" {
			deps = append(deps, dep)
		}
	}
	return deps, source.Join(errs...)
}

// dependency is one of them: a name, or a mapping with keywords; what else there is are variables.
func dependency(v any, pos source.Pos) (roleDep, error) {
	dep := roleDep{pos: pos, keys: value.NewDict()}
	d, ok := v.(*value.Dict)
	if !ok {
		dep.name, ok = v.(string)
		if !ok || dep.name == "" {
			return dep, &source.Error{Pos: pos, What: fmt.Sprintf("a dependency is %s, not a role", value.Kind(v)), Hint: "its name, or {role: NAME, vars: {...}}"}
		}
		return dep, nil
	}
	vars := value.NewDict()
	var errs []error
	for k, item := range d.All() {
		switch key := value.Text(k); {
		case key == "role" || key == "name" && !d.Has("role"):
			dep.name = value.Text(item)
		case key == "vars":
			given, isDict := item.(*value.Dict)
			if !isDict && item != nil {
				errs = append(errs, source.Errorf(d.ValPos(k), "vars is %s, not a mapping", value.Kind(item)))
			}
			vars = value.Merge(vars, given)
		case keywords[key] == both:
			dep.keys.Set(key, item)
			dep.keys.CopyPos(key, d)
		default:
			vars.Set(k, item)
			vars.CopyPos(k, d)
		}
	}
	if dep.name == "" {
		errs = append(errs, &source.Error{Pos: pos, What: "the dependency names no role", Hint: "{role: NAME}"})
	}
	dep.keys.Set("vars", vars)
	return dep, source.Join(errs...)
}

func (p *play) roleHandlers(ro *role, from string) error {
	f, err := p.roleFile(ro, "handlers", from)
	if f == nil || err != nil {
		return err
	}
	for _, t := range f.Tasks {
		t := *t
		t.role = ro
		known := false
		for _, h := range p.h.handlers {
			known = known || h.Pos == t.Pos
		}
		if !known {
			p.h.handlers = append(p.h.handlers, &t)
		}
	}
	return nil
}

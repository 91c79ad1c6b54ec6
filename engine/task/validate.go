package task

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"farm/inventory/expr"
	"farm/inventory/source"
	"farm/inventory/value"
)

// conditionKeys hold bare expressions.
var conditionKeys = map[string]bool{"when": true, "until": true, "changed_when": true, "failed_when": true}

// boolKeys are true or false, or a template that gives it.
var boolKeys = []string{
	"become", "ignore_errors", "ignore_unreachable", "no_log", "check_mode", "diff", "run_once", "any_errors_fatal", "delegate_facts",
}

// countKeys are numbers from 0.
var countKeys = []string{"retries", "async", "poll", "throttle", "delay", "timeout"}

// becomeMethods are the ways to become another user.
var becomeMethods = []string{"sudo", "su", "doas"}

// Validation checks task files that run on one host, one after another, and what they include
// by constant names, without running anything: syntax, keywords, modules, arguments, expressions, files,
// roles, handlers, hosts. All faults are told at once. Used by one goroutine.
type Validation struct {
	// Topics are notifications that are heard without a handler.
	Topics []string
	// Hosts are those that tasks can be delegated to beside localhost and what tasks add; nil = any.
	Hosts []string

	r      *Runner
	e      *expr.Engine
	errs   []error
	later  []error // faults of tasks that may not run, or may be meant to fail
	reach  reach
	writes bool // a task checked so far may write files of the controller
	acts   bool // one may change its host, which may be the controller
}

// MayWrite reports whether what was checked so far may write files of the controller.
func (v *Validation) MayWrite() bool { return v.writes || v.acts && v.r.o.Local != nil }

// harmless are modules that change nothing on any host.
var harmless = []string{"debug", "assert", "fail", "set_fact", "set_stats", "meta", "ping", "setup", "stat", "pause", "include_vars"}

// Validation starts one.
func (r *Runner) Validation(e *expr.Engine) *Validation { return &Validation{r: r, e: e} }

// File checks the task file at path.
func (v *Validation) File(path string) {
	v.check(func(one *validator) { one.file(path, &scope{keys: value.NewDict(), file: path}) })
}

// Tasks checks parsed tasks of the file at path.
func (v *Validation) Tasks(path string, tasks []*Task) {
	v.check(func(one *validator) { one.tasks(tasks, &scope{keys: value.NewDict(), file: path}) })
}

// Keywords checks keywords that tasks inherit, Values templates at any depth.
func (v *Validation) Keywords(keys *value.Dict) {
	v.check(func(one *validator) { one.keys(&Task{Keys: keys}) })
}

// Values checks the templates in x, at any depth.
func (v *Validation) Values(x any) { v.check(func(one *validator) { one.templates(x, false) }) }

// Partly says that what is checked could not all be read: other handlers and hosts may be defined.
func (v *Validation) Partly() { v.reach.unknown() }

// Handlers checks parsed handlers of the file at path, which the tasks may notify.
func (v *Validation) Handlers(path string, handlers []*Task) {
	v.check(func(one *validator) {
		one.handling = true
		one.tasks(handlers, &scope{keys: value.NewDict(), file: path})
	})
}

func (v *Validation) check(f func(*validator)) {
	one := &validator{r: v.r, e: v.e, seen: map[string]bool{}, reach: &v.reach}
	f(one)
	v.errs = append(v.errs, one.errs...)
	v.later = append(v.later, one.later...)
	v.writes, v.acts = v.writes || one.writes, v.acts || one.acts
	if !one.writes {
		v.errs = append(v.errs, one.missing...)
	}
}

// Err holds every fault found so far that keeps the tasks from being run; nil if there is none.
func (v *Validation) Err() error {
	return source.Join(append(v.reach.faults(v.Topics, v.Hosts), v.errs...)...)
}

// Later holds the faults of tasks that may not run, or whose failure is expected: they fail when
// it is their turn. What Err holds is not among them.
func (v *Validation) Later() []error {
	told := map[string]bool{}
	for _, err := range source.Flatten(source.Join(v.errs...)) {
		told[err.Error()] = true
	}
	var later []error
	for _, err := range source.Flatten(source.Join(v.later...)) {
		if !told[err.Error()] {
			later = append(later, err)
		}
	}
	return later
}

type validator struct {
	r        *Runner
	e        *expr.Engine
	seen     map[string]bool // files and roles
	chain    []string        // files under way, each brought in by the one before
	errs     []error
	later    []error // see Validation.Later
	missing  []error // files that tasks name; some task may write them here
	writes   bool    // a task may write files of the controller
	acts     bool    // a task may change its host
	handling bool    // the tasks are handlers
	reach    *reach
}

func (v *validator) file(path string, s *scope) {
	if v.met("file "+path, s) {
		return
	}
	v.chain = append(v.chain, path)
	defer func() { v.chain = v.chain[:len(v.chain)-1] }()
	// Not r.file: a file with faults is read as far as it goes, and not kept.
	f, err := v.r.parser.ReadFile(path)
	v.tell(s, err)
	if f == nil || f.lost || v.handling && err != nil {
		v.reach.unknown()
	}
	if f != nil {
		v.tasks(f.Tasks, s)
	}
}

func (v *validator) tasks(tasks []*Task, s *scope) {
	for _, t := range tasks {
		in := s.within(t)
		v.reach.add(t, in, v.handling)
		if _, known := v.r.parser.module(t.Module); !known && !t.IsBlock() {
			v.reach.unknown() // it may have been meant to define anything
		}
		v.doubted(in, func() {
			v.keys(t)
			v.templates(t.Args, t.Module == "assert")
			v.templates(t.Free, false)
			v.arguments(t, in)
		})
		attempt := in
		if len(t.Rescue) > 0 {
			attempt = in.section(expected)
		}
		v.tasks(t.Block, attempt)
		v.tasks(t.Rescue, in.section(perhaps))
		v.tasks(t.Always, in)
		v.acts = v.acts || !t.IsBlock() && !slices.Contains(harmless, t.Module)
		v.included(t, in)
	}
}

// met reports whether something was checked before, at a place at least as certain.
func (v *validator) met(what string, s *scope) bool {
	for d := range doubts(s) + 1 {
		if v.seen[fmt.Sprintf("%s %d", what, d)] {
			return true
		}
	}
	v.seen[fmt.Sprintf("%s %d", what, doubts(s))] = true
	return false
}

// constant is the name that an argument, or the free text, gives to what t brings in.
func constant(t *Task, keys ...string) string {
	for _, key := range keys {
		if raw, ok := t.Args.Get(key); ok {
			name, _ := raw.(string)
			return name
		}
	}
	name, _ := t.Free.(string)
	return name
}

// included follows what t brings in by a constant name.
func (v *validator) included(t *Task, s *scope) {
	switch t.Module {
	case "include_tasks", "import_tasks":
		v.includedTasks(t, s)
	case "include_role", "import_role":
		if name := constant(&Task{Args: t.Args}, "name", "role"); name != "" {
			v.role(t, s, name)
		} else {
			v.reach.unknown()
		}
	case "include_vars":
		name := constant(t, "file")
		if name == "" || t.Args.Has("dir") {
			return
		}
		path, err := Folders(s.dirs(v.r.o.Project)).Find("vars", name)
		if err != nil {
			v.absent(t, s, err)
		} else if d, err := ReadVars(path); err != nil {
			v.tell(s, err)
		} else {
			v.templates(d, false)
		}
	case "ansible":
		v.ansible(t, s)
	default:
		v.named(t, s)
	}
}

func (v *validator) includedTasks(t *Task, s *scope) {
	name := constant(t, "file")
	if name == "" {
		v.reach.unknown()
		return
	}
	path, err := Folders(s.dirs(v.r.o.Project)).Find("tasks", name)
	if err != nil {
		v.reach.unknown()
		v.tell(s, &source.Error{Pos: t.ModulePos, What: t.Module, Err: err, Foreign: t.Module == "include_tasks"})
		return
	}
	if i := slices.Index(v.chain, path); i >= 0 && (t.Module == "import_tasks" || always(s)) {
		names := []string{filepath.Base(path)}
		for _, via := range v.chain[i+1:] {
			names = append(names, filepath.Base(via))
		}
		v.errs = append(v.errs, &source.Error{Pos: t.ModulePos, Hint: "include_tasks with a `when` can repeat a file",
			What: t.Module + ": the file brings in itself, without an end: " + strings.Join(append(names, filepath.Base(path)), " -> ")})
		return
	}
	v.file(path, &scope{parent: s, keys: value.NewDict(), file: path, role: s.role})
}

// always reports whether nothing around a task may keep it from running.
func always(s *scope) bool {
	for ; s != nil; s = s.parent {
		for _, key := range s.keys.Keys() {
			if key == "when" || key == "loop" || key == "tags" || strings.HasPrefix(key, "with_") {
				return false
			}
		}
	}
	return true
}

// role checks a role from a folder, once.
func (v *validator) role(t *Task, s *scope, name string) {
	p := &play{Runner: v.r}
	dir := p.roleDir(s, name)
	last := name[strings.LastIndex(name, ".")+1:]
	if dir == "" {
		v.reach.unknown()
	}
	if _, made := v.r.o.Roles[last]; dir == "" && made {
		return
	}
	if dir == "" {
		hint := source.DidYouMean(last, v.roles(p, s))
		v.tell(s, &source.Error{Pos: t.ModulePos, Hint: hint, Foreign: hint == "" && t.Module == "include_role",
			What: "there is no role " + quoted(name) + " (searched " + strings.Join(p.roleFolders(s), ", ") + ")"})
		return
	}
	from := constant(&Task{Args: t.Args}, "tasks_from")
	if from == "" {
		from = "main"
	}
	handlers := constant(&Task{Args: t.Args}, "handlers_from")
	if handlers == "" {
		handlers = "main"
	}
	if hasTemplate(t.Args) || len(t.ArgsFrom) > 0 {
		v.reach.unknown()
	}
	key := dir + "\x00" + from + "\x00" + handlers
	if v.met(key, s) {
		return
	}
	ro, err := p.loadRole(name, dir, "main", "main")
	if err != nil {
		v.tell(s, err)
		v.reach.unknown()
	}
	v.doubted(s, func() { v.templates([]any{ro.defaults, ro.vars}, false) })
	in := &scope{parent: s, keys: value.NewDict(), file: filepath.Join(dir, "tasks", "main.yml"), role: ro}
	if t := ro.validation(from); t != nil && v.r.parser.modules[t.Module].New != nil {
		r := &reader{Parser: v.r.parser, path: t.Pos.File}
		r.arguments(t)
		v.tell(s, r.errs...)
	}
	for _, dep := range ro.deps {
		at := &Task{Module: "dependencies", ModulePos: dep.pos, Args: value.NewDict()}
		v.role(at, in, dep.name)
	}
	for _, part := range []struct{ kind, name string }{{"tasks", from}, {"handlers", handlers}} {
		path, ok := rolePath(dir, part.kind, part.name)
		if ok {
			were := v.handling
			v.handling = part.kind == "handlers"
			v.file(path, &scope{parent: in, keys: value.NewDict(), file: path, role: ro})
			v.handling = were
		} else if part.name != "main" {
			v.tell(s, lacks(t, name, part.kind, part.name))
		}
	}
	for _, kind := range []string{"defaults", "vars"} {
		from := constant(&Task{Args: t.Args}, kind+"_from")
		if _, ok := rolePath(dir, kind, from); !ok && from != "" {
			v.tell(s, lacks(t, name, kind, from))
		}
	}
}

func lacks(t *Task, role, kind, name string) error {
	e := source.Errorf(t.ModulePos, "%s: role %q has no %s/%s.yml", t.Module, role, kind, name)
	e.Foreign = t.Module == "include_role"
	return e
}

// roles lists the roles that could be meant.
func (v *validator) roles(p *play, s *scope) []string {
	var names []string
	for _, dir := range p.roleFolders(s) {
		found, _ := filepath.Glob(filepath.Join(dir, "*"))
		for _, f := range found {
			names = append(names, filepath.Base(f))
		}
	}
	for name := range v.r.o.Roles {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func quoted(s string) string { return `"` + s + `"` }

// named finds out whether the file of the controller that an argument names is there.
func (v *validator) named(t *Task, s *scope) {
	if t.Module == "fetch" || t.Module == "synchronize" || t.Keys.Has("delegate_to") {
		v.writes = true
	}
	a, ok := fileArgs[t.Module]
	_, known := v.r.parser.modules[t.Module]
	c := &closure{r: v.r}
	if !ok || !known || t.Module == "synchronize" || c.remote(t) || !v.wellNamed(t) {
		return
	}
	name := constant(t, a.arg)
	if t.Module == "script" {
		name, _, _ = strings.Cut(strings.TrimSpace(name), " ")
	}
	if name == "" || strings.Contains(name, "://") || strings.ContainsAny(name, "'\"") {
		return
	}
	path, err := Folders(s.dirs(v.r.o.Project)).Find(a.kind, name)
	if err != nil {
		v.absent(t, s, err)
	} else if t.Module == "template" && !forgiven(s) {
		v.template(path, t.Args)
	}
}

// template checks a file that a task renders.
func (v *validator) template(path string, args *value.Dict) {
	how, constant := value.SyntaxOf(args)
	seen := fmt.Sprintf("template %s %+v", path, how)
	if v.e == nil || v.seen[seen] || !constant {
		return
	}
	v.seen[seen] = true
	text, err := source.ReadText(path)
	if err == nil {
		err = v.e.CheckText(path, string(text), how)
	}
	v.errs = append(v.errs, err)
}

// wellNamed reports whether a module takes all arguments of a task, so that none of them
// stands for another.
func (v *validator) wellNamed(t *Task) bool {
	names := argNames(v.r.parser.modules[t.Module].New())
	return !slices.ContainsFunc(t.Args.Keys(), func(k string) bool { return !slices.Contains(names, k) })
}

// absent tells of a missing file, unless something around the task deals with its failure
// or may keep it from running.
func (v *validator) absent(t *Task, s *scope, err error) {
	if !always(s) {
		return
	}
	if forgiven(s) {
		return
	}
	v.missing = append(v.missing, &source.Error{Pos: t.ModulePos, What: t.Module, Err: err})
}

// forgiven reports whether something around a task deals with its failure.
func forgiven(s *scope) bool {
	for ; s != nil; s = s.parent {
		if s.keys.Has("ignore_errors") || s.keys.Has("failed_when") || s.keys.Has("delegate_to") {
			return true
		}
	}
	return false
}

func (v *validator) keys(t *Task) {
	for k, x := range t.Keys.All() {
		name := k.(string)
		text, isText := x.(string)
		switch {
		case conditionKeys[name]:
			list, isList := x.([]any)
			for i, one := range list {
				v.conditions(one, t.Keys.ItemPos(k, i))
			}
			if !isList {
				v.conditions(x, t.Keys.ValPos(k))
			}
		case name == "become_method" && isText:
			if method := short(strings.TrimPrefix(text, "community.general.")); !slices.Contains(becomeMethods, method) {
				v.fail(t.Keys.ValPos(k), "one of "+strings.Join(becomeMethods, ", "), "become_method is %q", text)
			}
		case isText && slices.Contains(boolKeys, name):
			if _, err := value.ParseBool(text); err != nil {
				v.fail(t.Keys.ValPos(k), "true, false, or a template", "%s is %q", name, text)
			}
		case slices.Contains(countKeys, name):
			if n, err := value.ParseInt(x); err == nil && n < 0 {
				v.fail(t.Keys.ValPos(k), "a number from 0", "%s is %d", name, n)
			}
		case strings.HasPrefix(name, "with_") && v.e.CheckExpression("lookup('"+name[len("with_"):]+"')", source.Pos{}) != nil:
			v.fail(t.Keys.KeyPos(k), "", "%s: there is no lookup %q", name, name[len("with_"):])
		case name != "args":
			v.templates(x, false)
		}
	}
}

func (v *validator) fail(pos source.Pos, hint, format string, args ...any) {
	bad := source.Errorf(pos, format, args...)
	bad.Hint = hint
	v.errs = append(v.errs, bad)
}

// conditions checks bare expressions.
func (v *validator) conditions(x any, pos source.Pos) {
	switch t := x.(type) {
	case string:
		if err := v.e.CheckExpression(strings.TrimSpace(t), pos); err != nil {
			v.errs = append(v.errs, err)
		}
	case []any:
		for _, one := range t {
			v.conditions(one, pos)
		}
	case value.Template:
		v.templates(t, false)
	}
}

// templates checks every template in x; with assert the strings under "that" too.
func (v *validator) templates(x any, assert bool) {
	switch t := x.(type) {
	case value.Template:
		if err := v.e.Check(t); err != nil {
			v.errs = append(v.errs, err)
		}
	case []any:
		for _, one := range t {
			v.templates(one, false)
		}
	case *value.Dict:
		for k, one := range t.All() {
			if assert && k == "that" {
				v.conditions(one, t.ValPos(k))
				continue
			}
			v.templates(one, false)
		}
	}
}

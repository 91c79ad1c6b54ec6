package task

import (
	"fmt"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"farm/engine"
	"farm/inventory/source"
	"farm/inventory/value"
)

// Parser reads task files for a list of modules. Safe for concurrent use.
type Parser struct {
	modules map[string]engine.ModuleDef // by every name, without ansible.builtin.
	names   []string                    // short names, also of what the runner does itself
}

// NewParser returns a parser that knows defs.
func NewParser(defs []engine.ModuleDef) *Parser {
	p := &Parser{modules: map[string]engine.ModuleDef{}}
	for _, d := range defs {
		for _, n := range append([]string{d.Name}, d.Aliases...) {
			p.modules[n] = d
		}
		p.names = append(p.names, d.Name)
	}
	for n := range owned {
		p.names = append(p.names, n)
	}
	sort.Strings(p.names)
	return p
}

// module finds what a key names: its short name, and whether there is such a module.
func (p *Parser) module(key string) (string, bool) {
	name := short(key)
	if _, ok := owned[name]; ok {
		return name, true
	}
	if d, ok := p.modules[name]; ok {
		return d.Name, true
	}
	return "", false
}

// ReadFile reads and parses a task file from the disk.
func (p *Parser) ReadFile(path string) (*File, error) {
	text, err := source.ReadText(path)
	if err != nil {
		return nil, err
	}
	return p.Parse(path, text)
}

// Parse parses the text of a task file. All faults of the file are told at once, each
// at its place.
func (p *Parser) Parse(path string, text []byte) (*File, error) {
	f, err := source.Parse(path, text)
	if err != nil {
		return nil, err
	}
	v, err := value.FromNode(f, f.Root)
	out := &File{Path: path}
	r := &reader{Parser: p, path: path, errs: []error{err}}
	at := source.Pos{File: path, Line: 1, Col: 1}
	if f.Root != nil {
		at = f.Pos(f.Root)
	}
	out.Tasks = r.items(v, at, func(i int) source.Pos { return f.Pos(f.Root.Content[i]) }, "a task file")
	out.lost = r.lost
	return out, source.Join(r.errs...)
}

// reader is one file being parsed.
type reader struct {
	*Parser
	path string
	errs []error
	lost bool // a task could not be read, or has no module that there is
	// foreign are the keys of the task being read that are neither a keyword nor a module.
	foreign []foreignKey
}

// foreignKey is one, with what stands there.
type foreignKey struct {
	name string
	v    any
	err  *source.Error
}

func (r *reader) fail(pos source.Pos, hint, format string, args ...any) {
	if pos.File == "" {
		pos.File = r.path
	}
	r.errs = append(r.errs, &source.Error{Pos: pos, What: fmt.Sprintf(format, args...), Hint: hint})
}

// items reads a list of tasks whose item i stands at item(i).
func (r *reader) items(v any, pos source.Pos, item func(i int) source.Pos, what string) []*Task {
	if v == nil {
		return nil
	}
	items, ok := v.([]any)
	if !ok {
		r.fail(pos, "begin each task with \"- \"", "%s is %s, not a list of tasks", what, value.Kind(v))
		return nil
	}
	var tasks []*Task
	for i, one := range items {
		d, ok := one.(*value.Dict)
		if !ok {
			r.fail(item(i), "a task is a mapping such as shell: make", "%s: item %d is %s, not a task", what, i+1, value.Kind(one))
			r.lost = true
			continue
		}
		tasks = append(tasks, r.task(d))
	}
	return tasks
}

func (r *reader) task(d *value.Dict) *Task {
	before := len(r.errs)
	outer := r.foreign
	defer func() { r.foreign = outer }()
	r.foreign = nil
	t := &Task{Pos: d.Pos(), Keys: value.NewDict(), Args: value.NewDict(), dir: filepath.Dir(r.path)}
	t.Keys.SetPos(d.Pos())
	t.Args.SetPos(d.Pos())
	allowed := onTask
	if d.Has("block") {
		allowed = onBlock
	}
	for k, v := range d.All() {
		name, ok := k.(string)
		if !ok {
			r.fail(d.KeyPos(k), "", "a keyword is text, not %s", value.Kind(k))
			continue
		}
		r.key(t, d, name, v, allowed)
	}
	if allowed == onTask && t.Module == "" {
		r.calless(t, len(r.errs) == before)
		return t // what else it has is checked too
	}
	for _, k := range r.foreign {
		r.errs = append(r.errs, k.err)
	}
	r.finish(t)
	return t
}

// OneMapping merges a list of mappings, as older playbooks have under vars; what else v is stays.
func OneMapping(v any) any {
	list, ok := v.([]any)
	if !ok {
		return v
	}
	all := value.NewDict()
	for _, one := range list {
		d, ok := one.(*value.Dict)
		if !ok {
			return v
		}
		all = value.Merge(all, d)
	}
	return all
}

// calless reads a task that calls no module that there is. A single key that is not known
// names the module: the task fails when it is its turn. sound says that nothing was told of it yet.
func (r *reader) calless(t *Task, sound bool) {
	r.lost = true
	switch {
	case len(r.foreign) == 1:
		k := r.foreign[0]
		t.Module, t.ModulePos, t.garbled, t.wrong = short(k.name), k.err.Pos, true, []error{k.err}
	case len(r.foreign) > 1:
		for _, k := range r.foreign {
			r.errs = append(r.errs, k.err)
		}
	case sound:
		r.fail(t.Pos, "", "the task calls no module")
	}
	r.keywordTypes(t)
	var given []any
	for _, k := range r.foreign {
		given = append(given, k.v)
	}
	t.Free = given
}

// key reads one key of a task: a keyword, or the module.
func (r *reader) key(t *Task, d *value.Dict, name string, v any, allowed where) {
	pos := d.KeyPos(name)
	on, known := keywords[name]
	switch {
	case name == "block" || name == "rescue" || name == "always":
		r.section(t, d, name, v, allowed)
	case name == "action" || name == "local_action":
		r.action(t, name, v, pos)
	case known && on&allowed == 0:
		r.fail(pos, "put it on the tasks of the block", "%q has no meaning on a block", name)
	case known || strings.HasPrefix(name, "with_"):
		if name == "vars" {
			v = OneMapping(v)
		}
		t.Keys.Set(name, v)
		t.Keys.CopyPos(name, d)
	default:
		r.call(t, name, v, pos, allowed)
	}
}

// include reads the former name of two modules: it imports a file whose name is known, unless it is
// repeated. Its further arguments are variables, below facts that were set.
func (r *reader) include(t *Task) {
	t.Module = "import_tasks"
	for k := range t.Keys.All() {
		if name := value.Text(k); name == "loop" || strings.HasPrefix(name, "with_") {
			t.Module = "include_tasks"
		}
	}
	if hasTemplate(t.Free) {
		t.Module = "include_tasks"
	}
	given, _ := t.Keys.Get("vars")
	vars, ok := given.(*value.Dict)
	if !ok && given != nil {
		return
	}
	args := value.NewDict()
	args.SetPos(t.Args.Pos())
	more := value.NewDict()
	for k, v := range t.Args.All() {
		to := more
		if slices.Contains(owned["include"], value.Text(k)) {
			to = args
		}
		to.Set(k, v)
		to.CopyPos(k, t.Args)
	}
	t.Args = args
	if t.Module == "import_tasks" {
		t.params = vars
		t.Keys.Set("vars", more)
	} else if more.Len() > 0 {
		t.Keys.Set("vars", value.Merge(vars, more))
	}
}

func (r *reader) section(t *Task, d *value.Dict, name string, v any, allowed where) {
	if allowed != onBlock {
		r.fail(d.KeyPos(name), `put the tasks under "block"`, "%q stands only beside \"block\"", name)
		return
	}
	tasks := r.items(v, d.KeyPos(name), func(i int) source.Pos { return d.ItemPos(name, i) }, name)
	switch name {
	case "block":
		t.Block = tasks
	case "rescue":
		t.Rescue = tasks
	case "always":
		t.Always = tasks
	}
}

// action reads `action: module k=v` and `action: {module: ..., k: v}`.
func (r *reader) action(t *Task, key string, v any, pos source.Pos) {
	var name string
	var args any
	if a, ok := v.(*value.Dict); ok {
		m, _ := a.Get("module")
		name, _ = textOf(m)
		rest := a.Copy()
		rest.Delete("module")
		args = rest
		if free, ok := rest.Get("_raw_params"); ok && rest.Len() == 1 {
			args = free
		}
	} else {
		text, ok := textOf(v)
		if !ok {
			r.fail(pos, "", "%s is %s, not the name of a module", key, value.Kind(v))
			return
		}
		var rest string
		name, rest, _ = strings.Cut(strings.TrimSpace(text), " ")
		if rest = strings.TrimSpace(rest); rest != "" {
			args = templated(rest, pos)
		}
	}
	if key == "local_action" {
		t.Keys.Set("delegate_to", "localhost")
		t.Keys.SetKeyPos("delegate_to", pos)
	}
	r.call(t, name, args, pos, onTask)
}

// call reads the module of a task and its arguments.
func (r *reader) call(t *Task, key string, v any, pos source.Pos, allowed where) {
	name, ok := r.module(key)
	if !ok || allowed == onBlock {
		r.unknown(key, v, pos, allowed)
		return
	}
	if t.Module != "" {
		r.fail(pos, "one task calls one module", "%q: the task calls %q already", key, t.Module)
		return
	}
	t.Module, t.ModulePos = name, pos
	switch a := v.(type) {
	case nil:
	case *value.Dict:
		t.Args = a
	case []any:
		r.garbled(t, pos, "", "the arguments of %q are a list, not a mapping or text", key)
	default:
		text, _ := textOf(a)
		at := pos
		if tmpl, ok := a.(value.Template); ok {
			at = tmpl.Pos
		}
		r.free(t, text, at)
	}
}

// garbled notes arguments that cannot be read.
func (r *reader) garbled(t *Task, pos source.Pos, hint, format string, args ...any) {
	t.garbled = true
	t.wrong = append(t.wrong, &source.Error{Pos: pos, What: fmt.Sprintf(format, args...), Hint: hint})
}

func (r *reader) unknown(key string, v any, pos source.Pos, allowed where) {
	var known []string
	for k, on := range keywords {
		if on&allowed != 0 {
			known = append(known, k)
		}
	}
	what := "no keyword of a block"
	if allowed == onTask {
		known = append(known, r.names...)
		what = "neither a keyword nor a module"
	}
	sort.Strings(known)
	if pos.File == "" {
		pos.File = r.path
	}
	hint := source.DidYouMean(short(key), known)
	r.foreign = append(r.foreign, foreignKey{key, v, &source.Error{Pos: pos, What: fmt.Sprintf("%q is %s", key, what), Hint: hint, Foreign: hint == ""}})
}

// free reads text in place of arguments.
func (r *reader) free(t *Task, text string, pos source.Pos) {
	take := func(string) bool { return true }
	_, free := owned[t.Module]
	if def, ok := r.modules[t.Module]; ok {
		m := def.New()
		if _, free = m.(engine.FreeForm); free {
			names := argNames(m)
			take = func(k string) bool { return slices.Contains(names, k) }
		}
	}
	args, rest := splitFree(text, pos, take)
	if _, mine := owned[t.Module]; mine { // a name
		rest = strings.TrimSpace(rest)
	}
	t.Args = args
	switch {
	case rest == "":
	case free:
		t.Free = templated(rest, pos)
	case args.Len() == 0 && strings.HasPrefix(rest, "{{") && strings.HasSuffix(strings.TrimSpace(rest), "}}"):
		t.ArgsFrom = append(t.ArgsFrom, value.Template{Text: strings.TrimSpace(rest), Pos: pos})
	default:
		r.garbled(t, pos, "give the arguments as a mapping or as key=value", "%q takes no free text: %q", t.Module, rest)
	}
}

// finish checks a task whose keys are all read.
func (r *reader) finish(t *Task) {
	if t.Module == "include" {
		r.include(t)
	}
	r.keywordTypes(t)
	if t.IsBlock() {
		return
	}
	if extra, ok := t.Keys.Get("args"); ok {
		switch a := extra.(type) {
		case *value.Dict:
			t.Args = value.Merge(a, t.Args)
		case value.Template:
			t.ArgsFrom = append(t.ArgsFrom, a)
		case nil:
		default:
			r.fail(t.Keys.KeyPos("args"), "", "args is %s, not a mapping", value.Kind(extra))
		}
	}
	if raw, ok := t.Args.Get("_raw_params"); ok {
		t.Args = t.Args.Copy()
		t.Args.Delete("_raw_params")
		t.Free = raw
	}
	if t.garbled {
		return
	}
	before := len(r.errs)
	r.arguments(t)
	if strings.HasPrefix(t.Module, "import_") {
		return // they are a part of the file
	}
	t.wrong = append(t.wrong, r.errs[before:]...)
	r.errs = r.errs[:before]
}

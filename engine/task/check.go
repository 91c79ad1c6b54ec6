package task

import (
	"reflect"
	"slices"
	"strings"

	"farm/engine"
	"farm/inventory/source"
	"farm/inventory/value"
)

// keywordTypes checks what can be checked of keywords without evaluating them.
func (r *reader) keywordTypes(t *Task) {
	loops := 0
	for k, v := range t.Keys.All() {
		name, pos := k.(string), t.Keys.KeyPos(k)
		if name == "loop" || strings.HasPrefix(name, "with_") {
			if loops++; loops == 2 {
				r.fail(pos, "", "%q: the task has another loop already", name)
			}
		}
		if _, isTemplate := v.(value.Template); !isTemplate {
			r.keywordType(name, v, pos)
		}
		r.keywordPlace(t, name, pos)
	}
}

// onInclude are the keywords of include_tasks and include_role, as Ansible has them: what is
// meant for the tasks inside stands under apply.
var onInclude = []string{
	"name", "args", "collections", "debugger", "ignore_errors", "loop", "loop_control", "no_log", "register", "run_once", "tags",
	"timeout", "vars", "when",
}

// keywordPlace refuses keywords that would have no effect where they stand.
func (r *reader) keywordPlace(t *Task, name string, pos source.Pos) {
	loops := name == "loop" || strings.HasPrefix(name, "with_")
	switch t.Module {
	case "include_tasks", "include_role":
		if !loops && !slices.Contains(onInclude, name) {
			r.fail(pos, "put it under apply, or on a block around it", "%q has no meaning on %s", name, t.Module)
		}
	case "import_tasks", "import_role":
		if loops {
			r.fail(pos, "include_"+strings.TrimPrefix(t.Module, "import_")+" can be repeated", "%q has no meaning on %s", name, t.Module)
		}
	}
	if name == "async" && owned[t.Module] != nil {
		r.fail(pos, "", "%s cannot run in the background", t.Module)
	}
}

// moduleDefaults checks that each entry names a module.
func (r *reader) moduleDefaults(v any, pos source.Pos) {
	for _, one := range itemsOf(v) {
		d, ok := one.(*value.Dict)
		if !ok {
			if one != nil && !hasTemplate(one) {
				r.fail(pos, "", "module_defaults is %s, not a mapping", value.Kind(one))
			}
			continue
		}
		for k := range d.All() {
			name := value.Text(k)
			if strings.HasPrefix(name, "group/") {
				r.fail(d.KeyPos(k), "name each module", "module_defaults: there are no groups of modules: %q", name)
			} else if _, known := r.module(name); !known {
				r.fail(d.KeyPos(k), source.DidYouMean(short(name), r.names), "module_defaults: there is no module %q", name)
			}
		}
	}
}

func (r *reader) keywordType(name string, v any, pos source.Pos) {
	switch name {
	case "tags":
		r.tags(v, pos)
	case "vars":
		vars, ok := v.(*value.Dict)
		if !ok && v != nil {
			r.fail(pos, "", "vars is %s, not a mapping", value.Kind(v))
		}
		for k := range vars.All() {
			if name, ok := k.(string); !ok || !isName(name) {
				r.fail(vars.KeyPos(k), "letters, digits and _, not a digit first", "vars: %q is no name of a variable", value.Text(k))
			}
		}
	case "loop":
		if _, ok := v.([]any); !ok && v != nil {
			r.fail(pos, "such as loop: [a, b]", "loop is %s, not a list", value.Kind(v))
		}
	case "become_user", "become_method", "remote_user", "connection", "delegate_to":
		r.text(name, v, pos)
	case "port":
		if _, err := value.ParseInt(v); err != nil && v != nil {
			r.fail(pos, "", "port is %s, not a number", value.Kind(v))
		}
	case "notify", "listen":
		for _, one := range itemsOf(v) {
			r.text(name, one, pos)
		}
	case "environment":
		r.environment(v, pos)
	case "module_defaults":
		r.moduleDefaults(v, pos)
	case "debugger":
		if v != "never" && v != nil {
			r.fail(pos, "take it out, or set it to never", "debugger: there is no debugger here")
		}
	case "loop_control":
		d, ok := v.(*value.Dict)
		if !ok {
			r.fail(pos, "", "loop_control is %s, not a mapping", value.Kind(v))
			return
		}
		for _, c := range d.Keys() {
			if !slices.Contains(controls, c) {
				r.errs = append(r.errs, value.UnknownKey(d, c, controls))
			}
			v, _ := d.Get(c)
			if name, ok := v.(string); ok && (c == "loop_var" || c == "index_var") && !isName(name) {
				r.fail(d.ValPos(c), "use letters, digits and _", "loop_control.%s is no name of a variable: %q", c, name)
			}
		}
	case "register":
		if s, ok := v.(string); !ok || !isName(s) {
			r.fail(pos, "use letters, digits and _", "Invalid variable name in register: %q", value.Text(v))
		}
	case "become", "ignore_errors", "ignore_unreachable", "no_log", "check_mode", "diff", "run_once", "any_errors_fatal", "delegate_facts":
		_, text := v.(string) // a bare expression is allowed
		if _, err := value.ParseBool(v); err != nil && !text {
			r.fail(pos, "", "%s is %s, not true or false", name, value.Kind(v))
		}
	case "retries", "async", "poll", "throttle", "delay", "timeout":
		_, frac := v.(float64)
		if _, err := value.ParseInt(v); err != nil && !frac {
			r.fail(pos, "", "%s is %s, not a number", name, value.Kind(v))
		}
	}
}

// itemsOf is v as a list: one item may stand in place of it.
func itemsOf(v any) []any {
	if list, ok := v.([]any); ok {
		return list
	}
	return []any{v}
}

// text is what stands for a name.
func (r *reader) text(name string, v any, pos source.Pos) {
	switch v.(type) {
	case []any, *value.Dict:
		r.fail(pos, "", "%s is %s, not text", name, value.Kind(v))
	}
}

// environment is a mapping, or a list of them.
func (r *reader) environment(v any, pos source.Pos) {
	for _, one := range itemsOf(v) {
		switch one.(type) {
		case nil, *value.Dict, value.Template:
		default:
			if one != "" {
				r.fail(pos, "such as {PATH: /opt/bin}", "environment is %s, not a mapping", value.Kind(one))
			}
		}
	}
}

// tags are words, or a list of them.
func (r *reader) tags(v any, pos source.Pos) {
	for _, one := range itemsOf(v) {
		switch one.(type) {
		case []any, *value.Dict:
			r.fail(pos, "such as tags: [build, slow]", "tags: %s is no tag", value.Kind(one))
		}
	}
}

// arguments checks the arguments as far as they are known before the run.
func (r *reader) arguments(t *Task) {
	if names, ok := owned[t.Module]; ok {
		for _, k := range t.Args.Keys() {
			if !slices.Contains(names, k) {
				r.errs = append(r.errs, prefix(t.Module, value.UnknownKey(t.Args, k, names))...)
			}
		}
		r.ownedArguments(t)
		return
	}
	m := r.modules[t.Module].New()
	if len(t.ArgsFrom) > 0 || hasTemplate(t.Args) || hasTemplate(t.Free) {
		r.argumentNames(t, m)
		return
	}
	if text, ok := textOf(t.Free); ok {
		if f, ok := m.(engine.FreeForm); ok {
			f.SetFreeForm(text)
		}
	}
	def := r.modules[t.Module]
	if err := value.Decode(t.Args, m); err != nil {
		r.errs = append(r.errs, prefix(t.Module, err)...)
		r.errs = append(r.errs, further(t, def, mistyped(t.Args, def))...)
		return
	}
	if val, ok := m.(engine.Validator); ok {
		if err := val.Validate(); err != nil {
			p := newPartial(t, def)
			key := p.culprit(err)
			if r.errs = append(r.errs, p.refusal(err, key)); key != nil {
				r.errs = append(r.errs, further(t, def, []any{key})...)
			}
		}
	}
}

// argumentNames is what can be said of arguments with templates in them.
func (r *reader) argumentNames(t *Task, m engine.Module) {
	if takesAny(m) {
		return
	}
	names := argNames(m)
	for _, k := range t.Args.Keys() {
		if !slices.Contains(names, k) {
			r.errs = append(r.errs, prefix(t.Module, value.UnknownKey(t.Args, k, names))...)
		}
	}
}

func (r *reader) ownedArguments(t *Task) {
	switch t.Module {
	case "include_tasks", "import_tasks":
		if t.Free == nil && !t.Args.Has("file") && len(t.ArgsFrom) == 0 {
			r.fail(t.ModulePos, "", "%s: the name of the file is missing", t.Module)
		}
		r.applied(t)
	case "include_role", "import_role":
		if !t.Args.Has("name") && !t.Args.Has("role") && len(t.ArgsFrom) == 0 {
			r.fail(t.ModulePos, "", "%s: the name of the role is missing", t.Module)
		}
		r.roleArguments(t)
	case "meta":
		what, _ := textOf(t.Free)
		if !slices.Contains(metaActions, what) {
			r.fail(t.ModulePos, source.DidYouMean(what, metaActions), "meta: unknown action %q", what)
		}
	}
}

// roleArguments checks what include_role and import_role have beside the role's name.
func (r *reader) roleArguments(t *Task) {
	for _, key := range roleArgs {
		v, ok := t.Args.Get(key)
		switch _, isText := textOf(v); {
		case !ok:
		case t.Module == "import_role" && (key == "apply" || key == "public"):
			r.fail(t.Args.KeyPos(key), "include_role has it", "import_role has no argument %s", key)
		case strings.HasSuffix(key, "_from") && !isText && !hasTemplate(v):
			r.fail(t.Args.ValPos(key), "such as main", "%s: %s is %s, not the name of a file", t.Module, key, value.Kind(v))
		}
	}
	r.applied(t)
}

// applied checks the keywords that an include gives to all of its tasks.
func (r *reader) applied(t *Task) {
	v, ok := t.Args.Get("apply")
	if !ok || v == nil || t.Module == "import_role" {
		return
	}
	if _, isTemplate := v.(value.Template); isTemplate {
		return
	}
	d, isDict := v.(*value.Dict)
	if !isDict {
		r.fail(t.Args.ValPos("apply"), "such as {tags: [web]}", "%s: apply is %s, not a mapping of keywords", t.Module, value.Kind(v))
		return
	}
	var known []string
	for key, on := range keywords {
		if on == both {
			known = append(known, key)
		}
	}
	slices.Sort(known)
	for _, key := range d.Keys() {
		if !slices.Contains(known, key) {
			r.errs = append(r.errs, prefix(t.Module+": apply", value.UnknownKey(d, key, known))...)
		}
	}
}

// prefix puts the module's name before complaints about its arguments.
func prefix(module string, err error) []error {
	var out []error
	for _, one := range source.Flatten(err) {
		if e, ok := one.(*source.Error); ok {
			c := *e
			if c.What = module + ": " + e.What; e.What == "" {
				c.What = module
			}
			one = &c
		}
		out = append(out, one)
	}
	return out
}

// argNames lists every name that a module's argument may have.
func argNames(m engine.Module) []string {
	var names []string
	for _, f := range value.Fields(reflect.TypeOf(m).Elem()) {
		if f.Name != "" { // the field that takes the rest has none
			names = append(append(names, f.Name), f.Aliases...)
		}
	}
	return names
}

// takesAny reports whether a module takes arguments of any name, as set_fact does.
func takesAny(m engine.Module) bool {
	t := reflect.TypeOf(m).Elem()
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("yaml") == ",rest" {
			return true
		}
	}
	return false
}

// hasTemplate reports whether a template stands anywhere in v.
func hasTemplate(v any) bool {
	switch t := v.(type) {
	case value.Template:
		return true
	case []any:
		return slices.ContainsFunc(t, hasTemplate)
	case *value.Dict:
		for k, x := range t.All() {
			if name, ok := k.(string); hasTemplate(x) || ok && value.IsTemplate(name) {
				return true
			}
		}
	}
	return false
}

package task

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"farm/engine"
	"farm/inventory/source"
	"farm/inventory/value"
)

// prepare evaluates the arguments and makes the module and what it works with.
func (c *call) prepare(ctx, run context.Context) (engine.Module, *engine.Task, error) {
	def := c.parser.modules[c.t.Module]
	m := def.New()
	args, err := c.arguments(m)
	if err != nil {
		return nil, nil, err
	}
	if err := value.Decode(args, m); err != nil {
		return nil, nil, badArguments{source.Join(prefix(c.t.Module, err)...), unusable(c.t.Module, args, m)}
	}
	if v, ok := m.(engine.Validator); ok {
		if err := v.Validate(); err != nil {
			return nil, nil, badArguments{&source.Error{Pos: c.t.ModulePos, What: c.t.Module, Err: err}, err}
		}
	}
	task, err := c.with(ctx)
	return m, task, err
}

// What playbooks look for in the messages of failed tasks, in Ansible's terms.
const (
	unsupported = "Unsupported parameters for"
	invalid     = "Invalid options"
	notFound    = "Could not find file"
)

// badArguments are arguments that a module does not take. The module says so itself in Ansible, and
// that it changed nothing.
type badArguments struct {
	error
	bare error // what the module itself says against them, without the place; nil = it was not asked
}

// ownOptions are modules that Ansible checks on the controller, which says it in another way.
var ownOptions = []string{"assert", "debug", "fail", "group_by", "reboot", "set_stats", "wait_for_connection"}

// ownWords are what it says there where an argument is missing.
var ownWords = map[string]string{"copy": "dest is required", "fetch": "src and dest are required"}

// unusable is what Ansible says of arguments that are missing or that the module does not have; nil
// where it is something else.
func unusable(module string, args *value.Dict, m engine.Module) error {
	var missing, known []string
	for _, f := range value.Fields(reflect.TypeOf(m).Elem()) {
		names := append([]string{f.Name}, f.Aliases...)
		known = append(known, names...)
		if f.Required && !slices.ContainsFunc(names, func(name string) bool { return args.Has(name) }) {
			missing = append(missing, f.Name)
		}
	}
	var unknown []string
	for _, name := range args.Keys() {
		if !takesAny(m) && !slices.Contains(known, name) {
			unknown = append(unknown, name)
		}
	}
	switch {
	case len(unknown) > 0:
		if slices.Contains(ownOptions, module) {
			return fmt.Errorf("%s for %s: %s", invalid, module, strings.Join(unknown, ","))
		}
		return fmt.Errorf("%s (%s) module: %s", unsupported, module, strings.Join(unknown, ", "))
	case len(missing) > 0 && ownWords[module] != "":
		return errors.New(ownWords[module])
	case len(missing) > 0:
		return fmt.Errorf("missing required arguments: %s", strings.Join(missing, ", "))
	}
	return nil
}

func (b badArguments) Unwrap() error { return b.error }

// arguments evaluates the arguments, those of module_defaults below them; free text goes
// to the module itself.
func (c *call) arguments(m engine.Module) (*value.Dict, error) {
	args, err := c.moduleDefaults()
	if err != nil {
		return nil, err
	}
	for _, from := range c.t.ArgsFrom {
		v, err := c.vars.Eval(from)
		if err != nil {
			return nil, err
		}
		d, ok := v.(*value.Dict)
		if !ok {
			return nil, source.Errorf(c.t.ModulePos, "%s: the arguments are %s, not a mapping", c.t.Module, value.Kind(v))
		}
		args = value.Merge(args, d)
	}
	given := c.t.Args
	if takesAny(m) {
		if given, err = c.names(given); err != nil {
			return nil, err
		}
	}
	own, err := c.vars.Eval(given)
	if err != nil {
		return nil, err
	}
	out := args.Copy()
	out.SetPos(given.Pos())
	for k, v := range own.(*value.Dict).All() {
		out.Set(k, v)
		out.CopyPos(k, given)
	}
	if c.t.Free == nil {
		return out, nil
	}
	v, err := c.vars.Eval(c.t.Free)
	if err != nil {
		return nil, err
	}
	if d, ok := v.(*value.Dict); ok && takesAny(m) {
		return value.Merge(d, out), nil
	}
	f, ok := m.(engine.FreeForm)
	if !ok {
		return nil, source.Errorf(c.t.ModulePos, "%s takes no free text", c.t.Module)
	}
	f.SetFreeForm(value.Text(v))
	return out, nil
}

// names evaluates the names of arguments that the user makes up.
func (c *call) names(args *value.Dict) (*value.Dict, error) {
	out := value.NewDict()
	out.SetPos(args.Pos())
	for k, v := range args.All() {
		name := k
		if text, ok := k.(string); ok && value.IsTemplate(text) {
			x, err := c.vars.Eval(value.Template{Text: text, Pos: args.KeyPos(k)})
			if err != nil {
				return nil, err
			}
			name = value.Text(x)
		}
		out.Set(name, v)
		out.SetKeyPos(name, args.KeyPos(k))
	}
	return out, nil
}

// with makes what the module works with: connection, user, environment.
func (c *call) with(ctx context.Context) (*engine.Task, error) {
	t := &engine.Task{
		Name: c.title, Pos: c.t.Pos, Conn: c.h.Conn, Local: c.o.Local, Check: c.o.Check, Diff: c.o.Diff,
		Mask: c.o.Mask, Vars: c.vars, Files: Folders(c.s.dirs(c.o.Project)), Host: c.h.Name, Dir: c.o.Project, Artifacts: c.h.Artifacts,
		State: c.h.shared,
	}
	delegated, err := c.delegate(ctx, t)
	if err != nil {
		return nil, err
	}
	if !delegated {
		t.Reconnect = c.h.Reconnect
	}
	if err = c.login(t, delegated); err != nil {
		return nil, err
	}
	if t.Become, err = c.become(delegated); err != nil {
		return nil, err
	}
	t.BecomePassword = func() (string, error) { return c.becomePassword(delegated) }
	if t.Env, err = c.environment(); err != nil {
		return nil, err
	}
	if t.AsyncDir, err = c.asyncDir(t.Env); err != nil {
		return nil, err
	}
	if _, _, ok := c.s.key("check_mode"); ok {
		check, err := c.flag("check_mode")
		if err != nil {
			return nil, err
		}
		t.Check = check
	}
	if _, _, ok := c.s.key("diff"); ok {
		if t.Diff, err = c.flag("diff"); err != nil {
			return nil, err
		}
	}
	c.diff = t.Diff
	t.Emit = func(e engine.Event) {
		if c.quiet {
			return
		}
		if e.Kind == engine.TaskStarted || e.Kind == engine.TaskEnded { // of a task that this one is made of
			c.within(e)
			return
		}
		e.Task, e.Module, e.File, e.Item = c.title, c.t.Module, c.t.Pos.String(), c.item
		c.emit(e)
	}
	return t, nil
}

// delegate puts the connection of delegate_to into t.
func (c *call) delegate(ctx context.Context, t *engine.Task) (bool, error) {
	raw, d, ok := c.s.key("delegate_to")
	if !ok || raw == nil {
		return false, nil
	}
	v, err := c.vars.Eval(raw)
	if err != nil {
		return false, err
	}
	if _, omit := v.(value.Omit); omit {
		return false, nil
	}
	host := value.Text(v)
	pos := d.KeyPos("delegate_to")
	switch {
	case host == c.h.Name:
		return false, nil
	case (host == "localhost" || host == "127.0.0.1" || host == "::1") && c.o.Local != nil:
		t.Conn = c.o.Local
	case host == "localhost" || host == "127.0.0.1" || host == "::1" || c.o.Conn == nil:
		return false, &source.Error{Pos: pos, What: fmt.Sprintf("the task may not be delegated to %q", host),
			Hint: "tasks run on the controller only where the inventory has ansible_connection: local"}
	default:
		conn, err := c.o.Conn(ctx, host)
		if err != nil {
			return false, &source.Error{Pos: pos, What: fmt.Sprintf("delegate to %q", host), Err: err}
		}
		t.Conn = conn
	}
	t.Host, t.State = host, map[string]any{}
	c.to = host
	return true, nil
}

// become says as whom the task runs: a variable ansible_become* wins over a keyword.
func (c *call) become(delegated bool) (*engine.Become, error) {
	on, err := c.flag("become")
	if err != nil {
		return nil, err
	}
	text := func(keyword string, names ...string) (string, error) {
		if !delegated {
			for _, n := range names {
				v, ok, err := c.vars.Get(n)
				if err != nil {
					return "", err
				}
				if ok && v != nil {
					return value.Text(v), nil
				}
			}
		}
		raw, _, ok := c.s.key(keyword)
		if keyword == "" || !ok {
			return "", nil
		}
		v, err := c.vars.Eval(raw)
		if _, omit := v.(value.Omit); omit {
			v = nil
		}
		return value.Text(v), err
	}
	if v, err := text("", "ansible_become"); err != nil {
		return nil, err
	} else if v != "" {
		if b, err := value.ParseBool(v); err == nil {
			on = b
		}
	}
	if !on {
		return nil, nil
	}
	for _, word := range []string{"become_flags", "become_exe"} {
		if v, _, ok := c.s.key(word); ok && v != nil {
			c.warnOnce(word + " is not used: farm gives sudo, su and doas the options that it needs")
		}
	}
	b := &engine.Become{}
	if b.User, err = text("become_user", "ansible_become_user"); err != nil {
		return nil, err
	}
	if b.Method, err = text("become_method", "ansible_become_method"); err != nil {
		return nil, err
	}
	if b.Password, err = c.becomePassword(delegated); err != nil {
		return nil, err
	}
	if def := c.h.Become; def != nil && !delegated {
		if b.User == "" {
			b.User = def.User
		}
		if b.Method == "" {
			b.Method = def.Method
		}
	}
	if user := b.User; !delegated && c.h.LoginUser != "" && (user == c.h.LoginUser || user == "" && c.h.LoginUser == "root") {
		return nil, nil
	}
	b.Method = short(strings.TrimPrefix(b.Method, "community.general."))
	return b, nil
}

// becomePassword is what becoming another user takes on the host; a variable wins over what was
// given for the host.
func (c *call) becomePassword(delegated bool) (string, error) {
	if delegated {
		return "", nil
	}
	for _, name := range []string{"ansible_become_password", "ansible_become_pass"} {
		v, ok, err := c.vars.Get(name)
		if err != nil {
			return "", err
		}
		if text := value.Text(v); ok && text != "" {
			return text, nil
		}
	}
	if c.h.Become == nil {
		return "", nil
	}
	return c.h.Become.Password, nil
}

// warnOnce tells the user something, once for a host.
func (c *call) warnOnce(text string) {
	if c.h.warned[text] {
		return
	}
	if c.h.warned == nil {
		c.h.warned = map[string]bool{}
	}
	c.h.warned[text] = true
	c.emit(engine.Event{Kind: engine.Warning, Task: c.title, File: c.t.Pos.String(), Text: text})
}

// environment merges the environments around the task, the innermost winning.
func (c *call) environment() (map[string]string, error) {
	env := map[string]string{}
	var err error
	c.s.outermost(func(s *scope) {
		raw, ok := s.keys.Get("environment")
		if !ok || err != nil {
			return
		}
		var v any
		if v, err = c.vars.Eval(raw); err != nil {
			return
		}
		list, isList := v.([]any)
		if !isList {
			list = []any{v}
		}
		for _, one := range list {
			d, isDict := one.(*value.Dict)
			if !isDict {
				if one != nil && one != "" {
					err = source.Errorf(s.keys.KeyPos("environment"), "environment is %s, not a mapping", value.Kind(one))
				}
				continue
			}
			for k, x := range d.All() {
				env[value.Text(k)] = value.Text(x)
			}
		}
	})
	return env, err
}

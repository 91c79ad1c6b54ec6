package task

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"farm/engine"
	"farm/inventory/expr"
	"farm/inventory/value"
)

// maxDepth bounds includes within includes.
const maxDepth = 50

// owned carries out a module that belongs to the runner.
func (p *play) owned(ctx context.Context, c *call) (*value.Dict, error) {
	switch c.t.Module {
	case "include_vars":
		p.announce(c)
		d, files, err := p.includeVars(c)
		if err != nil {
			res := value.NewDict("changed", false, "failed", true, "message", err.Error(), "ansible_facts", value.NewDict(), "ansible_included_var_files", []any{})
			return res, c.failure(engine.UserFault, err.Error(), res, err)
		}
		set(&p.h.Included, d)
		return value.NewDict("changed", false, "failed", false, "ansible_facts", d, "ansible_included_var_files", value.From(files)), nil
	case "meta":
		return p.meta(ctx, c)
	}
	if err := p.include(ctx, c.t, c.s, c.vars); err != nil {
		return value.NewDict("changed", false), passed{err}
	}
	return value.NewDict("changed", false, "include", value.Text(c.t.Free)), passed{}
}

// include runs the tasks that include_*, import_* name.
func (p *play) include(ctx context.Context, t *Task, s *scope, vars *expr.Vars) error {
	c := p.call(t, s, vars)
	if p.depth++; p.depth > maxDepth {
		_, err := c.failed(engine.UserFault, fmt.Errorf("includes are nested more than %d deep", maxDepth))
		return err
	}
	defer func() { p.depth-- }()
	args, err := c.ownedArgs()
	if err != nil {
		_, err = c.failed(engine.UserFault, err)
		return err
	}
	if strings.HasSuffix(t.Module, "_role") {
		return p.callRole(ctx, c, args)
	}
	name, _ := args.Get("file")
	path, err := Folders(s.dirs(p.o.Project)).Find("tasks", value.Text(name))
	var f *File
	if err == nil {
		f, err = p.file(path)
	}
	if err != nil {
		_, err = c.failed(engine.UserFault, err)
		return err
	}
	return p.tasks(ctx, f.Tasks, p.inner(t, s, vars, args, path))
}

// inner is the scope of included tasks. What an import says counts for each task in it; of
// an include's own keywords only its variables and `apply` do.
func (p *play) inner(t *Task, s *scope, vars *expr.Vars, args *value.Dict, path string) *scope {
	in := &scope{parent: s, keys: value.NewDict(), file: path, role: s.role}
	if strings.HasPrefix(t.Module, "import_") {
		in.params = t.params
		return in
	}
	out := &scope{parent: s.parent, keys: value.NewDict(), file: path, role: s.role, params: s.vars}
	if apply, ok := args.Get("apply"); ok {
		if d, ok := apply.(*value.Dict); ok {
			out.keys = d
			if v, ok := d.Get("vars"); ok {
				out.vars, _ = v.(*value.Dict)
			}
		}
	}
	// The loop's item stays visible to what is included.
	top := value.NewDict()
	for _, n := range []string{"item", "ansible_loop_var", "ansible_index_var", "ansible_loop"} {
		if v, ok := vars.Raw(n); ok {
			top.Set(n, v)
		}
	}
	for _, n := range []string{"ansible_loop_var", "ansible_index_var"} {
		if name, ok := top.Get(n); ok {
			if v, ok := vars.Raw(value.Text(name)); ok {
				top.Set(value.Text(name), v)
			}
		}
	}
	if top.Len() > 0 {
		out = &scope{parent: &scope{parent: out.parent, keys: value.NewDict(), params: top, file: path, role: s.role}, keys: out.keys, vars: out.vars, params: out.params, file: path, role: s.role}
	}
	return out
}

// ownedArgs evaluates the arguments of an include; free text is the file.
func (c *call) ownedArgs() (*value.Dict, error) {
	args := value.NewDict()
	for k, v := range c.t.Args.All() {
		if k != "apply" { // its templates are for the tasks inside
			var err error
			if v, err = c.vars.Eval(v); err != nil {
				return nil, err
			}
		}
		args.Set(k, v)
	}
	if c.t.Free != nil {
		v, err := c.vars.Eval(c.t.Free)
		if err != nil {
			return nil, err
		}
		args.Set("file", value.Text(v))
	}
	return args, nil
}

// meta does what changes the run itself.
func (p *play) meta(ctx context.Context, c *call) (*value.Dict, error) {
	what := value.Text(c.t.Free)
	res := value.NewDict("changed", false)
	switch what {
	case "flush_handlers":
		if err := p.flush(ctx); err != nil {
			return res, passed{err}
		}
		return res, passed{}
	case "end_host":
		return res, ErrEndHost
	case "end_batch":
		return res, ErrEndBatch
	case "end_play":
		return res, ErrEndPlay
	case "clear_facts":
		p.h.Facts = nil
	case "reset_connection":
		return res, p.reset(ctx, c)
	case "refresh_inventory":
		c.warnOnce("meta: refresh_inventory does nothing: an inventory is a file that is read once")
	}
	return res, nil
}

// reset opens the host's connection anew, so that a user's new groups count.
func (p *play) reset(ctx context.Context, c *call) error {
	if p.h.Reconnect == nil || p.h.Conn == nil {
		c.warnOnce("meta: reset_connection does nothing on this connection")
		return nil
	}
	p.h.Conn.Close()
	conn, err := p.h.Reconnect(ctx)
	if err != nil {
		return c.lost(err)
	}
	p.h.Conn = conn
	return nil
}

// notify records the handlers that a changed task names.
func (p *play) notify(c *call) error {
	raw, _, ok := c.s.key("notify")
	if !ok || raw == nil {
		return nil
	}
	v, err := c.vars.Eval(raw)
	if err != nil {
		_, err = c.failed(engine.UserFault, err)
		return err
	}
	list, isList := v.([]any)
	if !isList {
		list = []any{v}
	}
	for _, n := range list {
		name := value.Text(n)
		found := p.listeners(name)
		for _, h := range found {
			p.h.notified[h] = true
		}
		if len(found) == 0 && (p.o.Notified == nil || !p.o.Notified(p.h, name)) {
			_, err := c.failed(engine.UserFault, fmt.Errorf("no handler is called %q", name))
			return err
		}
	}
	return nil
}

// listeners are the handlers that a notification runs: the one of that name, and all that
// listen to it. Of several with the name it is the first in the file that was read last.
func (p *play) listeners(name string) (found []*Task) {
	var named *Task
	for _, h := range p.h.handlers {
		if p.called(h, name) && (named == nil || named.Pos.File != h.Pos.File) {
			named = h
		}
		if listens(h, name) {
			found = append(found, h)
		}
	}
	if named != nil && !slices.Contains(found, named) {
		found = append(found, named)
	}
	return found
}

// called reports whether a handler has the name, with or without its role's before it.
func (p *play) called(h *Task, name string) bool {
	own := h.Title()
	if n, _ := h.Keys.Get("name"); hasTemplate(n) {
		own = title(h, p.vars(p.handlerScope(h), nil))
	}
	return own == name || h.role != nil && h.role.name+" : "+own == name
}

// listens reports whether name is a topic of a handler.
func listens(h *Task, name string) bool {
	listen, _ := h.Keys.Get("listen")
	switch t := listen.(type) {
	case string:
		return t == name
	case []any:
		return slices.ContainsFunc(t, func(x any) bool { return value.Text(x) == name })
	}
	return false
}

func (p *play) handlerScope(h *Task) *scope {
	s := &scope{parent: p.root, keys: value.NewDict(), file: filepath.Join(h.dir, "main.yaml"), role: h.role}
	if h.role != nil {
		s.vars = h.role.params
	}
	return s
}

// AddHandlers makes handlers known that the files on h may notify.
func (h *HostState) AddHandlers(tasks []*Task) {
	for _, t := range tasks {
		if !slices.Contains(h.handlers, t) {
			h.handlers = append(h.handlers, t)
		}
	}
}

// flush runs the notified handlers, in the order in which they are defined, whatever their tags.
func (p *play) flush(ctx context.Context) error {
	p.handling++
	defer func() { p.handling-- }()
	for round := range maxDepth { // handlers notify handlers
		ran := false
		for i, t := range p.h.handlers {
			if !p.h.notified[t] {
				continue
			}
			delete(p.h.notified, t)
			ran = true
			s := p.handlerScope(t)
			err := p.in(round, func() error {
				return p.in(i, func() error { return p.tasks(ctx, []*Task{t}, s) })
			})
			if err != nil {
				return err
			}
		}
		if !ran {
			return nil
		}
	}
	return engine.Blamef(engine.UserFault, "handlers notify each other without an end")
}

package play

import (
	"fmt"
	"slices"

	"farm/engine/task"
	"farm/inventory/source"
	"farm/inventory/value"
)

// inherited are the keywords of a play that count for each of its tasks.
// https://docs.ansible.com/ansible/latest/reference_appendices/playbooks_keywords.html#play
var inherited = []string{
	"any_errors_fatal", "become", "become_exe", "become_flags", "become_method", "become_user", "check_mode", "collections",
	"connection", "debugger", "diff", "environment", "ignore_errors", "ignore_unreachable", "module_defaults", "no_log",
	"port", "remote_user", "run_once", "tags", "throttle", "timeout",
}

// own are the keywords of a play itself.
var own = []string{
	"name", "hosts", "gather_facts", "gather_subset", "gather_timeout", "fact_path", "vars", "vars_files", "vars_prompt",
	"pre_tasks", "roles", "tasks", "post_tasks", "handlers", "serial", "strategy", "order", "max_fail_percentage", "force_handlers",
}

// Keywords lists the keywords of plays, sorted.
func Keywords() []string {
	return slices.Sorted(slices.Values(append(slices.Clone(inherited), own...)))
}

func (r *reader) play(path string, d *value.Dict) *Play {
	p := &Play{Pos: d.Pos(), File: path, Keys: value.NewDict(), Gather: []any{"all"}, MaxFail: -1}
	p.Keys.SetPos(d.Pos())
	for k, v := range d.All() {
		name, pos := value.Text(k), d.KeyPos(k)
		switch {
		case slices.Contains(inherited, name):
			r.add(r.CheckKeyword(path, name, v, pos))
			p.Keys.Set(name, v)
			p.Keys.SetKeyPos(name, pos)
		case slices.Contains(own, name):
			r.key(p, d, name, v, pos)
		default:
			r.fail(pos, source.DidYouMean(name, Keywords()), "%q is no keyword of a play", name)
		}
	}
	return p
}

// key reads one of the play's own keywords.
func (r *reader) key(p *Play, d *value.Dict, name string, v any, pos source.Pos) {
	switch name {
	case "name":
		p.Name = v
	case "hosts":
		if p.Hosts = v; len(listOf(v)) == 0 {
			r.fail(pos, "all for every host", "hosts is empty")
		}
		for i, one := range listOf(v) {
			switch one.(type) {
			case []any, *value.Dict, nil:
				r.fail(d.ItemPos(name, i), "such as hosts: [web, db]", "hosts: %s is no pattern of hosts", value.Kind(one))
			}
		}
	case "fact_path":
		p.FactPath = v
	case "gather_facts", "gather_subset":
		r.gather(p, d, name, v, pos)
	case "vars":
		r.add(r.CheckKeyword(p.File, name, task.OneMapping(v), pos))
		p.Vars, _ = task.OneMapping(v).(*value.Dict)
	case "vars_files":
		p.VarsFiles = listOf(v)
		for i := range p.VarsFiles {
			p.filesPos = append(p.filesPos, d.ItemPos(name, i))
		}
	case "vars_prompt":
		r.prompts(v, pos)
	case "roles":
		p.Roles = r.roles(p, d)
	case "pre_tasks":
		p.PreTasks = r.tasks(p, d, name, v)
	case "tasks":
		p.Tasks = r.tasks(p, d, name, v)
	case "post_tasks":
		p.PostTasks = r.tasks(p, d, name, v)
	case "handlers":
		p.Handlers = r.tasks(p, d, name, v)
	case "strategy":
		p.Strategy = v
		if !isTemplate(v) {
			_, err := freely(v, pos)
			r.add(err)
		}
	case "order":
		p.Order = v
		if !isTemplate(v) {
			_, err := ordered(v, pos)
			r.add(err)
		}
	case "serial":
		p.Serial = listOf(v)
		for _, one := range p.Serial {
			if _, err := batchSize(one, 1); err != nil && !isTemplate(one) {
				r.fail(pos, "", "serial: %v", err)
			}
		}
	case "max_fail_percentage":
		n, err := percent(v)
		if err != nil {
			r.fail(pos, "", "max_fail_percentage: %v", err)
		}
		p.MaxFail = n
	case "force_handlers":
		b, err := value.ParseBool(v)
		if err != nil {
			r.fail(pos, "", "force_handlers is %s, not true or false", value.Kind(v))
		}
		p.ForceHandlers = b
	}
}

// isName reports whether v may be the name of a role.
func isName(v any) bool {
	name, ok := v.(string)
	return ok && name != "" || isTemplate(v)
}

func isTemplate(v any) bool { _, ok := v.(value.Template); return ok }

// gather reads the two keywords about facts together, whichever comes first.
func (r *reader) gather(p *Play, d *value.Dict, name string, v any, pos source.Pos) {
	if name == "gather_subset" {
		if facts, ok := d.Get("gather_facts"); ok {
			if on, err := value.ParseBool(facts); err == nil && !on {
				return
			}
		}
		p.Gather = listOf(v)
		return
	}
	on, err := value.ParseBool(v)
	if err != nil {
		r.fail(pos, "", "gather_facts is %s, not true or false", value.Kind(v))
	}
	if !on {
		p.Gather = nil
	}
}

// tasks reads those at a key of the play, which is v.
func (r *reader) tasks(p *Play, d *value.Dict, key string, v any) []*task.Task {
	tasks, err := r.ParseTasks(p.File, v, d.KeyPos(key), func(i int) source.Pos { return d.ItemPos(key, i) }, key)
	r.add(err)
	return tasks
}

// prompts refuses questions that the command line has not answered: nobody may be there.
func (r *reader) prompts(v any, pos source.Pos) {
	for _, one := range listOf(v) {
		d, _ := one.(*value.Dict)
		name, ok := d.Get("name")
		if !ok {
			r.fail(pos, "", "vars_prompt: an entry has no name")
			continue
		}
		if !r.given.Has(value.Text(name)) {
			r.fail(pos, fmt.Sprintf("give it: -e %s=VALUE", value.Text(name)), "vars_prompt: nobody is asked for %q", value.Text(name))
		}
	}
}

// roles makes import_role tasks of a play's roles.
func (r *reader) roles(p *Play, d *value.Dict) []*task.Task {
	v, _ := d.Get("roles")
	items, ok := v.([]any)
	if !ok && v != nil {
		r.fail(d.KeyPos("roles"), "", "roles is %s, not a list", value.Kind(v))
	}
	var tasks []any
	for i, item := range items {
		if t := r.role(item, d.ItemPos("roles", i)); t != nil {
			tasks = append(tasks, t)
		}
	}
	return r.tasks(p, d, "roles", tasks)
}

// role is one entry of roles as a task: keywords stay, what else there is are variables.
func (r *reader) role(item any, pos source.Pos) *value.Dict {
	d, ok := item.(*value.Dict)
	if !ok {
		d = value.NewDict("role", item)
		d.SetPos(pos)
	}
	t, vars := value.NewDict(), value.NewDict()
	t.SetPos(d.Pos())
	set := func(k string, v any, from any) {
		t.Set(k, v)
		t.SetKeyPos(k, d.KeyPos(from))
	}
	for k, v := range d.All() {
		switch name := value.Text(k); {
		case (name == "role" || name == "name") && !isName(v):
			r.fail(d.Pos(), "its name, or {role: NAME, vars: {...}}", "roles: %s is no role", value.Kind(v))
			return nil
		case name == "role" || name == "name":
			set("import_role", value.NewDict("name", v, "allow_duplicates", false), k)
		case name == "vars":
			more, ok := v.(*value.Dict)
			if !ok && v != nil {
				r.fail(d.KeyPos(k), "", "vars is %s, not a mapping", value.Kind(v))
			}
			vars = value.Merge(vars, more)
		case name == "when" || name == "delegate_to" || slices.Contains(inherited, name):
			set(name, v, k)
		default:
			vars.Set(name, v)
		}
	}
	if !t.Has("import_role") {
		r.fail(d.Pos(), "", "the entry of roles names no role")
		return nil
	}
	if vars.Len() > 0 {
		t.Set("vars", vars)
	}
	return t
}

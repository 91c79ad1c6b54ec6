package task

import (
	"errors"

	"farm/inventory/value"
)

// remember sets the variables that tell rescue, always and all that follows which task failed.
func (p *play) remember(err error) {
	var f *failure
	if !errors.As(err, &f) {
		set(&p.h.Set, value.NewDict("ansible_failed_result", value.NewDict("failed", true, "msg", err.Error())))
		return
	}
	set(&p.h.Set, value.NewDict("ansible_failed_task", described(f), "ansible_failed_result", f.result))
}

// described is a failed task under the names that Ansible gives its parts. Arguments and conditions
// stand as they are written.
func described(f *failure) *value.Dict {
	args := value.NewDict()
	if f.task.Free != nil {
		args.Set("_raw_params", written(f.task.Free))
	}
	for k, v := range f.task.Args.All() {
		args.Set(k, written(v))
	}
	name, _ := f.task.Keys.Get("name")
	if name != nil {
		name = f.name
	}
	d := value.NewDict("name", value.Text(name), "action", f.task.Module, "args", args, "register", nil, "delegate_to", nil, "become", false,
		"check_mode", false, "ignore_errors", nil, "loop", nil, "vars", value.NewDict(), "tags", []any{}, "when", []any{},
		"changed_when", []any{}, "failed_when", []any{}, "until", []any{}, "environment", []any{})
	for k, v := range f.task.Keys.All() {
		key := value.Text(k)
		if key == "name" {
			continue
		}
		v = written(v)
		if old, _ := d.Get(key); isList(old) && !isList(v) {
			v = []any{v}
		}
		d.Set(key, v)
	}
	return d
}

func isList(v any) bool { _, ok := v.([]any); return ok }

// written is v with its templates as text, so that reading it evaluates nothing.
func written(v any) any {
	switch t := v.(type) {
	case value.Template:
		return t.Text
	case []any:
		out := make([]any, len(t))
		for i, x := range t {
			out[i] = written(x)
		}
		return out
	case *value.Dict:
		out := value.NewDict()
		for k, x := range t.All() {
			out.Set(k, written(x))
		}
		return out
	}
	return v
}

package task

import (
	"path/filepath"

	"farm/inventory/source"
	"farm/inventory/value"
)

// loadSpecs reads what meta/argument_specs.yml says of the role's arguments; where there is
// none, meta/main.yml, which is given, may say it.
func (ro *role) loadSpecs(meta *value.Dict) error {
	path, ok := rolePath(ro.dir, "meta", "argument_specs")
	if ok {
		var err error
		if meta, err = ReadVars(path); err != nil {
			return err
		}
	}
	v, _ := meta.Get("argument_specs")
	d, ok := v.(*value.Dict)
	if !ok && v != nil {
		return source.Errorf(meta.ValPos("argument_specs"), "argument_specs is %s, not a mapping of entry points", value.Kind(v))
	}
	ro.specs = d
	return nil
}

// validation is the task that checks the role's arguments before its own tasks; nil where
// nothing is said of that entry point, which is what tasks_from names.
func (ro *role) validation(entry string) *Task {
	v, _ := ro.specs.Get(entry)
	spec, ok := v.(*value.Dict)
	if !ok || spec.Len() == 0 {
		return nil
	}
	options, _ := spec.Get("options")
	if options == nil {
		options = value.NewDict()
	}
	name := "Validating arguments against arg spec '" + entry + "'"
	if short, ok := spec.Get("short_description"); ok {
		name += " - " + value.Text(short)
	}
	pos := ro.specs.KeyPos(entry)
	return &Task{
		Pos: pos, ModulePos: pos, Module: "validate_argument_spec", dir: filepath.Join(ro.dir, "meta"), role: ro,
		Keys: value.NewDict("name", name, "tags", []any{"always"}),
		Args: value.NewDict("argument_spec", options, "provided_arguments", value.NewDict(), "validate_args_context",
			value.NewDict("type", "role", "name", ro.name, "argument_spec_name", entry, "path", ro.dir)),
	}
}

// specified adds the variables that the checks of the role's arguments read.
func (c *closure) specified(ro *role) {
	for entry := range ro.specs.All() {
		t := ro.validation(value.Text(entry))
		if t == nil {
			continue
		}
		options, _ := t.Args.Get("argument_spec")
		d, _ := options.(*value.Dict)
		for name := range d.All() {
			c.engine().MentionExpression(&c.reads, value.Text(name), d.KeyPos(name))
		}
	}
}

package modules

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"farm/engine"
	"farm/inventory/source"
	"farm/inventory/value"
)

// ValidateArgumentSpec checks variables against a specification, as farm does for roles that have meta/argument_specs.yml.
type ValidateArgumentSpec struct {
	Spec     *value.Dict `yaml:"argument_spec,required"` // of each argument its type, whether it is required, choices, elements, options
	Provided *value.Dict `yaml:"provided_arguments"`     // arguments beside the variables of those names
	Context  *value.Dict `yaml:"validate_args_context"`  // what is checked, for the result
}

func newValidateArgumentSpec() engine.Module { return &ValidateArgumentSpec{} }

// Validate checks the specification.
func (m *ValidateArgumentSpec) Validate() error { return checkSpec(m.Spec) }

func checkSpec(spec *value.Dict) error {
	var errs []error
	for name, v := range spec.All() {
		one, ok := v.(*value.Dict)
		if !ok {
			errs = append(errs, source.Errorf(spec.ValPos(name), "%s is %s, not a mapping that says what it is", value.Text(name), value.Kind(v)))
			continue
		}
		options, _ := one.Get("options")
		if d, ok := options.(*value.Dict); ok {
			errs = append(errs, checkSpec(d))
		} else if options != nil {
			errs = append(errs, source.Errorf(one.ValPos("options"), "options of %s is %s, not a mapping", value.Text(name), value.Kind(options)))
		}
	}
	return source.Join(errs...)
}

// Run checks the arguments.
func (m *ValidateArgumentSpec) Run(_ context.Context, t *engine.Task) (engine.Result, error) {
	given := value.NewDict()
	for name := range m.Spec.All() {
		v, ok, err := t.Vars.Get(value.Text(name))
		if err != nil {
			return engine.Result{}, engine.Blame(engine.UserFault, err)
		}
		if ok {
			given.Set(name, v)
		}
	}
	for name, v := range m.Provided.All() {
		given.Set(name, v)
	}
	context := m.Context
	if context == nil {
		context = value.NewDict()
	}
	var c specCheck
	c.level(m.Spec, nil, given, nil)
	if c.unknown(); len(c.errs) > 0 {
		r := failed("Validation of arguments failed:\n%s", strings.Join(c.errs, "\n"))
		r.Values = value.NewDict("argument_spec_data", m.Spec, "argument_errors", value.From(c.errs), "validate_args_context", context)
		return r, nil
	}
	return engine.Result{Msg: "The arg spec validation passed", Values: value.NewDict("validate_args_context", context)}, nil
}

// specCheck collects what is wrong with arguments.
type specCheck struct {
	errs  []string
	extra []string // arguments that are none, with the options that they are in
	known []string // what there would be, of the last of them
}

// fail notes a fault of the options that path leads to.
func (c *specCheck) fail(path []string, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if len(path) > 0 {
		text += " found in " + strings.Join(path, " -> ")
	}
	c.errs = append(c.errs, text)
}

// unknown notes the arguments that are none.
func (c *specCheck) unknown() {
	if len(c.extra) > 0 {
		slices.Sort(c.extra)
		c.fail(nil, "%s. Supported parameters include: %s.", strings.Join(c.extra, ", "), strings.Join(c.known, ", "))
	}
}

// level checks the arguments of one mapping; rules is the specification that has these options,
// nil at the top. given gets the values as their types have them, and defaults.
func (c *specCheck) level(spec, rules, given *value.Dict, path []string) {
	c.aliases(spec, given)
	for k := range given.All() {
		if !spec.Has(k) {
			c.extra = append(c.extra, strings.Join(append(slices.Clone(path), value.Text(k)), "."))
			c.known = textKeys(spec)
			slices.Sort(c.known)
		}
	}
	c.exclusive(rules, given, path)
	var missing []string
	for k, v := range spec.All() {
		one := specOf(v)
		if def, ok := one.Get("default"); ok && def != nil && !given.Has(k) {
			given.Set(k, def)
		}
		if isTrue(one, "required") && !given.Has(k) {
			missing = append(missing, value.Text(k))
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		c.fail(path, "missing required arguments: %s", strings.Join(missing, ", "))
	}
	for k, v := range spec.All() {
		if x, ok := given.Get(k); ok && x != nil {
			c.typed(value.Text(k), specOf(v), given, path)
		}
	}
	for k, v := range spec.All() {
		c.choice(value.Text(k), specOf(v), given, path)
	}
	c.together(rules, given, path)
	for k, v := range spec.All() {
		c.nested(value.Text(k), specOf(v), given, path)
	}
}

// aliases gives arguments their proper names.
func (c *specCheck) aliases(spec, given *value.Dict) {
	for k, v := range spec.All() {
		names, _ := specOf(v).Get("aliases")
		list, _ := names.([]any)
		for _, alias := range list {
			if x, ok := given.Get(alias); ok {
				given.Set(k, x)
				given.Delete(alias)
			}
		}
	}
}

// nested checks the options of a mapping, or of each in a list.
func (c *specCheck) nested(name string, spec, given *value.Dict, path []string) {
	v, _ := spec.Get("options")
	options, ok := v.(*value.Dict)
	x, _ := given.Get(name)
	kind, elements := textAt(spec, "type"), textAt(spec, "elements")
	if !ok || kind != "dict" && (kind != "list" || elements != "dict") {
		return
	}
	if x == nil {
		if !isTrue(spec, "apply_defaults") {
			return
		}
		x = value.NewDict()
	}
	list, isList := x.([]any)
	if !isList {
		list = []any{x}
	}
	for _, item := range list {
		d, ok := item.(*value.Dict)
		if !ok {
			c.fail(nil, "value of '%s' must be of type dict or list of dicts", name)
			continue
		}
		c.level(options, spec, d.Copy(), append(slices.Clone(path), name))
	}
}

// typed gives an argument its type, and the elements of a list theirs.
func (c *specCheck) typed(name string, spec, given *value.Dict, path []string) {
	raw, _ := given.Get(name)
	kind := textAt(spec, "type")
	if kind == "" {
		kind = "str"
	}
	v, err := specValue(kind, raw)
	if err != nil {
		c.fail(path, "argument '%s' is %s and cannot be converted to %s: %v", name, value.Kind(raw), kind, err)
		return
	}
	given.Set(name, v)
	elements := textAt(spec, "elements")
	if elements == "" {
		return
	}
	list, ok := v.([]any)
	if !ok {
		c.fail(path, "argument '%s' is of type %s, and only lists have elements", name, kind)
		return
	}
	out := make([]any, 0, len(list))
	for _, item := range list {
		x, err := specValue(elements, item)
		if err != nil {
			c.fail(path, "an element of '%s' is %s and cannot be converted to %s: %v", name, value.Kind(item), elements, err)
			continue
		}
		out = append(out, x)
	}
	given.Set(name, out)
}

// choice checks that an argument, or each of a list, is among the choices.
func (c *specCheck) choice(name string, spec, given *value.Dict, path []string) {
	v, _ := spec.Get("choices")
	choices, ok := v.([]any)
	x, has := given.Get(name)
	if !ok || !has {
		return
	}
	among := func(x any) bool { return slices.ContainsFunc(choices, func(y any) bool { return equal(x, y) }) }
	words := strings.Join(texts(choices), ", ")
	if truth := value.Text(x); truth == "True" || truth == "False" { // YAML made a truth value of the word
		alike := slices.DeleteFunc(slices.Clone(choices), func(y any) bool {
			b, err := value.ParseBool(y)
			return err != nil || b != (truth == "True")
		})
		if !among(x) && len(alike) == 1 {
			return
		}
	}
	if list, ok := x.([]any); ok {
		if other := slices.DeleteFunc(slices.Clone(list), among); len(other) > 0 {
			c.fail(path, "value of %s must be one or more of: %s. Got no match for: %s", name, words, strings.Join(texts(other), ", "))
		}
	} else if !among(x) {
		c.fail(path, "value of %s must be one of: %s, got: %s", name, words, value.Text(x))
	}
}

// equal compares as Python does: numbers and truth values by what they are worth.
func equal(x, y any) bool {
	if a, ok := worth(x); ok {
		b, ok := worth(y)
		return ok && a == b
	}
	_, number := worth(y)
	return !number && value.Kind(x) == value.Kind(y) && value.Text(x) == value.Text(y)
}

func worth(v any) (float64, bool) {
	switch x := v.(type) {
	case int64:
		return float64(x), true
	case float64:
		return x, true
	case bool:
		if x {
			return 1, true
		}
		return 0, true
	}
	return 0, false
}

func specOf(v any) *value.Dict {
	d, _ := v.(*value.Dict)
	return d
}

func isTrue(d *value.Dict, key string) bool {
	v, _ := d.Get(key)
	b, err := value.ParseBool(v)
	return err == nil && b
}

func textAt(d *value.Dict, key string) string {
	if v, ok := d.Get(key); ok && v != nil {
		return value.Text(v)
	}
	return ""
}

func textKeys(d *value.Dict) []string {
	var keys []string
	for k := range d.All() {
		keys = append(keys, value.Text(k))
	}
	return keys
}

func texts(list []any) []string {
	words := make([]string, len(list))
	for i, x := range list {
		words[i] = value.Text(x)
	}
	return words
}

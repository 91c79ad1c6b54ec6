package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"farm/callbacks"
	"farm/engine"
	"farm/inventory"
	"farm/inventory/source"
	"farm/inventory/value"
)

// checkCallbacks finds unknown callbacks in a VM's definition, and arguments that they do
// not take. visit is called for those that are task files.
func checkCallbacks(inv *inventory.Inventory, vm inventory.VM, visit func(file string)) error {
	find := callbacks.Find(callbackDirs(inv, vm), func(context.Context, *engine.Image, string, *value.Dict) error { return nil }, nil)
	var errs []error
	metadata, _ := vm.Def.Raw.Get("metadata")
	sources := listAt(metadata, "sources")
	for i, src := range vm.Def.Metadata.Sources {
		for j, t := range src.BeforeProvision {
			if !complete(t.Args) || t.Callback == "" && inv.Faulty(vm) {
				continue
			}
			raw := dictAt(listAt(dictAt(sources, i), "before_provision"), j)
			errs = append(errs, checkCallback(find, inv, vm, t, t.Callback, raw.Pos(), visit))
		}
		if t := src.OnProvision; t != nil && complete(t.Args) {
			name := t.Callback
			if name == "" {
				name = "install_to_libvirt"
			}
			raw := dictAt(listAt(dictAt(sources, i), "on_provision"), 0)
			errs = append(errs, checkCallback(find, inv, vm, *t, name, raw.Pos(), visit))
		}
	}
	return source.Join(errs...)
}

// listAt is the list at a key of a mapping, or one item in place of a list.
func listAt(v any, key string) []any {
	d, _ := v.(*value.Dict)
	switch t, _ := d.Get(key); t := t.(type) {
	case nil:
		return nil
	case []any:
		return t
	default:
		return []any{t}
	}
}

// dictAt is item i of list as a mapping; nil where it is none.
func dictAt(list []any, i int) *value.Dict {
	if i >= len(list) {
		return nil
	}
	d, _ := list[i].(*value.Dict)
	return d
}

// complete reports whether all arguments could be evaluated: what lacks some is told already.
func complete(v any) bool {
	switch t := v.(type) {
	case value.Omit:
		return false
	case []any:
		return !slices.ContainsFunc(t, func(item any) bool { return !complete(item) })
	case *value.Dict:
		for _, item := range t.All() {
			if !complete(item) {
				return false
			}
		}
	}
	return true
}

func checkCallback(find func(string) (engine.CallbackDef, error), inv *inventory.Inventory, vm inventory.VM, t inventory.CallbackTask, name string, pos source.Pos, visit func(file string)) error {
	if pos.IsZero() {
		pos = vm.Pos // tasks made it
	}
	if name == "" {
		return &source.Error{Pos: pos, What: `"callback" is missing`}
	}
	def, err := find(name)
	if err != nil {
		return placed(pos, "", err)
	}
	args := t.Args
	if args.Len() > 0 {
		v, err := inv.VMVars(vm).Eval(args)
		if err != nil {
			return placed(pos, "", err)
		}
		args, _ = v.(*value.Dict) // a mapping stays one
	}
	callback := def.New()
	if tasks, ok := callback.(interface{ TaskFile() string }); ok {
		visit(tasks.TaskFile())
	}
	var errs []error
	told := map[source.Pos]bool{} // a wrong type is told once
	for _, err := range source.Flatten(value.Decode(args, callback)) {
		if bad, ok := err.(*source.Error); ok {
			told[bad.Pos] = true
		}
		errs = append(errs, placed(pos, name+": ", err))
	}
	if ruled, ok := callback.(interface{ Rules() value.Rules }); ok {
		for _, err := range source.Flatten(ruled.Rules().Check(args)) {
			if bad, ok := err.(*source.Error); !ok || !told[bad.Pos] {
				errs = append(errs, placed(pos, name+": ", err))
			}
		}
	}
	return source.Join(errs...)
}

// placed is err with what it is about; pos is used where err has no place of its own.
func placed(pos source.Pos, about string, err error) error {
	var bad *source.Error
	if !errors.As(err, &bad) {
		return &source.Error{Pos: pos, What: fmt.Sprint(about, err)}
	}
	with := *bad
	if with.Pos.File == "" {
		with.Pos = pos
	}
	if with.What == "" {
		with.What = strings.TrimSuffix(about, ": ") // the cause follows
	} else {
		with.What = about + with.What
	}
	return &with
}

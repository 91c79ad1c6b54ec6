package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"farm/callbacks"
	"farm/docs/reference"
	"farm/engine"
	"farm/engine/modules"
	"farm/engine/play"
	"farm/engine/task"
	"farm/inventory/expr"
	"farm/inventory/source"
	"farm/inventory/value"
)

// texts is the folder of what no comment of the code says.
const texts = folder + "/text"

// entries makes the manual of the module at root, by kind and name.
func entries(root string) ([]reference.Entry, error) {
	var list []reference.Entry
	for _, part := range []func(string) ([]reference.Entry, error){
		moduleEntries, callbackEntries, keywordEntries, expressionEntries, settingEntries,
	} {
		some, err := part(root)
		if err != nil {
			return nil, err
		}
		slices.SortStableFunc(some, func(a, b reference.Entry) int {
			if a.Kind != b.Kind {
				return slices.Index(reference.Kinds[:], a.Kind) - slices.Index(reference.Kinds[:], b.Kind)
			}
			return strings.Compare(a.Name, b.Name)
		})
		list = append(list, some...)
	}
	return list, nil
}

// readText reads a file of the folder text.
func readText(root, name string) (*value.Dict, error) {
	f, err := source.ReadFile(filepath.Join(root, texts, name))
	if err != nil {
		return nil, err
	}
	return parsed(f)
}

func parsed(f *source.File) (*value.Dict, error) {
	v, err := value.FromNode(f, f.Root)
	if err != nil {
		return nil, err
	}
	d, ok := v.(*value.Dict)
	if !ok {
		return nil, fmt.Errorf("%s: not a mapping", f.Path)
	}
	return d, nil
}

// plain is text as it stands in a file, templates too.
func plain(v any) string {
	if t, ok := v.(value.Template); ok {
		return t.Text
	}
	return value.Text(v)
}

// same reports names that only one of two lists has.
func same(what string, code, text []string) error {
	var errs []error
	for _, name := range code {
		if !slices.Contains(text, name) {
			errs = append(errs, fmt.Errorf("%s %q is described nowhere in %s", what, name, texts))
		}
	}
	for _, name := range text {
		if !slices.Contains(code, name) {
			errs = append(errs, fmt.Errorf("%s %q is described in %s, but is not there", what, name, texts))
		}
	}
	return errors.Join(errs...)
}

func section(d *value.Dict, name string) *value.Dict {
	v, _ := d.Get(name)
	sub, _ := v.(*value.Dict)
	return sub
}

func moduleEntries(root string) ([]reference.Entry, error) {
	all, err := readComments(filepath.Join(root, "engine/modules"))
	if err != nil {
		return nil, err
	}
	examples, err := readText(root, "examples.yaml")
	if err != nil {
		return nil, err
	}
	examples = section(examples, "modules")
	var list []reference.Entry
	for _, d := range modules.All() {
		e, err := structEntry(reference.Module, d.Name, d.Aliases, d.New(), all)
		if err != nil {
			return nil, err
		}
		if _, ok := d.New().(engine.FreeForm); ok {
			e.Notes = append(e.Notes, "May be written as text: `"+d.Name+": TEXT`.")
		}
		if v, ok := examples.Get(d.Name); ok {
			e.Example = plain(v)
			examples.Delete(d.Name)
		}
		list = append(list, e)
	}
	if examples.Len() > 0 {
		return nil, fmt.Errorf("examples of modules that are not there: %v", examples.Keys())
	}
	actions, err := actionEntries(root)
	if err != nil {
		return nil, err
	}
	list = append(list, actions...)
	parser := task.NewParser(modules.All())
	for _, e := range list {
		if _, err := parser.Parse("the example of "+e.Name, []byte(e.Example)); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// actionEntries are the modules that the runner of tasks carries out itself.
func actionEntries(root string) ([]reference.Entry, error) {
	d, err := readText(root, "actions.yaml")
	if err != nil {
		return nil, err
	}
	var list []reference.Entry
	var errs []error
	for name, args := range task.Actions() {
		a := section(d, name)
		about, _ := a.Get("about")
		example, _ := a.Get("example")
		e := reference.Entry{Kind: reference.Module, Name: name, About: plain(about), Example: plain(example)}
		given := section(a, "arguments")
		errs = append(errs, same("argument of "+name, args, given.Keys()))
		for _, arg := range args {
			text, _ := given.Get(arg)
			e.Arguments = append(e.Arguments, reference.Argument{Name: arg, About: plain(text)})
		}
		list = append(list, e)
		d.Delete(name)
	}
	if d.Len() > 0 {
		errs = append(errs, fmt.Errorf("actions.yaml: %v are not there", d.Keys()))
	}
	return list, errors.Join(errs...)
}

func callbackEntries(root string) ([]reference.Entry, error) {
	all, err := readComments(filepath.Join(root, "callbacks"))
	if err != nil {
		return nil, err
	}
	examples, err := readText(root, "examples.yaml")
	if err != nil {
		return nil, err
	}
	examples = section(examples, "callbacks")
	var list []reference.Entry
	for _, d := range callbacks.All() {
		e, err := structEntry(reference.Callback, d.Name, d.Aliases, d.New(), all)
		if err != nil {
			return nil, err
		}
		if args := section(examples, d.Name); args != nil {
			if err := value.Decode(args, d.New()); err != nil {
				return nil, fmt.Errorf("the example of %s: %w", d.Name, err)
			}
			e.Example = callbackExample(d.Name, args)
		}
		list = append(list, e)
	}
	return list, nil
}

func callbackExample(name string, args *value.Dict) string {
	var b strings.Builder
	fmt.Fprintf(&b, "- callback: %s", name)
	for k, v := range args.All() {
		if l, ok := v.([]any); ok {
			parts := make([]string, len(l))
			for i, x := range l {
				parts[i] = plain(x)
			}
			v = "[" + strings.Join(parts, ", ") + "]"
		}
		fmt.Fprintf(&b, "\n  %s: %s", value.Text(k), plain(v))
	}
	return b.String()
}

// structEntry describes a module or callback by the comments of its struct.
func structEntry(kindOf, name string, aliases []string, args any, all comments) (reference.Entry, error) {
	v := reflect.ValueOf(args).Elem()
	of, ok := all[v.Type().Name()]
	if !ok || of.text == "" {
		return reference.Entry{}, fmt.Errorf("%s: the type %s has no comment", name, v.Type())
	}
	e := reference.Entry{Kind: kindOf, Name: name, Aliases: aliases, About: named(of.text, v.Type().Name(), name)}
	fields := value.Fields(v.Type())
	for _, f := range fields {
		goName := v.Type().Field(f.Index).Name
		text := of.fields[goName]
		if text == "" {
			return e, fmt.Errorf("%s: the field %s.%s has no comment", name, v.Type(), goName)
		}
		e.Arguments = append(e.Arguments, reference.Argument{
			Name: f.Name, Aliases: f.Aliases, Type: kind(f.Type), Required: f.Required, Default: defaultOf(v.Field(f.Index)),
			About: mentions(named(text, goName, f.Name), v.Type(), fields),
		})
	}
	return e, nil
}

func keywordEntries(root string) ([]reference.Entry, error) {
	d, err := readText(root, "keywords.yaml")
	if err != nil {
		return nil, err
	}
	on := map[string][]string{"with_": {"tasks"}}
	for _, name := range play.Keywords() {
		on[name] = append(on[name], "plays")
	}
	for _, k := range task.Keywords() {
		if k.Block {
			on[k.Name] = append(on[k.Name], "blocks")
		}
		if k.Task {
			on[k.Name] = append(on[k.Name], "tasks")
		}
	}
	var list []reference.Entry
	var names []string
	for name, places := range on {
		text, _ := d.Get(name)
		list = append(list, reference.Entry{Kind: reference.Keyword, Name: name, On: strings.Join(places, ", "), About: plain(text)})
		names = append(names, name)
	}
	return list, same("keyword", names, d.Keys())
}

func expressionEntries(root string) ([]reference.Entry, error) {
	e := expr.New(expr.Options{})
	var list []reference.Entry
	for _, part := range []struct {
		kind  string
		names []string
	}{{reference.Filter, e.Names().Filters}, {reference.Test, e.Names().Tests}, {reference.Lookup, e.Names().Lookups}} {
		d, err := readText(root, part.kind+"s.yaml")
		if err != nil {
			return nil, err
		}
		if err := same(part.kind, part.names, d.Keys()); err != nil {
			return nil, err
		}
		some, err := described(e, part.kind, part.names, d)
		if err != nil {
			return nil, err
		}
		list = append(list, some...)
	}
	return list, nil
}

// described makes entries of names; those that are another name of one are its aliases.
func described(e *expr.Engine, kindOf string, names []string, d *value.Dict) ([]reference.Entry, error) {
	var list []reference.Entry
	aliases := map[string][]string{}
	for _, name := range names {
		v, _ := d.Get(name)
		words, ok := v.([]any)
		if !ok {
			of := strings.TrimPrefix(plain(v), "=")
			aliases[of] = append(aliases[of], name)
			continue
		}
		one := reference.Entry{Kind: kindOf, Name: name, About: plain(words[0])}
		if len(words) > 1 {
			one.Example = plain(words[1])
			v, err := e.Vars().Expression(one.Example, source.Pos{File: "the example of " + name, Line: 1, Col: 1})
			if err != nil {
				return nil, err
			}
			text, err := encode(value.From(v))
			if err != nil {
				return nil, fmt.Errorf("the example of %s: %w", name, err)
			}
			one.Value = text
		}
		list = append(list, one)
	}
	for i := range list {
		list[i].Aliases = aliases[list[i].Name]
		delete(aliases, list[i].Name)
	}
	if len(aliases) > 0 {
		return nil, fmt.Errorf("%ss: other names of what is not there: %v", kindOf, aliases)
	}
	return list, nil
}

func settingEntries(root string) ([]reference.Entry, error) {
	d, err := readText(root, "settings.yaml")
	if err != nil {
		return nil, err
	}
	var list []reference.Entry
	for name, v := range d.All() {
		s, _ := v.(*value.Dict)
		on, _ := s.Get("on")
		about, _ := s.Get("about")
		list = append(list, reference.Entry{Kind: reference.Setting, Name: value.Text(name), On: plain(on), About: plain(about)})
	}
	return list, nil
}

package task

import (
	"maps"
	"reflect"
	"slices"
	"time"

	"farm/engine"
	"farm/inventory/source"
	"farm/inventory/value"
)

// arguments checks the arguments that are constant beside others that are not; where all are
// constant reading the file did.
func (v *validator) arguments(t *Task, s *scope) {
	def, ok := v.r.parser.modules[t.Module]
	if _, _, has := s.key("module_defaults"); has && ok && !t.garbled {
		return // they may have what is missing here
	}
	v.errs = append(v.errs, t.wrong...)
	if !ok || !hasTemplate(t.Args) && !hasTemplate(t.Free) || len(t.ArgsFrom) > 0 {
		return
	}
	p := newPartial(t, def)
	err := value.Decode(p.with(p.constants, p.optional[:0]), def.New())
	v.errs = append(v.errs, prefix(t.Module, err)...)
	v.errs = append(v.errs, further(t, def, mistyped(p.constants, def))...)
}

// further are the faults that a module has to tell of a call beside those of the arguments at the keys
// told, which count as not known.
func further(t *Task, def engine.ModuleDef, told []any) []error {
	c := *t
	c.Args = t.Args.Copy()
	var errs []error
	for range t.Args.Len() {
		for _, k := range told {
			c.Args.Set(k, value.Template{Text: "{{ told }}"})
			if meant := nearName(k, def); meant != "" && !c.Args.Has(meant) {
				c.Args.Set(meant, value.Template{Text: "{{ told }}"})
			}
		}
		p := newPartial(&c, def)
		why := p.refused()
		if why == nil {
			break
		}
		key := p.culprit(why)
		errs = append(errs, p.refusal(why, key))
		if key == nil {
			break
		}
		told = []any{key}
	}
	return errs
}

// nearName is the argument that a key which names none may mean; "" = none.
func nearName(key any, def engine.ModuleDef) string {
	names := argNames(def.New())
	name := value.Text(key)
	if slices.Contains(names, name) {
		return ""
	}
	return source.Nearest(name, names)
}

// mistyped are the keys of arguments that a module does not have, or not of that type.
func mistyped(args *value.Dict, def engine.ModuleDef) []any {
	missing := map[string]bool{} // what the lack of the others says
	for _, err := range source.Flatten(value.Decode(value.NewDict(), def.New())) {
		missing[err.Error()] = true
	}
	var keys []any
	for k, v := range args.All() {
		one := value.NewDict()
		one.Set(k, v)
		err := value.Decode(one, def.New())
		if slices.ContainsFunc(source.Flatten(err), func(err error) bool { return !missing[err.Error()] }) {
			keys = append(keys, k)
		}
	}
	return keys
}

// partial is a call of a module of whose arguments only some are known.
type partial struct {
	t         *Task
	def       engine.ModuleDef
	constants *value.Dict
	required  map[string]any // what stands for the others that must be there
	optional  []string       // the others that may turn out to be left out
	types     map[string]reflect.Type
	needed    map[string]bool // arguments that must be there, constant or not
}

func newPartial(t *Task, def engine.ModuleDef) *partial {
	p := &partial{t: t, def: def, constants: value.NewDict(), required: map[string]any{}, types: map[string]reflect.Type{}, needed: map[string]bool{}}
	p.constants.SetPos(t.Args.Pos())
	m := def.New()
	for _, f := range value.Fields(reflect.TypeOf(m).Elem()) {
		given := false
		for _, name := range append([]string{f.Name}, f.Aliases...) {
			p.types[name], p.needed[name] = f.Type, f.Required
			switch x, ok := t.Args.Get(name); {
			case ok && hasTemplate(x) && f.Required:
				p.required[name] = someValue(f.Name, f.Type)
			case ok && hasTemplate(x):
				p.optional = append(p.optional, name)
			}
			given = given || t.Args.Has(name)
		}
		if f.Required && !given && t.Free != nil {
			p.required[f.Name] = someValue(f.Name, f.Type)
		}
	}
	for k, x := range t.Args.All() {
		name, _ := k.(string)
		if _, known := p.types[name]; !hasTemplate(x) && !value.IsTemplate(name) && (known || takesAny(m)) { // others were told already
			p.constants.Set(k, x)
			p.constants.CopyPos(k, t.Args)
		}
	}
	return p
}

// with is args with something in place of the arguments that must be there and of more.
func (p *partial) with(args *value.Dict, more []string) *value.Dict {
	out := args.Copy()
	for _, name := range slices.Sorted(maps.Keys(p.required)) {
		out.Set(name, p.required[name])
	}
	for _, name := range more {
		out.Set(name, someValue(name, p.types[name]))
	}
	return out
}

// complaint is what a module says against args; nil = nothing.
func (p *partial) complaint(args *value.Dict) error {
	m := p.def.New()
	val, ok := m.(engine.Validator)
	if !ok {
		return nil
	}
	if f, ok := m.(engine.FreeForm); ok && p.t.Free != nil {
		text, constant := p.t.Free.(string)
		if !constant {
			text = "x"
		}
		f.SetFreeForm(text)
	}
	_ = value.Decode(args, m) // what is left out here is told where it is missing
	return val.Validate()
}

// refused is why the module does not take the constants whatever the others turn out to be. It
// is asked without the others, with each and with all of them; what it has against those that
// stand in their place says nothing.
func (p *partial) refused() error {
	var why error
	sets := [][]string{nil, p.optional} // one of these two has to tell
	for i := range p.optional {
		sets = append(sets, p.optional[i:i+1])
	}
	for i, more := range sets {
		got := p.complaint(p.with(p.constants, more))
		switch {
		case got == nil || i == 2 && why == nil:
			return nil
		case same(got, p.complaint(p.with(value.NewDict(), more))):
		case why == nil:
			why = got
		case !same(got, why):
			return nil
		}
	}
	return why
}

func same(a, b error) bool { return a != nil && b != nil && a.Error() == b.Error() }

// refusal tells why a module does not take an argument; key is nil where it is none alone.
func (p *partial) refusal(why error, key any) error {
	pos := p.t.ModulePos
	if key != nil {
		pos = p.constants.ValPos(key)
	}
	return &source.Error{Pos: pos, What: p.t.Module, Err: why}
}

// culprit is the key of the one constant without which the module would not say why; of several
// that of which another value has it say something else. It is nil where none is alone.
func (p *partial) culprit(why error) any {
	var without, other []any
	for k := range p.constants.All() {
		name, _ := k.(string)
		less, changed := p.constants.Copy(), p.constants.Copy()
		less.Delete(k)
		if t := p.types[name]; t != nil {
			changed.Set(k, someValue(name, t))
		}
		if p.needed[name] {
			less = changed
		}
		if p.says(why, less) {
			continue
		}
		without = append(without, k)
		if !p.says(why, changed) {
			other = append(other, k)
		}
	}
	for _, found := range [][]any{without, other} {
		if len(found) == 1 {
			return found[0]
		}
	}
	return nil
}

// says reports whether the module says why against constants, without the others or with all.
func (p *partial) says(why error, constants *value.Dict) bool {
	return same(why, p.complaint(p.with(constants, nil))) || same(why, p.complaint(p.with(constants, p.optional)))
}

// someValue stands for one of an argument that is not known yet.
func someValue(name string, t reflect.Type) any {
	switch name {
	case "url":
		return "http://x/x"
	case "id":
		return "12345678" // as that of a key, or as any text
	}
	if t == reflect.TypeFor[time.Duration]() {
		return int64(1)
	}
	switch t.Kind() {
	case reflect.Bool:
		return true
	case reflect.Int, reflect.Int64, reflect.Float64:
		return int64(1)
	case reflect.Pointer:
		return someValue(name, t.Elem())
	case reflect.Map, reflect.Struct:
		return value.NewDict()
	case reflect.Slice:
		return []any{}
	case reflect.Interface:
		return "0644" // as a mode, or as any text
	}
	return "x"
}

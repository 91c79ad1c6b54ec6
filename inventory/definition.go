package inventory

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"reflect"
	"strings"

	"farm/inventory/catalog"
	"farm/inventory/expr"
	"farm/inventory/source"
	"farm/inventory/value"
	"gopkg.in/yaml.v3"
)

// definition is one target or platform as it was found.
type definition struct {
	kind, name string // "platforms", "debian_12"
	where      int    // which of the places: a definition extends its own name from a later one
	path       string // the file, or where it stands in the inventory
	pos        source.Pos
	native     *value.Dict // nil for a file of tasks
	base       *definition // what it extends
	bad        error       // why an inline one cannot be read
	// faults is what is wrong with it and with what it extends. It is evaluated all the same, for
	// more of them: names that it reads may be missing, if lacking, as a consequence.
	faults  error
	lacking bool

	// chain is filled by prepare: the definition's own keys with all that it extends,
	// edits done, not evaluated; nil if the bottom is a file of tasks.
	chain *value.Dict
	vars  *value.Dict // of the whole chain
	fixed bool        // chain holds no template
}

// The places where definitions are looked for, in order.
const (
	inlinePlace = iota
	folderPlace
	catalogPlace
	noPlace
)

// definitionDir is the folder of definitions that a host's variables name.
func (inv *Inventory) definitionDir(host string, scope *expr.Vars) (string, error) {
	dir := "setup_vm"
	v, ok, err := scope.Get("parse_lookup_dir_path")
	if err != nil {
		return "", err
	}
	if ok && v != nil {
		text, isText := v.(string)
		if !isText {
			return "", source.Errorf(inv.RawHostVars(host).ValPos("parse_lookup_dir_path"), "parse_lookup_dir_path is %s, not text", value.Kind(v))
		}
		dir = ExpandHome(text)
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(inv.dir, dir)
	}
	return dir, nil
}

// lookup finds a definition in the inventory, in dir, in the catalogue.
func (inv *Inventory) lookup(kind, name, dir string, pos source.Pos) (*definition, error) {
	return inv.resolve(kind, name, dir, inlinePlace, pos, nil)
}

// resolve finds a definition at the place from or later, with all that it extends, once.
// above are the definitions that led here. What is wrong in one that was found is among its faults.
func (inv *Inventory) resolve(kind, name, dir string, from int, pos source.Pos, above []*definition) (*definition, error) {
	key := defKey{kind, name, dir, from}
	inv.mu.Lock()
	have := inv.found[key]
	inv.mu.Unlock()
	if have != nil {
		return have, nil
	}
	def, err := inv.find(kind, name, dir, from, pos)
	if err != nil {
		return nil, err
	}
	for _, up := range above {
		if up.path == def.path && up.where == def.where {
			return nil, source.Errorf(pos, "%s %q extends itself", kind[:len(kind)-1], name)
		}
	}
	if def.native.Has("extends") {
		base, err := inv.base(def, dir, append(above, def))
		if def.lacking = base == nil || base.lacking; base != nil {
			err = base.faults
		}
		def.base, def.faults = base, source.Join(def.faults, err)
	}
	if def.native != nil {
		def.prepare()
	}
	inv.mu.Lock()
	defer inv.mu.Unlock()
	inv.found[key] = def
	return def, nil
}

// base finds what def extends.
func (inv *Inventory) base(def *definition, dir string, above []*definition) (*definition, error) {
	v, _ := def.native.Get("extends")
	parent, isText := v.(string)
	at, one := def.native.KeyPos("extends"), def.kind[:len(def.kind)-1]
	if !isText || parent == "" {
		return nil, source.Errorf(at, "extends is %s, not the name of a %s", value.Kind(v), one)
	}
	start := inlinePlace
	if parent == def.name {
		start = def.where + 1
	}
	base, err := inv.resolve(def.kind, parent, dir, start, at, above)
	if err != nil && parent == def.name {
		return nil, &source.Error{Pos: at, What: fmt.Sprintf("%s %q extends itself: there is no other of that name", one, def.name), Hint: "`farm catalog list` shows those built in"}
	}
	return base, err
}

// defKey is what a definition was looked up by.
type defKey struct {
	kind, name, dir string
	from            int
}

func (inv *Inventory) find(kind, name, dir string, from int, pos source.Pos) (*definition, error) {
	if from <= inlinePlace {
		if def := inv.inline[kind+"/"+name]; def != nil {
			fresh := *def
			return &fresh, def.bad
		}
	}
	if !safeName(name) {
		return nil, source.Errorf(pos, "%q is no name of a %s", name, kind[:len(kind)-1])
	}
	if from <= folderPlace {
		for _, base := range []string{name, "default"} {
			for _, ext := range []string{".yaml", ".yml"} {
				file, err := source.ReadFile(filepath.Join(dir, kind, base+ext))
				if errors.Is(err, fs.ErrNotExist) {
					continue
				}
				if err != nil {
					return nil, err
				}
				return fromFile(kind, name, folderPlace, file)
			}
			if _, ok := catalog.Read(kind, name); ok && base == name {
				break // the catalogue's own comes before the folder's default
			}
		}
	}
	if from <= catalogPlace {
		if text, ok := catalog.Read(kind, name); ok {
			file, err := source.Parse(catalogName+path.Join(kind, name), text)
			if err != nil {
				return nil, err
			}
			return fromFile(kind, name, catalogPlace, file)
		}
	}
	return nil, inv.unknown(kind, name, dir, pos)
}

// safeName keeps a name from leaving its folder.
func safeName(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.ContainsAny(name, "/\x00")
}

func fromFile(kind, name string, where int, f *source.File) (*definition, error) {
	def := &definition{kind: kind, name: name, where: where, path: f.Path, pos: source.Pos{File: f.Path, Line: 1, Col: 1}}
	if f.Root == nil {
		return nil, source.Errorf(def.pos, "the definition of %q is empty", name)
	}
	switch f.Root.Kind {
	case yaml.SequenceNode:
		return def, nil
	case yaml.MappingNode:
		def.native, def.faults = toDict(f)
		return def, nil
	}
	return nil, source.Errorf(f.Pos(f.Root), "a definition is a mapping, or a list of tasks")
}

func (inv *Inventory) unknown(kind, name, dir string, pos source.Pos) error {
	one := kind[:len(kind)-1]
	known := append([]string(nil), catalog.Names(kind)...)
	for key := range inv.inline {
		if n, ok := strings.CutPrefix(key, kind+"/"); ok {
			known = append(known, n)
		}
	}
	files, _ := filepath.Glob(filepath.Join(dir, kind, "*.y*ml"))
	for _, f := range files {
		known = append(known, strings.TrimSuffix(filepath.Base(f), filepath.Ext(f)))
	}
	hint := source.DidYouMean(name, known)
	if hint == "" {
		hint = "`farm catalog list` shows those built in"
	}
	return &source.Error{Pos: pos, Hint: hint,
		What: fmt.Sprintf("unknown %s %q: not in the inventory's %s, not %s.yaml or .yml in %s, not in the catalogue", one, name, kind, name, filepath.Join(dir, kind))}
}

func withoutExtends(native *value.Dict) *value.Dict {
	own := native.Copy()
	own.Delete("extends")
	return own
}

// prepare merges a native definition with what it extends.
func (def *definition) prepare() {
	own := withoutExtends(def.native)
	errs := []error{def.faults, checkKeys(own)}
	defer func() { def.faults = source.Join(errs...) }()
	def.vars = value.NewDict()
	if def.base != nil && def.base.vars != nil {
		def.vars = def.base.vars.Copy()
	}
	if v, ok := own.Get("vars"); ok {
		d, isDict := v.(*value.Dict)
		if v != nil && !isDict {
			errs = append(errs, source.Errorf(own.KeyPos("vars"), "vars is %s, not a mapping", value.Kind(v)))
			def.lacking = true
		}
		lay(def.vars, d)
		own.Delete("vars")
	}
	if def.base != nil && def.base.chain == nil {
		return // the bottom's tasks run first; edits are done on what they leave
	}
	var base *value.Dict
	if def.base != nil {
		base = def.base.chain
	}
	chain, err := edit(base, own)
	errs = append(errs, err)
	def.chain = chain
	def.fixed = isStatic(chain)
}

// slips are keys that people give who mean another.
var slips = map[string]string{
	"memory": "ram", "mem": "ram", "cores": "vcpus", "smp": "vcpus", "processors": "vcpus",
	"auth": "metadata.auth", "hostname": "metadata.hostname", "hostfwd": "net.source",
}

// checkKeys refuses keys that are nearly one that farm knows, or that stand elsewhere; others are for the
// user's own templates and callbacks.
func checkKeys(d *value.Dict) error {
	known := nativeKeys()
	var errs []error
	for key := range d.All() {
		name, ok := key.(string)
		if !ok || contains(known, strings.TrimSuffix(name, "+")) {
			continue
		}
		if meant := slips[name]; meant != "" {
			errs = append(errs, &source.Error{Pos: d.KeyPos(name), What: fmt.Sprintf("unknown key %q", name), Hint: "did you mean " + meant + "?"})
		} else if source.Nearest(name, known) != "" {
			errs = append(errs, value.UnknownKey(d, name, known))
		}
	}
	return source.Join(errs...)
}

// evaluate runs a definition with the variables of scope and, as `vm`, what was merged
// so far, and returns it merged over that. hosts takes what its tasks added with add_host.
// With an error comes what is right, Omit in place of values that are not.
func (b *builder) evaluate(ctx context.Context, def *definition, so *value.Dict, hosts map[string]*value.Dict) (*value.Dict, error) {
	if def.fixed {
		return value.Merge(so, def.chain), nil
	}
	if def.chain != nil {
		v, err := b.scope(def.vars, so).Partly(def.chain)
		d, _ := v.(*value.Dict) // a mapping stays one
		return value.Merge(so, d), err
	}
	return b.evaluateTasks(ctx, def, def.vars, so, hosts)
}

// evaluateTasks runs the file of tasks at the bottom of def, then lays the native
// definitions that extend it over what it set.
func (b *builder) evaluateTasks(ctx context.Context, def *definition, vars, so *value.Dict, hosts map[string]*value.Dict) (*value.Dict, error) {
	if def.native != nil {
		vm, err := b.evaluateTasks(ctx, def.base, vars, so, hosts)
		if err != nil {
			return so, err
		}
		own := withoutExtends(def.native)
		own.Delete("vars")
		v, err := b.scope(vars, vm).Partly(own)
		d, _ := v.(*value.Dict)
		edited, editErr := edit(vm, d)
		return edited, source.Join(err, editErr)
	}
	if b.run == nil {
		return so, &source.Error{Pos: def.pos, What: fmt.Sprintf("%s %q is a list of tasks, which cannot run here", def.kind[:len(def.kind)-1], def.name)}
	}
	got, err := b.run(ctx, DefinitionRequest{Path: def.path, Host: b.host, Vars: b.scope(vars, so)})
	if err != nil {
		return so, err
	}
	for name, vars := range got.Hosts {
		hosts[name] = mergeNil(hosts[name], vars)
	}
	v, _ := got.Facts.Get("vm")
	d, ok := v.(*value.Dict)
	if !ok {
		return so, &source.Error{Pos: def.pos, What: fmt.Sprintf("the tasks leave %s as the fact vm, not a mapping", value.Kind(v)), Hint: "set_fact: {vm: {...}}"}
	}
	return value.Merge(so, def.placed(d, so)), nil
}

// placed is what tasks made of so, with the place of the tasks for what they changed in the catalogue's.
func (def *definition) placed(made, so *value.Dict) *value.Dict {
	made = made.Copy()
	for k, v := range made.All() {
		if old, _ := so.Get(k); builtIn(made.ValPos(k)) && !reflect.DeepEqual(old, v) {
			made.SetKeyPos(k, def.pos)
		}
	}
	return made
}

package inventory

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"

	"farm/inventory/expr"
	"farm/inventory/source"
	"farm/inventory/value"
)

// Load reads an inventory with its group_vars and host_vars. The error holds every
// fault that was found, each with its place; with it comes what is right, nil where nothing can be read.
func Load(path string, o Options) (*Inventory, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	inv := &Inventory{path: abs, dir: filepath.Dir(abs), graph: newGraph()}
	lookups := expr.HostOptions(inv.dir)
	lookups.ReadFile = source.ReadText // bounded
	lookups.Select = Select
	inv.engine = expr.New(lookups)
	inv.vars = newVarFiles(filepath.Dir(path), o.Playbooks)
	inv.reset()
	extra, extraErr := ReadExtra(o)
	inv.extra = extra
	top, err := readDict(path)
	if top == nil {
		return nil, source.Join(extraErr, hintINI(path, err))
	}
	r := reader{g: inv.graph}
	r.add(extraErr)
	r.add(err)
	if extra.Has("vm") { // it would stand over the definition
		r.fail(extra.ValPos("vm"), "another name", "the variable vm is the definition of a VM")
		extra.Delete("vm")
	}
	for key, v := range top.All() {
		name := fmt.Sprint(key)
		switch meant := definitionsMeant(name, v); {
		case name == "platforms" || name == "targets":
			inv.setInline(&r, top, name, name, v)
		case meant != "":
			r.fail(top.KeyPos(key), fmt.Sprintf("did you mean %q?", meant), "%q would be a group, and it has none of hosts, children and vars", name)
			inv.setInline(&r, top, name, meant, v)
		default:
			r.group(name, v, top.KeyPos(key))
		}
	}
	inv.graph.finish()
	for _, gr := range inv.graph.groupOrder {
		_, err := inv.vars.get("group_vars", gr.name)
		r.add(err)
	}
	for _, h := range inv.graph.hostOrder {
		_, err := inv.vars.get("host_vars", h.name)
		r.add(err)
	}
	_, err = inv.vars.get("group_vars", "vms")
	r.add(err)
	inv.lost = extraErr != nil
	return inv, source.Join(r.errs...)
}

// Likely drops from err what may only follow from files of variables that could not be read: undefined names.
func (inv *Inventory) Likely(err error) error {
	if err == nil || !inv.lost && source.Join(inv.vars.faults()...) == nil {
		return err
	}
	return source.Join(slices.DeleteFunc(source.Flatten(err), func(one error) bool {
		var undefined *expr.UndefinedError
		return errors.As(one, &undefined)
	})...)
}

// hintINI adds to the error of a file that looks like an INI inventory what would be right.
func hintINI(path string, err error) error {
	var bad *source.Error
	text, readErr := source.ReadText(path)
	if readErr == nil && errors.As(err, &bad) && iniSection.Match(text) {
		bad.Hint = "this looks like an INI inventory; only YAML is read: `ansible-inventory -y --list` converts"
	}
	return err
}

var iniSection = regexp.MustCompile(`(?m)^\[[\w.-]+(:(vars|children))?\]\s*$`)

// definitionsMeant is the word that a key of the inventory was meant to be, as what it holds is no
// group: "platforms" or "targets"; else "".
func definitionsMeant(name string, v any) string {
	d, _ := v.(*value.Dict)
	for key := range d.All() {
		if text, ok := key.(string); ok && slices.Contains(groupKeys, text) {
			return ""
		}
	}
	meant := source.Nearest(name, []string{"platforms", "targets"})
	if d.Len() == 0 && (v == nil || source.Distance(name, meant) > 1) {
		return "" // a group of nothing, which may have any name
	}
	return meant
}

// setInline takes the definitions that the inventory itself holds at key.
func (inv *Inventory) setInline(r *reader, top *value.Dict, key, kind string, v any) {
	d, ok := v.(*value.Dict)
	if !ok {
		r.fail(top.KeyPos(key), "", "%s is %s, not a mapping of names to definitions", key, value.Kind(v))
		return
	}
	for key, body := range d.All() {
		name, pos := fmt.Sprint(key), d.KeyPos(key)
		def := &definition{kind: kind, name: name, where: inlinePlace, path: pos.String(), pos: pos}
		if def.native, ok = body.(*value.Dict); !ok {
			r.fail(pos, "", "%s %q is %s, not a mapping", kind[:len(kind)-1], name, value.Kind(body))
			def.bad = r.errs[len(r.errs)-1]
		}
		inv.inline[kind+"/"+name] = def
	}
}

// readDict reads a YAML file whose top is a mapping; an empty file is an empty one. With an error comes
// what is right, nil where that is nothing.
func readDict(path string) (*value.Dict, error) {
	f, err := source.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return toDict(f)
}

func toDict(f *source.File) (*value.Dict, error) {
	if f.Root == nil {
		return value.NewDict(), nil
	}
	v, err := value.FromNode(f, f.Root)
	switch d := v.(type) {
	case nil:
		return value.NewDict(), err
	case *value.Dict:
		return d, err
	}
	return nil, source.Errorf(f.Pos(f.Root), "the file holds %s, not a mapping", value.Kind(v))
}

// reader turns the mapping of an inventory file into a graph.
type reader struct {
	g    *graph
	errs []error
}

func (r *reader) add(err error) {
	if err != nil {
		r.errs = append(r.errs, err)
	}
}

func (r *reader) fail(pos source.Pos, hint, format string, args ...any) {
	r.errs = append(r.errs, &source.Error{Pos: pos, What: fmt.Sprintf(format, args...), Hint: hint})
}

var groupKeys = []string{"hosts", "children", "vars"}

func (r *reader) group(name string, v any, pos source.Pos) *group {
	gr := r.g.group(name, pos)
	body, ok := v.(*value.Dict)
	if !ok {
		if v != nil {
			r.fail(pos, "its keys: hosts, children, vars", "group %q is %s, not a mapping", name, value.Kind(v))
		}
		return gr
	}
	// In the order of the file: of a host that is named twice the later variables win.
	for k, section := range body.All() {
		key, _ := k.(string)
		if !slices.Contains(groupKeys, key) || section == nil {
			continue
		}
		if text, ok := section.(string); ok && key == "hosts" {
			section = value.NewDict(text, nil)
		}
		d, ok := section.(*value.Dict)
		if !ok {
			hint := ""
			if _, list := section.([]any); list {
				hint = `write each as a key: "name:"`
			}
			r.fail(body.KeyPos(key), hint, "%s of group %q is %s, not a mapping", key, name, value.Kind(section))
			continue
		}
		switch key {
		case "vars":
			r.groupVars(gr, d)
		case "children":
			for child, cv := range d.All() {
				c := r.group(fmt.Sprint(child), cv, d.KeyPos(child))
				if !r.g.addChild(gr, c) {
					r.fail(d.KeyPos(child), "", "group %q contains itself", c.name)
				}
			}
		case "hosts":
			for pattern, hv := range d.All() {
				r.hosts(gr, fmt.Sprint(pattern), hv, d.KeyPos(pattern))
			}
		}
	}
	for key := range body.All() {
		if k := fmt.Sprint(key); !slices.Contains(groupKeys, k) {
			known := groupKeys
			hint := source.DidYouMean(k, known)
			if hint == "" {
				hint = "a group has hosts, children and vars"
			}
			r.fail(body.KeyPos(key), hint, "unknown key %q in group %q", k, name)
		}
	}
	return gr
}

func (r *reader) groupVars(gr *group, d *value.Dict) {
	gr.vars = value.NewDict()
	for k, v := range d.All() {
		if k == "ansible_group_priority" {
			n, err := value.ParseInt(v)
			if err != nil {
				r.fail(d.KeyPos(k), "", "ansible_group_priority is %s, not a whole number", value.Kind(v))
				continue
			}
			gr.priority = n
			continue // it steers the merge and is no variable
		}
		gr.vars.Set(k, v)
		gr.vars.CopyPos(k, d)
	}
}

func (r *reader) hosts(gr *group, pattern string, v any, pos source.Pos) {
	vars, ok := v.(*value.Dict)
	if !ok && v != nil {
		r.fail(pos, "", "host %q is %s, not a mapping of variables", pattern, value.Kind(v))
		return
	}
	names, port, err := hostNames(pattern)
	if err != nil {
		r.fail(pos, "", "%s", err)
		return
	}
	for _, name := range names {
		h := r.g.host(name, pos)
		h.join(gr)
		if port > 0 {
			h.vars.Set("ansible_port", int64(port))
		}
		for k, hv := range vars.All() {
			h.vars.Set(k, hv)
			h.vars.CopyPos(k, vars)
		}
	}
}

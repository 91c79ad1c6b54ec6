package play

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"farm/engine/task"
	"farm/inventory/source"
	"farm/inventory/value"
)

// maxImports bounds playbooks that import each other.
const maxImports = 20

// Read reads what is at path: a playbook, a task file (a list of tasks without "hosts"), or
// the folder of a role. given are the variables of the command line, which answer
// vars_prompt. All faults are told at once, each at its place.
func Read(p *task.Parser, path string, given *value.Dict) ([]*Play, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(abs); err == nil && info.IsDir() {
		return role(p, abs)
	}
	r := &reader{Parser: p, given: given}
	plays := r.file(path, source.Pos{}, 0)
	return plays, source.Join(r.errs...)
}

// role is a play of one role.
func role(p *task.Parser, dir string) ([]*Play, error) {
	if !isRole(dir) {
		return nil, source.Errorf(source.Pos{File: dir}, "the folder is no role: it has none of %v", roleFolders)
	}
	one := taskFile(dir)
	var err error
	pos := source.Pos{File: dir}
	one.Roles, err = p.ParseTasks(dir, []any{value.NewDict("import_role", value.NewDict("name", dir))}, pos, func(int) source.Pos { return pos }, "roles")
	return []*Play{one}, err
}

var roleFolders = []string{"tasks", "handlers", "defaults", "vars", "meta"}

func isRole(dir string) bool {
	return slices.ContainsFunc(roleFolders, func(sub string) bool {
		for _, ext := range []string{".yml", ".yaml", ".json"} {
			if _, err := os.Stat(filepath.Join(dir, sub, "main"+ext)); err == nil {
				return true
			}
		}
		return false
	})
}

// taskFile is the play around tasks that say nothing of hosts: all of them, with the facts
// that a phase has.
func taskFile(file string) *Play {
	return &Play{
		Pos: source.Pos{File: file}, File: file, Name: filepath.Base(file), Hosts: "all",
		Gather: []any{"min"}, Keys: value.NewDict(), MaxFail: -1,
	}
}

// reader is a playbook being read, with those that it imports.
type reader struct {
	*task.Parser
	given *value.Dict
	errs  []error
}

func (r *reader) add(err error) {
	if err != nil {
		r.errs = append(r.errs, err)
	}
}

func (r *reader) fail(pos source.Pos, hint, format string, args ...any) {
	r.errs = append(r.errs, &source.Error{Pos: pos, What: fmt.Sprintf(format, args...), Hint: hint})
}

// file reads a playbook that an import at pos names, or the command line.
func (r *reader) file(path string, pos source.Pos, depth int) []*Play {
	text, err := source.ReadText(path)
	if err != nil && !pos.IsZero() {
		err = &source.Error{Pos: pos, What: "import_playbook", Err: err}
	}
	if err != nil {
		r.add(err)
		return nil
	}
	f, err := source.Parse(path, text)
	if err != nil {
		r.add(err)
		return nil
	}
	v, err := value.FromNode(f, f.Root)
	r.add(err)
	at := source.Pos{File: path, Line: 1, Col: 1}
	full, err := filepath.Abs(path)
	if err != nil {
		r.add(err)
		return nil
	}
	items, _ := v.([]any)
	if len(items) == 0 && v != nil {
		r.fail(at, `a playbook is a list: begin each play with "- hosts:"`, "the file holds %s, not a list of plays or tasks", value.Kind(v))
		return nil
	}
	if !slices.ContainsFunc(items, isPlay) {
		one := taskFile(full)
		one.Pos.File = path
		one.Tasks, err = r.ParseTasks(full, v, at, func(i int) source.Pos { return f.Pos(f.Root.Content[i]) }, "a task file")
		r.add(err)
		return []*Play{one}
	}
	var plays []*Play
	for i, item := range items {
		d, ok := item.(*value.Dict)
		switch {
		case !ok:
			r.fail(f.Pos(f.Root.Content[i]), "", "item %d is %s, not a play", i+1, value.Kind(item))
		case importKey(d) != "":
			plays = append(plays, r.imported(path, d, depth)...)
		case !d.Has("hosts"):
			r.fail(d.Pos(), "", "the play has no hosts")
		default:
			plays = append(plays, r.play(full, d))
		}
	}
	return plays
}

func isPlay(item any) bool {
	d, ok := item.(*value.Dict)
	return ok && (d.Has("hosts") || importKey(d) != "")
}

func importKey(d *value.Dict) string {
	for _, name := range []string{"import_playbook", "ansible.builtin.import_playbook"} {
		if d.Has(name) {
			return name
		}
	}
	return ""
}

// imported reads the playbook that an entry imports; tags and variables of the entry count for its plays.
func (r *reader) imported(path string, d *value.Dict, depth int) []*Play {
	key := importKey(d)
	raw, _ := d.Get(key)
	name, ok := raw.(string)
	switch {
	case !ok:
		r.fail(d.KeyPos(key), "the name must be known before the run", "%s is %s, not the name of a file", key, value.Kind(raw))
		return nil
	case depth >= maxImports:
		r.fail(d.KeyPos(key), "", "playbooks import each other more than %d deep", maxImports)
		return nil
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(path), name)
	}
	plays := r.file(name, d.ValPos(key), depth+1)
	for k, v := range d.All() {
		switch k {
		case key, "name":
		case "vars":
			vars, _ := task.OneMapping(v).(*value.Dict)
			for _, p := range plays {
				p.Vars = value.Merge(p.Vars, vars)
			}
		case "tags":
			for _, p := range plays {
				p.Keys.Set("tags", append(listOf(v), tagsOf(p.Keys)...))
			}
		case "when":
			r.add(r.CheckKeyword(path, "when", v, d.KeyPos(k)))
			for _, p := range plays {
				inner, _ := p.Keys.Get("when")
				p.Keys.Set("when", append(slices.Clone(listOf(v)), listOf(inner)...))
				p.Keys.SetKeyPos("when", d.KeyPos(k))
			}
		default:
			r.fail(d.KeyPos(k), "it may have name, tags, vars and when", "%q has no meaning beside %s", value.Text(k), key)
		}
	}
	return plays
}

func tagsOf(keys *value.Dict) []any {
	v, _ := keys.Get("tags")
	return listOf(v)
}

// listOf is v as a list; nil is empty.
func listOf(v any) []any {
	switch t := v.(type) {
	case nil:
		return nil
	case []any:
		return t
	}
	return []any{v}
}

package expr

import (
	"path"
	"slices"
)

// partsOfRoles are the folders of a role in which templates stand: what they name is looked up in
// the role, too.
var partsOfRoles = []string{"tasks", "handlers", "vars", "defaults", "meta", "templates", "files"}

// beside finds a relative name of a file: in the role, beside the template, then in the folders
// of the options, first below kind in each.
func (m *machine) beside(kind, name string) string {
	candidates := m.candidates(kind, name)
	for _, p := range candidates {
		if m.exists(p) {
			return p
		}
	}
	return candidates[0]
}

// candidates are the places where name may be, in order; kind is "files", "templates" or "vars".
func (m *machine) candidates(kind, name string) []string {
	name = m.expandUser(name)
	if path.IsAbs(name) {
		return []string{name}
	}
	var list []string
	add := func(p string) {
		if !slices.Contains(list, p) {
			list = append(list, p)
		}
	}
	for _, d := range m.folders() {
		add(path.Join(d, kind, name))
		add(path.Join(d, name))
	}
	if len(list) == 0 {
		add(name)
	}
	return list
}

// folders are those in which relative names are looked up: that of the template, those of the task,
// those of the options.
func (m *machine) folders() []string {
	var list []string
	if m.pos.File != "" {
		dir := path.Dir(m.pos.File)
		if slices.Contains(partsOfRoles, path.Base(dir)) {
			list = append(list, path.Dir(dir))
		}
		list = append(list, dir)
	}
	path, _, _ := m.vars.lookup(m.run, "ansible_search_path")
	for _, d := range listOf(path) {
		if dir, ok := d.(string); ok {
			list = append(list, dir)
		}
	}
	return append(list, m.vars.e.o.Dirs...)
}

func listOf(x any) []any { list, _ := x.([]any); return list }

func (m *machine) exists(p string) bool {
	switch o := m.vars.e.o; {
	case o.Stat != nil:
		_, err := o.Stat(p)
		return err == nil
	case o.ReadFile != nil:
		_, err := o.ReadFile(p)
		return err == nil
	}
	return false
}

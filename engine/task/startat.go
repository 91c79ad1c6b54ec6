package task

import (
	"path"
	"strings"

	"farm/inventory/expr"
	"farm/inventory/value"
)

// MayStart reports whether StartAt may find the task that it names at t, or in what t imports. It is
// told without evaluating anything.
func MayStart(name string, t *Task) bool {
	if imports(t) {
		return true
	}
	if n, _ := t.Keys.Get("name"); n != nil {
		if _, templated := n.(value.Template); templated {
			return true
		}
	}
	return called(name, t.Title()) || strings.Contains(name, ":") // a role's task
}

// imports reports whether t stands for the tasks of a file or role, which are looked through for the one
// to start at. Those of an include are known only when it runs.
func imports(t *Task) bool {
	for k := range t.Keys.All() {
		if name, _ := k.(string); name == "loop" || strings.HasPrefix(name, "with_") {
			return false
		}
	}
	return t.Module == "import_tasks" || t.Module == "import_role"
}

// starts reports whether t is the task to start at: by its name, as it is shown or written, with or
// without that of its role.
func (p *play) starts(t *Task, s *scope, vars *expr.Vars) bool {
	role := ""
	for c := s; c != nil && role == ""; c = c.parent {
		if c.role != nil {
			role = c.role.name + " : "
		}
	}
	for _, name := range []string{t.Title(), title(t, vars)} {
		if called(p.o.StartAt, name) || role != "" && called(p.o.StartAt, role+name) {
			return true
		}
	}
	return false
}

// called reports whether name is the wanted one, or matches it as a shell's pattern would, in which * also
// stands for a slash.
func called(wanted, name string) bool {
	flat := strings.NewReplacer("/", "\x00")
	ok, err := path.Match(flat.Replace(wanted), flat.Replace(name))
	return wanted == name || ok && err == nil
}

package farm

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"sort"
	"strings"
	"testing"
)

// allowed is the table of ARCHITECTURE.md: what each package of this module may import
// of it. Tests may import more.
var allowed = map[string][]string{
	"inventory/source":  {},
	"inventory/value":   {"inventory/source"},
	"inventory/regex":   {},
	"inventory/expr":    {"inventory/source", "inventory/value", "inventory/regex"},
	"inventory/catalog": {"inventory/source", "inventory/value"},
	"inventory":         {"inventory/source", "inventory/value", "inventory/regex", "inventory/expr", "inventory/catalog"},

	"engine":                  {"inventory", "inventory/source", "inventory/value"},
	"engine/shell":            vocabulary(),
	"engine/ssh":              vocabulary("engine/shell"),
	"engine/local":            vocabulary("engine/shell"),
	"engine/libvirt":          vocabulary("engine/libvirt/savefile"),
	"engine/libvirt/savefile": {},
	"engine/images":           vocabulary(),
	"engine/dispatch":         vocabulary(),
	"engine/store":            vocabulary(),
	"engine/report":           vocabulary(),
	"engine/task":             vocabulary("inventory/expr"),
	"engine/modules":          vocabulary("inventory/regex"),
	"engine/enginetest":       vocabulary(),
	"engine/runner":           vocabulary("engine/dispatch"),
	"engine/play":             vocabulary("engine/task", "inventory/expr"),

	"docs":           {},
	"docs/reference": {},
	"phases":         vocabulary("engine/task", "inventory/expr"),
	"callbacks":      vocabulary(),
}

// vocabulary is what everything under engine may import, and more where it is named.
func vocabulary(more ...string) []string {
	return append([]string{"engine", "inventory", "inventory/source", "inventory/value"}, more...)
}

// free are the packages that wire the others together.
func free(pkg string) bool {
	return pkg == "" || strings.HasPrefix(pkg, "cmd/") || strings.HasPrefix(pkg, "bench/") || strings.HasPrefix(pkg, "scripts/") || pkg == "examples" || pkg == "conformance" || strings.HasPrefix(pkg, "e2e")
}

type goPackage struct {
	ImportPath string
	Imports    []string
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []goPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestImportsFollowTheTable(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range packages(t) {
		name := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, "farm"), "/")
		seen[name] = true
		if free(name) {
			continue
		}
		may, ok := allowed[name]
		if !ok {
			t.Errorf("package %s is not in the table; say in ARCHITECTURE.md what it is for and add it here", name)
			continue
		}
		for _, imp := range p.Imports {
			dep, ours := strings.CutPrefix(imp, "farm/")
			if ours && !contains(may, dep) {
				t.Errorf("%s imports %s, which the table does not allow", name, dep)
			}
		}
	}
	var gone []string
	for name := range allowed {
		if !seen[name] {
			gone = append(gone, name)
		}
	}
	sort.Strings(gone)
	if len(gone) > 0 {
		t.Errorf("in the table, but not in the tree: %s", strings.Join(gone, ", "))
	}
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

package engine

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The page that users read has every field, kind, status and fault, and no other.
func TestEventsPageIsComplete(t *testing.T) {
	page, err := os.ReadFile("../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	tables := tablesOf(string(page))
	fields, kinds := tables["field"], tables["kind"]

	var want []string
	for i := range reflect.TypeFor[Event]().NumField() {
		name, _, _ := strings.Cut(reflect.TypeFor[Event]().Field(i).Tag.Get("json"), ",")
		want = append(want, name)
	}
	var have []string
	for _, row := range fields {
		have = append(have, row.names...)
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("fields (-code +page):\n%s", diff)
	}
	have = nil
	for _, row := range kinds {
		have = append(have, row.names...)
	}
	same(t, "kinds", constants(t, "event.go", "Kind"), have)
	for _, row := range fields {
		switch row.names[0] {
		case "status":
			same(t, "statuses", constants(t, "event.go", "Status"), quoted(row.meaning))
		case "fault":
			same(t, "faults", constants(t, "fault.go", "Fault"), quoted(row.meaning))
		}
	}
	if version := strconv.Itoa(EventVersion); !strings.Contains(fields[0].meaning, version) {
		t.Errorf("the version is %s; the page says %q", version, fields[0].meaning)
	}
}

func same(t *testing.T, what string, code, page []string) {
	t.Helper()
	slices.Sort(code)
	slices.Sort(page)
	if diff := cmp.Diff(code, page); diff != "" {
		t.Errorf("%s (-code +page):\n%s", what, diff)
	}
}

// row is a table's row: the names in its first column, and its last column.
type row struct {
	names   []string
	meaning string
}

// tablesOf returns a page's tables by the head of their first column.
func tablesOf(page string) map[string][]row {
	tables := map[string][]row{}
	head := ""
	for line := range strings.Lines(page) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		switch first := strings.TrimSpace(cells[0]); {
		case !strings.HasPrefix(line, "|"):
			head = ""
		case head == "":
			head = first
		case !strings.HasPrefix(first, "---"):
			tables[head] = append(tables[head], row{quoted(first), cells[len(cells)-1]})
		}
	}
	return tables
}

var code = regexp.MustCompile("`([^`]+)`")

// quoted returns what stands between backquotes.
func quoted(text string) []string {
	var list []string
	for _, m := range code.FindAllStringSubmatch(text, -1) {
		list = append(list, m[1])
	}
	return list
}

// constants are the values of a file's constants of a type, but "".
func constants(t *testing.T, file, typeName string) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if id, ok := spec.Type.(*ast.Ident); !ok || id.Name != typeName {
			return true
		}
		for _, v := range spec.Values {
			text, err := strconv.Unquote(v.(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			if text != "" {
				list = append(list, text)
			}
		}
		return true
	})
	if len(list) == 0 {
		t.Fatalf("%s has no constants of %s", file, typeName)
	}
	return list
}

package inventory

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The files in testdata/ansible are what ansible-core 2.14 answered for the inventory there.

func loadAnsible(t *testing.T, extra ...string) *Inventory {
	t.Helper()
	inv, err := Load("testdata/ansible/inventory.yaml", Options{Extra: extra})
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

func asAny(t *testing.T, v any) any {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func golden(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata/ansible", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestListIsAnsibles(t *testing.T) {
	var want any
	if err := json.Unmarshal([]byte(golden(t, "list.json")), &want); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, asAny(t, loadAnsible(t).List())); d != "" {
		t.Errorf("-ansible +farm\n%s", d)
	}
}

func TestHostVariablesAreAnsibles(t *testing.T) {
	var want any
	if err := json.Unmarshal([]byte(golden(t, "db1.json")), &want); err != nil {
		t.Fatal(err)
	}
	inv := loadAnsible(t, "who=cli", `{"k": [1]}`)
	if d := cmp.Diff(want, asAny(t, inv.RawHostVars("db1"))); d != "" {
		t.Errorf("-ansible +farm\n%s", d)
	}
	v, _, err := inv.HostVars("db1").Get("template")
	if err != nil || v != "cli x" {
		t.Errorf("template: %v, %v", v, err)
	}
}

func TestGraphIsAnsibles(t *testing.T) {
	if d := cmp.Diff(golden(t, "graph.txt"), loadAnsible(t).Graph()); d != "" {
		t.Errorf("-ansible +farm\n%s", d)
	}
}

func TestHostPatternsAreAnsibles(t *testing.T) {
	inv := loadAnsible(t)
	for line := range strings.Lines(golden(t, "patterns.txt")) {
		pattern, want, _ := strings.Cut(strings.TrimRight(line, " \n"), " =>")
		got, err := inv.Hosts(pattern)
		if err != nil || strings.Join(got, " ") != strings.TrimSpace(want) {
			t.Errorf("%s: got %v, %v; want %s", pattern, got, err, want)
		}
	}
	if _, err := inv.Hosts("~("); err == nil {
		t.Error("a broken regular expression is taken")
	}
}

func TestMagicVariables(t *testing.T) {
	inv := loadAnsible(t)
	vars := inv.HostVars("web01.lan")
	for text, want := range map[string]any{
		"inventory_hostname": "web01.lan", "inventory_hostname_short": "web01", "group_names | join(',')": "prod,web,zeta",
		"groups['db'] | length": int64(5), "hostvars['db1'].who": "db1 inline", "'web' in groups": true,
		"hostvars['none'] is defined": false, "inventory_dir": inv.Dir(), "hostvars.gw.ansible_port": int64(2222),
	} {
		got, err := vars.Eval(tmpl("{{ " + text + " }}"))
		if err != nil || got != want {
			t.Errorf("%s: got %#v, %v; want %#v", text, got, err, want)
		}
	}
}

package inventory

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"farm/inventory/source"
	"farm/inventory/value"
)

func tmpl(text string) value.Template { return value.Template{Text: text} }

// write makes a folder of files; names end in their paths.
func write(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func expandText(t testing.TB, text string, o ExpandOptions, more ...string) ([]VM, *Inventory, error) {
	t.Helper()
	files := map[string]string{"inventory.yaml": text}
	for i := 0; i+1 < len(more); i += 2 {
		files[more[i]] = more[i+1]
	}
	dir := write(t, files)
	inv, err := Load(filepath.Join(dir, "inventory.yaml"), Options{})
	if err != nil {
		return nil, nil, strip(err, dir)
	}
	vms, err := inv.Expand(context.Background(), o)
	return vms, inv, strip(err, dir)
}

type plainError string

func (e plainError) Error() string { return string(e) }

func strip(err error, dir string) error {
	if err == nil {
		return nil
	}
	return plainError(strings.ReplaceAll(err.Error(), dir+"/", ""))
}

func ids(vms []VM) string {
	var out []string
	for _, vm := range vms {
		out = append(out, vm.ID)
	}
	return strings.Join(out, " ")
}

const someDefinitions = `
platforms:
  p1: {ram: 111}
  p2: {ram: 222}
targets:
  t1: {arch: x86_64}
  t2: {arch: aarch64}
`

func TestConfigOrderAndMerging(t *testing.T) {
	for name, c := range map[string]struct{ config, want string }{
		"permutations are platform-major": {"permutations: {platforms: [p1, p2], targets: [t1, t2]}", "p1/t1 p1/t2 p2/t1 p2/t2"},
		"list first":                      {"{permutations: {platforms: [p1], targets: [t1, t2]}, list: [{platform: p2, target: t1}]}", "p2/t1 p1/t1 p1/t2"},
		"equal pairs merge":               {"{permutations: {platforms: [p1], targets: [t1, t2]}, list: [{platform: p1, target: t2, template: x}]}", "p1/t2 p1/t1"},
		"only platforms":                  {"permutations: {platforms: [p1]}", ""},
		"empty":                           {"{}", ""},
		"count":                           {"list: [{platform: p1, target: t1, count: 3}]", "p1/t1#1 p1/t1#2 p1/t1#3"},
		"count of one":                    {"list: [{platform: p1, target: t1, count: 1}]", "p1/t1"},
		"exclude":                         {"{permutations: {platforms: [p1, p2], targets: [t1, t2]}, exclude: ['p1/t2', '*2/t1']}", "p1/t1 p2/t2"},
		"text for a list":                 {"permutations: {platforms: p1, targets: 't1, t2'}", "p1/t1 p1/t2"},
		"template":                        {`permutations: {platforms: [p1], targets: "{{ ['t2'] + ['t1'] }}"}`, "p1/t2 p1/t1"},
	} {
		t.Run(name, func(t *testing.T) {
			config := c.config
			if !strings.HasPrefix(config, "{") {
				config = "{" + config + "}"
			}
			vms, _, err := expandText(t, "all: {hosts: {localhost: {config: "+config+"}}}\n"+someDefinitions, ExpandOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if got := ids(vms); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestListItemKeysReachTheVM(t *testing.T) {
	vms, inv, err := expandText(t, `
all: {hosts: {localhost: {config: {
  permutations: {platforms: [p1], targets: [t1]},
  list: [{platform: p1, target: t1, template: mine, requires: "kvm & big", vars: {color: red}, vcpus: 7, metadata: {hostname: "{{ color }}.x"}}]}}}}
`+someDefinitions, ExpandOptions{})
	if err != nil || len(vms) != 1 {
		t.Fatal(ids(vms), err)
	}
	vm := vms[0]
	if vm.Def.Metadata.Template != "mine" || vm.Def.Requires != "kvm & big" || vm.Def.VCPUs != 7 || vm.Def.Metadata.Hostname != "red.x" || vm.Def.RAMMiB != 111 {
		t.Errorf("got %+v", vm.Def)
	}
	if v, _, err := inv.VMVars(vm).Get("color"); v != "red" || err != nil {
		t.Errorf("color is %v, %v", v, err)
	}
}

func TestMergeOrder(t *testing.T) {
	vms, _, err := expandText(t, `
all: {hosts: {localhost: {ansible_libvirt_uri: "qemu:///system", config: {permutations: {platforms: [plat], targets: [tgt]}}}}}
targets:
  tgt: {vcpus: 1, machine: virt, firmware: /F, arch: aarch64}
platforms:
  plat: {ram: 111, metadata: {platform_name: renamed, sources: [{on_provision: {src: a, dest: b}}]}}
`, ExpandOptions{})
	if err != nil {
		t.Fatal(err)
	}
	vm := vms[0]
	d := vm.Def
	got := fmt.Sprint(d.VCPUs, d.Machine, d.Firmware.Loader, d.RAMMiB, len(d.Metadata.Sources), d.Metadata.Hostname, d.Metadata.Connection, vm.Name, vm.Platform, vm.Groups, vm.ID)
	want := fmt.Sprint(1, "virt", "/F", 111, 1, "vm.tgt.plat", "qemu:///system", "VM plat_tgt", "renamed", []string{"vms", "VM plat_tgt", "renamed", "tgt"}, "plat/tgt")
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// The MACs are those that ansible's random_mac gives for the names.
func TestDefaultsAreDeterministic(t *testing.T) {
	vms, _, err := expandText(t, "all: {hosts: {localhost: {config: {list: [{platform: debian_12, target: amd64}, {platform: debian_12, target: arm64}, {platform: debian_12, target: ppc64}, {platform: Arch-Linux, target: amd64}]}}}}\n", ExpandOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"52:54:00:e6:bb:84", "52:54:00:2c:08:e7", "52:54:00:b8:8c:28", "52:54:00:bc:53:10"}
	for i, vm := range vms {
		if vm.Def.Net[0].MAC != want[i] {
			t.Errorf("%s: MAC %s, want %s", vm.Name, vm.Def.Net[0].MAC, want[i])
		}
	}
}

func TestPresetPortIsForwarded(t *testing.T) {
	vms, _, err := expandText(t, `
all:
  hosts:
    localhost: {config: {list: [{platform: p1, target: t1}, {platform: p2, target: t1}]}}
    VM p1_t1: {ansible_port: 2201}
`+someDefinitions, ExpandOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := vms[0].Def.Net[0].Source; got != "hostfwd=tcp:127.0.0.1:2201-:22" {
		t.Errorf("got %q", got)
	}
	if got := vms[1].Def.Net[0].Source; got != "" {
		t.Errorf("without a port: %q", got)
	}
}

func TestGroupVariablesOfVMs(t *testing.T) {
	vms, inv, err := expandText(t, `
all:
  hosts: {localhost: {config: {permutations: {platforms: [p1, p2], targets: [t1, t2]}}}}
  children:
    t2: {vars: {snapshot_type: external, both: from t2}}
    vms: {vars: {snapshot_type: internal, project_id: x, both: from vms, port: "{{ 1 + 1 }}"}}
    family: {children: {p1: }, vars: {kin: true}}
`+someDefinitions, ExpandOptions{}, "group_vars/p2.yaml", "wait: true\n", "host_vars/VM p2_t2.yaml", "mine: 1\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		vm   int
		name string
		want any
	}{
		// Groups of one depth merge by name, so vms is over t2, as in Ansible.
		{1, "both", "from vms"}, {1, "project_id", "x"}, {1, "kin", true}, {2, "kin", nil}, {2, "wait", true}, {0, "wait", nil},
		{3, "mine", int64(1)}, {0, "port", int64(2)}, {0, "inventory_hostname", "VM p1_t1"},
	} {
		got, _, err := inv.VMVars(vms[c.vm]).Get(c.name)
		if err != nil || got != c.want {
			t.Errorf("%s of %s: got %v, %v; want %v", c.name, vms[c.vm].ID, got, err, c.want)
		}
	}
	if strings.Join(vms[0].Groups, ",") != "vms,VM p1_t1,p1,t1,family" {
		t.Errorf("groups %v", vms[0].Groups)
	}
	v, err := inv.HostVars("localhost").Eval(tmpl("{{ groups['vms'] | length }} {{ hostvars['VM p2_t2'].mine }}"))
	if err != nil || v != "4 1" {
		t.Errorf("seen from localhost: %v, %v", v, err)
	}
}

func TestHostsThatJoinGroupsSeeTheirVariables(t *testing.T) {
	vms, inv, err := expandText(t, `
all:
  hosts: {localhost: {config: {permutations: {platforms: [p1], targets: [t1]}}}, known: {own: host}}
  vars: {both: all}
  children: {top: {vars: {above: top, both: top, own: group}, children: {low: {vars: {kind: low, snapshot_type: none}}}}}
`+someDefinitions, ExpandOptions{}, "group_vars/filed.yaml", "filed: 1\n")
	if err != nil {
		t.Fatal(err)
	}
	vm := vms[0].Name
	for _, c := range []struct {
		host, groups, name string
		want               any
	}{
		{"new", "low", "kind", "low"}, {"new", "low", "above", "top"}, {"new", "low", "both", "top"}, {"new", "other", "both", "all"}, {"new", "filed", "filed", int64(1)},
		{"known", "low", "own", "host"}, {"known", "low", "kind", "low"}, {"new", "filed low", "kind", "low"}, {vm, "low", "kind", "low"}, {vm, "low", "inventory_hostname", vm},
		{"new", "low", "inventory_hostname", "new"},
	} {
		vars, all := inv.Joined(c.host, strings.Fields(c.groups))
		if got, _, err := vars.Get(c.name); err != nil || got != c.want {
			t.Errorf("%s in %s: %s is %v, %v; want %v", c.host, c.groups, c.name, got, err, c.want)
		}
		if low := strings.Contains(c.groups, "low"); slices.Contains(all, "top") != low || slices.Contains(all, "all") {
			t.Errorf("%s is in %v", c.groups, all)
		}
		names, _ := vars.Eval(tmpl("{{ 'top' in group_names }}"))
		if want := strings.Contains(c.groups, "low"); names != want {
			t.Errorf("%s in %s: top among group_names: %v", c.host, c.groups, names)
		}
	}
}

func TestLimitSelects(t *testing.T) {
	for pattern, want := range map[string]string{
		"p1/t1": "p1/t1#1 p1/t1#2", "p1/t1#2": "p1/t1#2", "*/t2": "p2/t2", "p2": "p2/t2", "t1:!*#1": "p1/t1#2",
		"VM p2_t2": "p2/t2", "vms:&p1": "p1/t1#1 p1/t1#2", "none": "", "~p[23]": "p2/t2",
	} {
		vms, _, err := expandText(t, "all: {hosts: {localhost: {config: {list: [{platform: p1, target: t1, count: 2}, {platform: p2, target: t2}]}}}}\n"+someDefinitions, ExpandOptions{Limit: pattern})
		if err != nil || ids(vms) != want {
			t.Errorf("%s: got %s, %v; want %s", pattern, ids(vms), err, want)
		}
	}
}

func TestConfigOnHypervisorPins(t *testing.T) {
	vms, inv, err := expandText(t, `
all:
  hosts: {localhost: {config: {list: [{platform: p1, target: t1}]}}}
  children:
    hypervisors:
      hosts: {h1: {ansible_libvirt_uri: "test:///a"}, h2: {ansible_host: 10.0.0.2, ansible_port: 2222, locked: broken fan, labels: [big], capacity: {vms: 3}}}
      vars: {config: {list: [{platform: p2, target: t2}]}}
`+someDefinitions, ExpandOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := ids(vms); got != "p1/t1 p2/t2@h1 p2/t2@h2" {
		t.Errorf("got %s", got)
	}
	if vms[0].Host != "" || vms[1].Host != "h1" || vms[1].Def.Metadata.Connection != "test:///a" || vms[1].Name == vms[2].Name {
		t.Errorf("got %+v", vms)
	}
	placed, err := inv.Place(context.Background(), vms[0], "h1", ExpandOptions{Facts: func(string) *value.Dict {
		return value.NewDict("ansible_env", value.NewDict("HOME", "/home/x"))
	}})
	if err != nil || placed.Host != "h1" || placed.ID != "p1/t1" || placed.Def.Metadata.TmpDir != "/home/x/tmp/" || placed.Def.Metadata.Connection != "test:///a" {
		t.Errorf("placed %+v, %v", placed, err)
	}
	hs, err := inv.Hypervisors()
	if err != nil || len(hs) != 2 || hs[1].Locked != "broken fan" || hs[1].Port != 2222 || hs[1].VMs != 3 || hs[1].Labels[0] != "big" || hs[0].Connection != "ssh" {
		t.Errorf("hypervisors %+v, %v", hs, err)
	}
}

func TestConfigFromAllIsAskedForOnce(t *testing.T) {
	vms, _, err := expandText(t, "all: {vars: {config: {list: [{platform: p1, target: t1}]}}, children: {hypervisors: {hosts: {h1: , h2: }}}}\n"+someDefinitions, ExpandOptions{})
	if err != nil || ids(vms) != "p1/t1" || vms[0].Host != "" {
		t.Errorf("got %s, %v", ids(vms), err)
	}
}

func TestBadInput(t *testing.T) {
	list := func(item string) string {
		return "all:\n  hosts:\n    localhost:\n      config:\n        list:\n          - " + item + "\n" + someDefinitions
	}
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"group key":        {"all:\n  host:\n    a:\n", []string{`inventory.yaml:2:3: unknown key "host" in group "all" (did you mean "hosts"?)`}},
		"several at once":  {"all:\n  hosts: [a]\n  vars: x\nb:\n  kids:\n", []string{"inventory.yaml:2:3: hosts of group \"all\" is a list", "inventory.yaml:3:3: vars of", "inventory.yaml:5:3: unknown key \"kids\""}},
		"config key":       {"all: {hosts: {localhost: {config: {permutation: {}}}}}\n", []string{`unknown key "permutation" (did you mean "permutations"?)`}},
		"item key":         {list("{platform: p1, target: t1, cuont: 2}"), []string{`inventory.yaml:6:40: unknown key "cuont" (did you mean "count"?)`}},
		"item missing":     {list("{platform: p1}"), []string{`inventory.yaml:6:13: "target" is missing`}},
		"wrong type":       {list("{platform: p1, target: t1, count: many}"), []string{"inventory.yaml:6:47: count is text, not a whole number"}},
		"list of text":     {list("p1"), []string{"list[0] is text, not a mapping"}},
		"unknown platform": {list("{platform: p3, target: t1}"), []string{`inventory.yaml:6:24: unknown platform "p3"`, "setup_vm/platforms", `did you mean "p`}},
		"unknown target":   {list("{platform: p1, target: amd46}"), []string{`inventory.yaml:6:36: unknown target "amd46"`, `did you mean "amd64"?`}},
		"escaping name":    {list("{platform: ../../etc/x, target: t1}"), []string{"is no name of a platform"}},
		"undefined":        {list(`{platform: p1, target: t1, machine: "{{ nowhere }}"}`), []string{"inventory.yaml:6:53:", "nowhere"}},
		"recursion":        {"all:\n  vars: {x: \"{{ y }}\", y: \"{{ x }}\"}\n  hosts: {localhost: {config: {list: [{platform: p1, target: t1, machine: \"{{ x }}\"}]}}}\n" + someDefinitions, []string{"inventory.yaml:"}},
		"syntax":           {list(`{platform: p1, target: t1, machine: "{{ x"}`), []string{"inventory.yaml:6:50:"}},
		"duplicate":        {"all:\n  vars:\n    a: 1\n    a: 2\n", []string{`inventory.yaml:4:5: duplicate key "a" (first given at line 3)`}},
		"tab":              {"all:\n\tvars:\n", []string{"inventory.yaml:2:1: a tab in the indentation"}},
		"definition key":   {"all: {hosts: {localhost: {config: {list: [{platform: q, target: t1}]}}}}\nplatforms:\n  q:\n    vcpu: 2\ntargets: {t1: {arch: x86_64}}\n", []string{`inventory.yaml:4:5: unknown key "vcpu" (did you mean "vcpus"?)`}},
		"definition type":  {"all: {hosts: {localhost: {config: {list: [{platform: q, target: t1}]}}}}\nplatforms:\n  q:\n    ram: lots\ntargets: {t1: {arch: x86_64}}\n", []string{"inventory.yaml:4:10: ram is text, not a whole number"}},
		"own ancestor":     {"a: {children: {b: {children: {a: }}}}\n", []string{"contains itself"}},
		"extends itself":   {"all: {hosts: {localhost: {config: {list: [{platform: a, target: t1}]}}}}\nplatforms: {a: {extends: b}, b: {extends: a}}\ntargets: {t1: {arch: x}}\n", []string{`platform "a" extends itself`}},
		"range":            {"all: {hosts: {\"a[9:1]\": }}\n", []string{`host range "a[9:1]"`}},
		"too many":         {"all: {hosts: {localhost: {config: {list: [{platform: p1, target: t1, count: 1000000}]}}}}\n" + someDefinitions, []string{"more than 200000 VMs"}},
		"no arch":          {"all: {hosts: {localhost: {config: {list: [{platform: a, target: b}]}}}}\nplatforms: {a: {}}\ntargets: {b: {}}\n", []string{`target "b" sets no arch`}},
		"insert":           {"all: {hosts: {localhost: {config: {list: [{platform: a, target: amd64}]}}}}\nplatforms: {a: {extends: debian_12, insert: {after: fecth, callback: x}}}\n", []string{`no callback "fecth"`, `did you mean "fetch"?`}},
		"same names":       {"all: {hosts: {localhost: {config: {permutations: {platforms: [a], targets: [amd64, arm64]}}}}}\nplatforms: {a: {metadata: {name: x}}}\n", []string{"have the same name \"x\""}},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := expandText(t, c.text, ExpandOptions{})
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %v\nwant %s", err, want)
				}
			}
		})
	}
}

func TestVariableFilesAreChecked(t *testing.T) {
	dir := write(t, map[string]string{"inventory.yaml": "web: {hosts: {a: }}\n", "group_vars/web.yaml": "a: 1\na: 2\n", "host_vars/a/x.yml": "- 1\n"})
	_, err := Load(filepath.Join(dir, "inventory.yaml"), Options{})
	if len(source.Flatten(err)) != 2 || !strings.Contains(err.Error(), "web.yaml:2:1: duplicate") || !strings.Contains(err.Error(), "x.yml:1:1: the file holds a list") {
		t.Errorf("got %v", err)
	}
}

func TestExtraForms(t *testing.T) {
	file := filepath.Join(write(t, map[string]string{"v.yaml": "a: file\n"}), "v.yaml")
	for text, want := range map[string]string{
		"a=1 b='two words' c={{ 1 + 1 }}": `{"a":"1","b":"two words","c":"{{ 1 + 1 }}"}`, `{"a": [1]}`: `{"a":[1]}`, "@" + file: `{"a":"file"}`,
		`a="x=y" b=`: `{"a":"x=y","b":""}`,
	} {
		d, err := ParseExtra(text)
		if err != nil || value.Text(d) != want {
			t.Errorf("%s: got %s, %v", text, value.Text(d), err)
		}
	}
	for _, text := range []string{"novalue", "a='x", "@/nonexistent", "[1]"} {
		if _, err := ParseExtra(text); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
}

// Many wishes are granted by several goroutines.
func TestExpandKeepsTheOrderOfManyWishes(t *testing.T) {
	platforms := make([]string, 200)
	list := func(bad ...int) string {
		var wishes, want strings.Builder
		for i := range platforms {
			platforms[i] = fmt.Sprintf("  q%d: {ram: %d}\n", i, i+1)
			fmt.Fprintf(&wishes, "{platform: q%d, target: t1, count: 2}, ", i)
			fmt.Fprintf(&want, "q%d/t1#1 q%d/t1#2 ", i, i)
		}
		for _, i := range bad {
			platforms[i] = fmt.Sprintf("  q%d: {ram: wide}\n", i)
		}
		vms, _, err := expandText(t, "all: {hosts: {localhost: {config: {list: ["+wishes.String()+"]}}}}\n"+
			"targets: {t1: {arch: x86_64}}\nplatforms:\n"+strings.Join(platforms, ""), ExpandOptions{})
		if len(bad) > 0 {
			return fmt.Sprint(err)
		}
		if got := ids(vms); got != strings.TrimSpace(want.String()) || err != nil {
			t.Errorf("got %s, %v", got, err)
		}
		return ""
	}
	list()
	if got := list(150, 7); strings.Count(got, "ram is text") != 2 || strings.Index(got, ":11:") > strings.Index(got, ":154:") {
		t.Errorf("two faults: %s", got)
	}
}

// Ansible goes through a group's sections in the order of the file.
func TestOfAHostThatIsNamedTwiceTheLaterVariablesWin(t *testing.T) {
	for text, want := range map[string]string{
		"all: {children: {web: {hosts: {h: {k: web}}, children: {c: {hosts: {h: {k: c}}}}}}}":            "c",
		"all: {children: {web: {children: {c: {hosts: {h: {k: c}}}}, hosts: {h: {k: web}}}}}":            "web",
		"all: {hosts: {h: {k: all}}, children: {c: {hosts: {h: {k: c}}}, b: {hosts: {h: {k: b}}}}}":      "b",
		"all: {vars: {k: x}, children: {c: {hosts: {h: {k: c}}, vars: {k: y}}}, hosts: {h: {l: \"1\"}}}": "c",
	} {
		_, inv, err := expandText(t, text, ExpandOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := inv.RawHostVars("h").Get("k"); got != want {
			t.Errorf("%s: %v, want %s", text, got, want)
		}
	}
}

// Every group of a row is above both of the next: there are 2^40 ways down.
func TestManyWaysToAGroupCostNoTime(t *testing.T) {
	var b strings.Builder
	b.WriteString("all:\n  children:\n")
	for i := range 40 {
		for _, side := range "ab" {
			fmt.Fprintf(&b, "    %c%d: {children: {a%d: {}, b%d: {}}}\n", side, i, i+1, i+1)
		}
	}
	b.WriteString("    a40: {hosts: {h: {}}, vars: {k: low}}\n")
	_, inv, err := expandText(t, b.String(), ExpandOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := inv.RawHostVars("h").Get("k"); got != "low" {
		t.Errorf("k is %v", got)
	}
}

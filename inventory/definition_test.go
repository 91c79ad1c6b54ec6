package inventory

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"farm/inventory/value"
)

func TestNativeExtendsAndEdits(t *testing.T) {
	vms, _, err := expandText(t, `
all: {hosts: {localhost: {config: {list: [{platform: child, target: t1}]}}}}
targets: {t1: {arch: x86_64}}
`, ExpandOptions{}, "setup_vm/platforms/base.yaml", `
vars: {version: "11", size: 1G, url: "http://x/{{ version }}"}
metadata:
  sources:
    - before_provision:
        - {callback: callbacks/sources/fetch.yaml, src: "{{ url }}"}
        - {callback: copy, src: a, dest: b}
disks: [{src: a}]
net: {type: user}
`, "setup_vm/platforms/child.yml", `
extends: base
vars: {version: "12"}
sources+: [{on_provision: {src: x, dest: y}}]
insert:
  - {after: fetch, callback: extend_and_convert, size: "{{ size }}"}
  - {before: copy, callback: second}
disks+: [{src: b, readonly: true}]
net+: {type: user}
`)
	if err != nil {
		t.Fatal(err)
	}
	d := vms[0].Def
	var names []string
	for _, task := range d.Metadata.Sources[0].BeforeProvision {
		names = append(names, task.Callback)
	}
	first := d.Metadata.Sources[0].BeforeProvision
	if strings.Join(names, " ") != "callbacks/sources/fetch.yaml extend_and_convert second copy" || value.Text(get(first[0].Args, "src")) != "http://x/12" ||
		value.Text(get(first[1].Args, "size")) != "1G" || len(d.Metadata.Sources) != 2 || len(d.Disks) != 2 || !d.Disks[1].ReadOnly || len(d.Net) != 2 {
		t.Errorf("got %v %+v", names, d)
	}
}

func TestUserDefinitionMayExtendItsBuiltInNamesake(t *testing.T) {
	vms, _, err := expandText(t, "all: {hosts: {localhost: {config: {list: [{platform: p1, target: amd64}]}}}, vars: {parse_lookup_dir_path: defs}}\n"+someDefinitions,
		ExpandOptions{}, "defs/targets/amd64.yaml", "extends: amd64\ncpu: host\n")
	if err != nil || vms[0].Arch != "x86_64" || vms[0].Def.CPU != "host" || vms[0].Def.Machine != "q35" {
		t.Errorf("got %+v, %v", vms, err)
	}
}

func TestTaskFileDefinition(t *testing.T) {
	run := func(_ context.Context, r DefinitionRequest) (DefinitionFacts, error) {
		vm, err := r.Vars.Eval(tmpl("{{ vm.metadata.platform_name }} {{ vm.arch }} on {{ inventory_hostname }}"))
		if err != nil {
			return DefinitionFacts{}, err
		}
		return DefinitionFacts{
			Facts: value.NewDict("vm", value.NewDict("machine", vm, "ram", int64(7))),
			Hosts: map[string]*value.Dict{"VM tasks_t1": value.NewDict("ansible_port", int64(4242))},
		}, nil
	}
	text := "all: {hosts: {localhost: {config: {list: [{platform: tasks, target: t1}]}}}}\n" + someDefinitions
	vms, _, err := expandText(t, text, ExpandOptions{Run: run}, "setup_vm/platforms/tasks.yaml", "- debug:\n")
	if err != nil || vms[0].Def.Machine != "tasks x86_64 on localhost" || vms[0].Def.RAMMiB != 7 || vms[0].Def.Net[0].Source != "hostfwd=tcp:127.0.0.1:4242-:22" {
		t.Errorf("got %+v, %v", vms, err)
	}
	_, _, err = expandText(t, text, ExpandOptions{}, "setup_vm/platforms/tasks.yaml", "- debug:\n")
	if err == nil || !strings.Contains(err.Error(), "cannot run here") {
		t.Errorf("without a runner: %v", err)
	}
}

func TestVMsOfACountHaveTheHostnameThatTheDefinitionGives(t *testing.T) {
	hostnames := func(item string) string {
		vms, inv, err := expandText(t, "all: {hosts: {localhost: {config: {list: ["+item+"]}}}}\n"+someDefinitions, ExpandOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, vm := range vms {
			placed, err := inv.Place(t.Context(), vm, "localhost", ExpandOptions{})
			if err != nil || placed.Def.Metadata.Hostname != vm.Def.Metadata.Hostname {
				t.Errorf("%s is %q when placed, %v", vm.ID, placed.Def.Metadata.Hostname, err)
			}
			index, _, err := inv.VMVars(vm).Get("vm_index")
			names = append(names, fmt.Sprint(vm.Def.Metadata.Hostname, "/", index))
			if raw, _ := get(vm.Def.Raw, "metadata").(*value.Dict); err != nil || get(raw, "hostname") != vm.Def.Metadata.Hostname {
				t.Errorf("%s: %v in vm, %v", vm.ID, get(raw, "hostname"), err)
			}
		}
		return strings.Join(names, " ")
	}
	for name, c := range map[string]struct{ item, want string }{
		"alone":       {"{platform: p1, target: t1}", "vm.t1.p1/1"},
		"count of 1":  {"{platform: p1, target: t1, count: 1}", "vm.t1.p1/1"},
		"count":       {"{platform: p1, target: t1, count: 2}", "vm.t1.p1/1 vm.t1.p1/2"},
		"own name":    {"{platform: p1, target: t1, count: 2, metadata: {hostname: web12.example.org}}", "web12.example.org/1 web12.example.org/2"},
		"own pattern": {`{platform: p1, target: t1, count: 2, metadata: {hostname: "n{{ '%02d' % vm_index }}"}}`, "n01/1 n02/2"},
		"only number": {`{platform: p1, target: t1, metadata: {hostname: "n{{ vm_index }}"}}`, "n1/1"},
	} {
		if got := hostnames(c.item); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}

package inventory

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"farm/inventory/source"
	"farm/inventory/value"
)

// fakeTasks runs the few kinds of tasks that definitions consist of: blocks, set_fact,
// add_host and import_tasks.
type fakeTasks struct {
	t     *testing.T
	got   DefinitionFacts
	facts *value.Dict
}

func runFakeTasks(t *testing.T) DefinitionRunner {
	return func(_ context.Context, r DefinitionRequest) (DefinitionFacts, error) {
		f := &fakeTasks{t: t, facts: value.NewDict(), got: DefinitionFacts{Hosts: map[string]*value.Dict{}}}
		err := f.file(r.Path, r, nil)
		f.got.Facts = f.facts
		return f.got, err
	}
}

func (f *fakeTasks) file(path string, r DefinitionRequest, vars *value.Dict) error {
	file, err := source.ReadFile(path)
	if err != nil {
		return err
	}
	if file.Root.Kind != yaml.SequenceNode {
		f.t.Fatalf("%s is no list", path)
	}
	v, err := value.FromNode(file, file.Root)
	if err != nil {
		return err
	}
	return f.tasks(path, v.([]any), r, vars)
}

func (f *fakeTasks) tasks(path string, tasks []any, r DefinitionRequest, vars *value.Dict) error {
	for _, one := range tasks {
		task := one.(*value.Dict)
		scope := vars.Copy()
		own, _ := get(task, "vars").(*value.Dict)
		lay(scope, own)
		see := r.Vars.With(f.facts, scope)
		for _, key := range task.Keys() {
			arg, _ := task.Get(key)
			var err error
			switch key {
			case "name", "vars":
			case "block":
				err = f.tasks(path, arg.([]any), r, scope)
			case "import_tasks":
				err = f.file(filepath.Join(filepath.Dir(path), arg.(string)), r, scope)
			case "set_fact", "add_host":
				var v any
				if v, err = see.Eval(arg); err != nil {
					break
				}
				d := v.(*value.Dict)
				if key == "set_fact" {
					lay(f.facts, d)
					break
				}
				f.got.Hosts[value.Text(get(d, "name"))] = value.NewDict("ansible_port", get(d, "ansible_port"))
			default:
				f.t.Fatalf("%s: the fake has no %q", path, key)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func TestOldFormExpandsToItsFourVMs(t *testing.T) {
	dir := "../examples/ansible_farm_compat"
	inv, err := Load(filepath.Join(dir, "hosts.yaml"), Options{Vars: []string{filepath.Join(dir, "vars/vde.yaml")}})
	if err != nil {
		t.Fatal(err)
	}
	o := ExpandOptions{Run: runFakeTasks(t), Facts: func(host string) *value.Dict {
		arch := "x86_64"
		if strings.HasPrefix(host, "rpi") {
			arch = "aarch64"
		}
		return value.NewDict("ansible_architecture", arch, "ansible_env", value.NewDict("HOME", "/home/user"))
	}}
	vms, err := inv.Expand(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	if got := ids(vms); got != "Arch-Linux/amd64 debian_12/amd64 debian_12/arm64 debian_12/ppc64" {
		t.Fatalf("got %s", got)
	}
	want := []struct {
		name, arch, domain, cpu, mac string
		port                         string
		ram, callbacks               int
	}{
		{"VM Arch-Linux_amd64", "x86_64", "kvm", "", "52:54:00:bc:53:10", "23465", 2048, 3},
		{"VM debian_12_amd64", "x86_64", "kvm", "", "52:54:00:e6:bb:84", "50205", 1536, 4},
		{"VM debian_12_arm64", "aarch64", "qemu", "cortex-a53", "52:54:00:2c:08:e7", "4480", 1536, 4},
		{"VM debian_12_ppc64", "ppc64le", "qemu", "POWER9", "52:54:00:b8:8c:28", "38081", 1536, 4},
	}
	for i, vm := range vms {
		w, d := want[i], vm.Def
		port, _, err := inv.VMVars(vm).Get("ansible_port")
		if err != nil || value.Text(port) != w.port {
			t.Errorf("%s: port %v, %v", vm.ID, port, err)
		}
		if vm.Name != w.name || vm.Arch != w.arch || d.VirtDomain != w.domain || d.CPU != w.cpu || d.Net[0].MAC != w.mac || d.VCPUs != 2 ||
			d.RAMMiB != w.ram || d.Net[0].Source != "hostfwd=tcp:127.0.0.1:"+w.port+"-:22" || len(d.Metadata.Sources[0].BeforeProvision) != w.callbacks {
			t.Errorf("%s: got %+v", vm.ID, d)
		}
		text, err := json.Marshal(d.Raw)
		if err != nil || value.IsTemplate(string(text)) {
			t.Errorf("%s has expressions left: %s, %v", vm.ID, text, err)
		}
		project, _, _ := inv.VMVars(vm).Get("project_id")
		if project != "example_04.vde" {
			t.Errorf("%s: project %v", vm.ID, project)
		}
		snapshots, _, _ := inv.VMVars(vm).Get("snapshot_type")
		if (snapshots == "external") != (vm.Target == "arm64") {
			t.Errorf("%s: snapshot_type %v", vm.ID, snapshots)
		}
		wait, _, _ := inv.VMVars(vm).Get("wait_until_port_reachable")
		if (wait == true) != (vm.Platform == "Arch-Linux") {
			t.Errorf("%s: wait_until_port_reachable %v", vm.ID, wait)
		}
	}
	var callbacks []string
	for _, task := range vms[2].Def.Metadata.Sources[0].BeforeProvision {
		callbacks = append(callbacks, shortName(task.Callback))
	}
	if got := strings.Join(callbacks, " "); got != "fetch copy extend_and_convert setup_image" {
		t.Errorf("callbacks %s", got)
	}
	if vms[2].Def.Firmware.Loader != "/usr/share/AAVMF/AAVMF_CODE.fd" || vms[3].Def.DefaultBus != "pci.0" {
		t.Errorf("firmware %+v, bus %q", vms[2].Def.Firmware, vms[3].Def.DefaultBus)
	}
	if got := value.Text(get(vms[1].Def.Metadata.Sources[0].BeforeProvision[0].Args, "src")); got != "https://cdimage.debian.org/cdimage/cloud/bookworm/daily/20230403-1339/debian-12-nocloud-amd64-daily-20230403-1339.qcow2" {
		t.Errorf("source %s", got)
	}
	placed, err := inv.Place(context.Background(), vms[2], "rpi_4_arm64", o)
	if err != nil || placed.Def.VirtDomain != "kvm" {
		t.Errorf("on the arm64 host: %q, %v", placed.Def.VirtDomain, err)
	}
}

// TestCatalogueExpands evaluates every built-in platform on every target that it is for.
func TestCatalogueExpands(t *testing.T) {
	for platform, targets := range map[string]string{
		"debian_12": "amd64, arm64, ppc64le", "debian_13": "amd64, arm64, ppc64el", "ubuntu_22_04": "amd64, arm64, armhf, ppc64le, riscv64, s390x",
		"ubuntu_24_04": "amd64, arm64, armhf, ppc64le, riscv64, s390x", "fedora_42": "amd64, arm64, ppc64le, s390x",
		"centos_stream_9": "amd64, arm64, ppc64le, s390x", "centos_stream_10": "amd64, arm64, ppc64le, s390x",
		"rocky_9": "amd64, arm64, ppc64le, s390x", "rocky_10": "amd64, arm64, ppc64le, s390x", "almalinux_9": "amd64, arm64, ppc64le, s390x",
		"almalinux_10": "amd64, arm64, ppc64le, s390x", "opensuse_leap_15_6": "amd64, arm64, ppc64le, s390x",
		"opensuse_tumbleweed": "amd64, arm64, ppc64le, riscv64, s390x", "alpine_3_22": "amd64, arm64", "arch": "amd64", "Arch-Linux": "amd64",
		"debian_bootstrap": "amd64, arm64, armhf, ppc64le, ppc64, riscv64", "debian_12_bootstrap": "amd64", "debian_13_bootstrap": "riscv64", "debian_sid_bootstrap": "amd64",
	} {
		vms, _, err := expandText(t, "all: {hosts: {localhost: {config: {permutations: {platforms: ["+platform+"], targets: ["+targets+"]}}}}}\n", ExpandOptions{})
		if err != nil {
			t.Errorf("%s: %v", platform, err)
			continue
		}
		for _, vm := range vms {
			first := vm.Def.Metadata.Sources[0].BeforeProvision[0]
			if first.Callback == "fetch" && (!strings.HasPrefix(value.Text(get(first.Args, "src")), "https://") || !strings.HasPrefix(value.Text(get(first.Args, "checksum")), "https://")) {
				t.Errorf("%s: %s", vm.ID, value.Text(first.Args))
			}
			if vm.Def.Disks[0].Src == "" || vm.Def.Net[0].Type != "user" {
				t.Errorf("%s: %+v", vm.ID, vm.Def)
			}
		}
	}
}

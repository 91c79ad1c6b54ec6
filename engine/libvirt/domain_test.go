package libvirt

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"farm/engine"
	"farm/inventory"

	"github.com/google/go-cmp/cmp"
	"libvirt.org/go/libvirtxml"
)

var update = flag.Bool("update", false, "write the golden files anew")

// someHost is a host that emulates and, for its own architecture, accelerates.
func someHost() engine.Capabilities {
	uefi := []inventory.Firmware{{Loader: "/fw/CODE.fd", NVRAMTemplate: "/fw/VARS.fd"}}
	return engine.Capabilities{Guests: map[string]engine.GuestSupport{
		"x86_64":  {Emulator: "/usr/bin/qemu-system-x86_64", KVM: true, Firmware: uefi},
		"aarch64": {Emulator: "/usr/bin/qemu-system-aarch64", Firmware: uefi},
		"ppc64le": {Emulator: "/usr/bin/qemu-system-ppc64"},
		"riscv64": {Emulator: "/usr/bin/qemu-system-riscv64"},
		"s390x":   {Emulator: "/usr/bin/qemu-system-s390x"},
	}}
}

func someSpec(arch string, def inventory.Definition) engine.MachineSpec {
	def.Arch = arch
	return engine.MachineSpec{
		Name: "farm-1-vm", Dir: "/pool/run", VM: inventory.VM{Def: def},
		Owner: engine.Owner{Run: "r1", VM: "debian/" + arch, User: "a@b", Dir: "/pool/run"},
		Disks: []engine.MachineDisk{{Path: "/pool/run/root.qcow2"}},
	}
}

// build does what Define does, without a host.
func build(spec engine.MachineSpec) (*libvirtxml.Domain, *mark, error) {
	k := &mark{Owner: spec.Owner, Made: time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC), Console: spec.Dir + "/console.log"}
	b := &builder{spec: spec, caps: someHost(), mark: k, uuid: "11111111-2222-4333-8444-555555555555"}
	if err := b.resolve(); err != nil {
		return nil, nil, err
	}
	if w := b.wishedPort(); w.any {
		if k.Port = w.port; k.Port == 0 {
			k.Port = 23456
		}
	}
	d, err := b.domain()
	return d, k, err
}

func TestDomainXML(t *testing.T) {
	kvm := someSpec("amd64", inventory.Definition{VCPUs: 2, RAMMiB: 2048, Firmware: inventory.Firmware{Loader: "auto"}})
	kvm.KVM = true
	disks := someSpec("x86_64", inventory.Definition{CPU: "qemu64", Console: "vnc"})
	disks.Disks = []engine.MachineDisk{
		{Path: "/p/a.qcow2", Disk: inventory.Disk{Cache: "unsafe", Serial: "root"}},
		{Path: "/p/b.img", Disk: inventory.Disk{Bus: "scsi", Type: "raw", ReadOnly: true}},
		{Path: "/p/c.qcow2", Disk: inventory.Disk{Bus: "sata", Boot: 1}},
		{Path: "/p/d,e.qcow2", Disk: inventory.Disk{Bus: "nvme", Boot: 2}},
	}
	template := someSpec("x86_64", inventory.Definition{Kernel: inventory.Kernel{Src: "/layer/vmlinuz", Initrd: "/layer/initrd"}})
	template.Disks[0].Src = "root.qcow2"
	template.TemplateXML = `<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><name>theirs</name>
		<metadata><x:y xmlns:x="urn:x">kept</x:y></metadata><memory unit='MiB'>512</memory>
		<os><type arch='x86_64' machine='pc'>hvm</type><kernel>/pool/vmlinuz</kernel><initrd>/pool/initrd</initrd></os>
		<cpu mode='host-passthrough' check='none'/>
		<devices><disk type='file' device='disk'><source file='/frozen/root.qcow2'/><target dev='vda' bus='virtio'/></disk></devices>
		<qemu:commandline><qemu:arg value='-netdev'/><qemu:arg value='user,id=n,hostfwd=tcp:127.0.0.1:8022-:22'/></qemu:commandline></domain>`
	cases := map[string]engine.MachineSpec{
		"amd64-kvm-uefi": kvm,
		"amd64-qemu":     someSpec("amd64", inventory.Definition{}),
		"amd64-disks":    disks,
		"arm64-qemu":     someSpec("arm64", inventory.Definition{}),
		"arm64-uefi-max": someSpec("arm64", inventory.Definition{CPU: "max", Firmware: inventory.Firmware{Loader: "auto"}}),
		"ppc64el-qemu":   someSpec("ppc64el", inventory.Definition{}),
		"riscv64-kernel": someSpec("riscv64", inventory.Definition{
			Metadata: inventory.Metadata{PoolDir: "/pool"},
			Kernel:   inventory.Kernel{Src: "Image", Initrd: "initrd", Params: "console=ttyS0"}}),
		"s390x-qemu": someSpec("s390x", inventory.Definition{}),
		"nets": someSpec("x86_64", inventory.Definition{Net: []inventory.Net{
			{Source: "net=10.9.0.0/24,hostfwd=tcp::8022-:22"}, {Type: "user"}, {Type: "vde", Source: "/run/a,b"},
			{Type: "network", Source: "default", MAC: "52:54:00:00:00:01"}, {Type: "bridge", Source: "br0"}, {Type: "ethernet", Source: "tap0"}}}),
		"shares":   someSpec("x86_64", inventory.Definition{Shares: []inventory.Share{{Src: "/src", Tag: "code", ReadOnly: true}, {Src: "/out"}}}),
		"template": template,
	}
	for name, spec := range cases {
		t.Run(name, func(t *testing.T) {
			d, _, err := build(spec)
			if err != nil {
				t.Fatal(err)
			}
			got, err := d.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name+".xml", got+"\n")
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Error(d)
	}
}

func TestDomainRefusals(t *testing.T) {
	cases := []struct {
		name string
		arch string
		def  inventory.Definition
		want string
	}{
		{"unknown architecture", "vax", inventory.Definition{}, `"aarch64"`},
		{"no firmware", "ppc64le", inventory.Definition{Firmware: inventory.Firmware{Loader: "auto"}}, "no UEFI"},
		{"lxc", "x86_64", inventory.Definition{VirtDomain: "lxc"}, "template"},
		{"net type", "x86_64", inventory.Definition{Net: []inventory.Net{{Type: "token-ring"}}}, "user, network"},
		{"net without source", "x86_64", inventory.Definition{Net: []inventory.Net{{Type: "bridge"}}}, "source is missing"},
		{"bad MAC", "x86_64", inventory.Definition{Net: []inventory.Net{{MAC: "nonsense"}}}, "no MAC"},
		{"relative share", "x86_64", inventory.Definition{Shares: []inventory.Share{{Src: "src"}}}, "absolute"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := build(someSpec(c.arch, c.def))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want something with %q", err, c.want)
			}
		})
	}
}

func TestReachedBy(t *testing.T) {
	cases := []struct {
		name string
		nets []inventory.Net
		port int
		addr string
	}{
		{"no card", nil, 23456, ""},
		{"preset forward", []inventory.Net{{Source: "hostfwd=tcp:127.0.0.1:8022-:22"}}, 8022, ""},
		{"static address", []inventory.Net{{Type: "bridge", Source: "b", IP: "10.1.2.3"}}, 0, "10.1.2.3:22"},
		{"user beside bridge", []inventory.Net{{Type: "bridge", Source: "b", IP: "10.1.2.3"}, {Type: "user"}}, 23456, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, k, err := build(someSpec("x86_64", inventory.Definition{Net: c.nets}))
			if err != nil || k.Port != c.port || k.Address != c.addr {
				t.Errorf("port %d, address %q, %v; want %d, %q", k.Port, k.Address, err, c.port, c.addr)
			}
		})
	}
}

func TestMarkSurvivesMetadata(t *testing.T) {
	k := mark{Owner: engine.Owner{Run: "r<1>", VM: "a&b", User: "u", Keep: true, Expires: time.Unix(1e9, 0).UTC(), Project: "p \"q\"", Inventory: "/a&b.yaml", Home: "/h"}, Port: 7, Console: "/c"}
	for _, text := range []string{k.bare(), k.prefixed()} {
		got, err := parseMark(text)
		got.XMLName = k.XMLName
		if err != nil || got != k {
			t.Errorf("%s: got %+v, %v", text, got, err)
		}
	}
}

func TestMoveForward(t *testing.T) {
	d, k, err := build(someSpec("x86_64", inventory.Definition{}))
	if err != nil {
		t.Fatal(err)
	}
	if !moveForward(d, k.Port, 24000) || moveForward(d, k.Port, 1) {
		t.Error("want one move from the old port and none after it")
	}
	text, _ := d.Marshal()
	if !strings.Contains(text, "hostfwd=tcp:127.0.0.1:24000-:22") {
		t.Error(text)
	}
}

func TestDiskLetters(t *testing.T) {
	for i, want := range map[int]string{0: "a", 25: "z", 26: "aa", 27: "ab", 701: "zz", 702: "aaa"} {
		if got := diskLetters(i); got != want {
			t.Errorf("%d: %q, want %q", i, got, want)
		}
	}
}

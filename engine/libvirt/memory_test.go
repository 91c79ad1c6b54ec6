package libvirt

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"farm/engine"
	"farm/engine/libvirt/savefile"
	"farm/inventory"

	"libvirt.org/go/libvirtxml"
)

// definitionOf is what farm defines for a machine.
func definitionOf(t *testing.T, name, dir string, port int, change func(*engine.MachineSpec)) string {
	t.Helper()
	spec := engine.MachineSpec{Name: name, Dir: dir, VM: inventory.VM{Arch: "x86_64"}, Disks: []engine.MachineDisk{{Path: dir + "/disk0.qcow2"}}}
	spec.VM.Def.VCPUs, spec.VM.Def.RAMMiB = 2, 512
	if change != nil {
		change(&spec)
	}
	k := mark{Port: port, Console: dir + "/console.log", Owner: engine.Owner{VM: name}}
	caps := engine.Capabilities{Guests: map[string]engine.GuestSupport{"x86_64": {Emulator: "/usr/bin/qemu-system-x86_64"}}}
	b := &builder{spec: spec, caps: caps, mark: &k, uuid: newUUID()}
	if err := b.resolve(); err != nil {
		t.Fatal(err)
	}
	d, err := b.domain()
	if err != nil {
		t.Fatal(err)
	}
	text, err := d.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func needsOf(t *testing.T, text string) map[string]string {
	t.Helper()
	var d libvirtxml.Domain
	if err := d.Unmarshal(text); err != nil {
		t.Fatal(err)
	}
	needs, err := definitionNeeds(&d)
	if err != nil {
		t.Fatal(err)
	}
	return needs
}

func TestMemoryFitsMachinesThatDifferInNamesOnly(t *testing.T) {
	saved := needsOf(t, definitionOf(t, "one", "/m/one", 20001, nil))
	for name, c := range map[string]struct {
		change func(*engine.MachineSpec)
		want   string
	}{
		"the same":     {nil, ""},
		"another file": {func(s *engine.MachineSpec) { s.Disks[0].Path = "/m/elsewhere.qcow2" }, ""},
		"vCPUs":        {func(s *engine.MachineSpec) { s.VM.Def.VCPUs = 1 }, `vCPUs was "2", is "1"`},
		"memory":       {func(s *engine.MachineSpec) { s.VM.Def.RAMMiB = 600 }, `memory was "512 MiB", is "600 MiB"`},
		"machine type": {func(s *engine.MachineSpec) { s.VM.Def.Machine = "pc" }, `machine type was "x86_64 q35", is "x86_64 pc"`},
		"CPU":          {func(s *engine.MachineSpec) { s.VM.Def.CPU = "qemu64" }, "CPU was "},
		"a disk more": {func(s *engine.MachineSpec) { s.Disks = append(s.Disks, engine.MachineDisk{Path: "/m/disk1.qcow2"}) },
			"defined in another way"},
		"a card more": {func(s *engine.MachineSpec) { s.VM.Def.Net = []inventory.Net{{Type: "user"}, {Type: "user"}} }, "defined in another way"},
		"a card that others see": {func(s *engine.MachineSpec) {
			s.VM.Def.Net = []inventory.Net{{Type: "user"}, {Type: "vde", MAC: "52:54:00:00:00:01"}}
		}, "defined in another way"},
	} {
		got := unlike(saved, needsOf(t, definitionOf(t, "two", "/m/two", 20002, c.change)))
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestMemoryNeedsTheSameMakers(t *testing.T) {
	want := map[string]string{"QEMU": "7.2.22", "definition": "a"}
	for name, c := range map[string]struct {
		have map[string]string
		want string
	}{
		"the same":     {map[string]string{"QEMU": "7.2.22", "definition": "a"}, ""},
		"another QEMU": {map[string]string{"QEMU": "8.0.0", "definition": "b"}, `QEMU was "7.2.22", is "8.0.0"`},
		"one more":     {map[string]string{"QEMU": "7.2.22", "definition": "a", hostCPU: "x"}, hostCPU + ` was "", is "x"`},
		"nothing":      {nil, `QEMU was "7.2.22", is ""`},
	} {
		if got := unlike(want, c.have); got != c.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestStartOfAMemoryIsReplaced(t *testing.T) {
	h, dir := testHost(t), t.TempDir()
	body := append(make([]byte, 92), "<domain>one</domain>\x00<cookie/>\x00\x00\x00\x00\x00\x00\x00"...)
	copy(body, "LibvirtQemudSave")
	for i, n := range []int{2, len(body) - 92, 1, 0, 21} {
		binary.LittleEndian.PutUint32(body[16+4*i:], uint32(n))
	}
	from, to := filepath.Join(dir, "memory"), filepath.Join(dir, "resume")
	if err := os.WriteFile(from, append(body, "QEMU's own"...), 0o400); err != nil {
		t.Fatal(err)
	}
	start, size, err := h.readStart(t.Context(), from)
	if err != nil || size != int64(len(body)+len("QEMU's own")) || start.Definition != "<domain>one</domain>" {
		t.Fatalf("%+v, %d, %v", start, size, err)
	}
	own, err := start.With("<domain>two!</domain>")
	if err != nil {
		t.Fatal(err)
	}
	if err := h.copyMemory(t.Context(), from, to, own); err != nil {
		t.Fatal(err)
	}
	copied, err := os.ReadFile(to)
	if err != nil || !strings.HasSuffix(string(copied), "QEMU's own") || len(copied) != int(size) {
		t.Fatalf("%q, %v", copied, err)
	}
	if again, err := savefile.Read(copied); err != nil || again.Definition != "<domain>two!</domain>" || again.Cookie != "<cookie/>" {
		t.Errorf("%+v, %v", again, err)
	}
	if st, err := os.Stat(to); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st, err)
	}
	h.remove(context.Background(), to)
	if _, err := os.Stat(to); !errors.Is(err, os.ErrNotExist) {
		t.Error("the copy is still there")
	}
	if err := os.WriteFile(to, []byte("no memory"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.readStart(t.Context(), to); !errors.Is(err, savefile.ErrFormat) {
		t.Errorf("another file: %v", err)
	}
}

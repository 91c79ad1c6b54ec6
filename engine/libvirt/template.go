package libvirt

import (
	"errors"
	"fmt"
	"path"
	"strconv"

	"farm/engine"

	"libvirt.org/go/libvirtxml"
)

// readTemplate parses the user's domain. What it says stands, but for the name, the
// UUID, farm's mark, the console log and the files of the disks, the kernel and the initrd,
// which farm manages. A domain of type kvm is emulated where a probe saw that KVM does not work.
func (b *builder) readTemplate() error {
	t, err := parseDomain(b.spec.TemplateXML)
	if err != nil {
		return fmt.Errorf("the domain template: %w", err)
	}
	b.template = t
	b.loader = ""
	if t.OS.NVRam != nil && t.OS.Loader != nil && t.OS.Loader.Path != "" {
		b.nvramFrom = b.spec.NVRAM
		if b.nvramFrom == "" {
			b.nvramFrom = t.OS.NVRam.Template
		}
		if b.nvramFrom == "" {
			b.nvramFrom = b.def().Firmware.NVRAMTemplate
		}
		if b.nvramFrom != "" {
			b.mark.NVRAM = path.Join(b.spec.Dir, "nvram.fd")
		}
	}
	b.templateNet()
	return nil
}

// CheckDomain refuses the XML of a domain that libvirt's format does not know as one.
func CheckDomain(text string) error {
	_, err := parseDomain(text)
	return err
}

func parseDomain(text string) (*libvirtxml.Domain, error) {
	t := &libvirtxml.Domain{}
	err := t.Unmarshal(text)
	if number := (*strconv.NumError)(nil); errors.As(err, &number) {
		return nil, fmt.Errorf("%q stands where a number should", number.Num)
	}
	if err == nil && (t.OS == nil || t.OS.Type == nil) {
		err = errors.New("<os><type> is missing")
	}
	return t, err
}

// templateNet finds how the guest is reached from the template's own forward, or from
// the definition's address.
func (b *builder) templateNet() {
	t := b.template
	if t.QEMUCommandline != nil {
		for _, a := range t.QEMUCommandline.Args {
			if u, err := parseUserNet(a.Value); err == nil && u.preset != 0 {
				b.user = &u
				return
			}
		}
	}
	if t.Devices == nil {
		return
	}
	for _, n := range b.def().Net {
		if n.IP != "" && n.IP != "127.0.0.1" && n.IP != "localhost" {
			b.mark.Address = n.IP + ":22"
			return
		}
	}
	for _, c := range t.Devices.Interfaces {
		if c.MAC != nil {
			b.mark.MAC = c.MAC.Address
			return
		}
	}
}

func (b *builder) fromTemplate() *libvirtxml.Domain {
	t := b.template
	t.Name, t.UUID, t.ID = b.spec.Name, b.uuid, nil
	if t.Type == "" {
		t.Type = "qemu"
		if b.spec.KVM {
			t.Type = "kvm"
		}
	}
	if t.Type == "kvm" && !b.spec.KVM {
		t.Type = "qemu"
		if t.CPU != nil && t.CPU.Mode == "host-passthrough" {
			t.CPU = &libvirtxml.DomainCPU{Mode: "maximum", Check: "none"}
		}
	}
	b.templateKernel()
	if t.Metadata == nil {
		t.Metadata = &libvirtxml.DomainMetadata{}
	}
	t.Metadata.XML += b.mark.prefixed()
	if t.Devices == nil {
		t.Devices = &libvirtxml.DomainDeviceList{}
	}
	if b.asRoot && t.SecLabel == nil {
		t.SecLabel = []libvirtxml.DomainSecLabel{{Type: "static", Model: "dac", Relabel: "no", Label: "+0:+0"}}
	}
	if b.mark.NVRAM != "" {
		t.OS.NVRam = &libvirtxml.DomainNVRam{NVRam: b.mark.NVRAM}
	}
	b.templateConsole()
	b.templateDisks()
	return t
}

// templateKernel points the template's kernel and initrd, where they are the
// definition's, at the files that were prepared.
func (b *builder) templateKernel() {
	k := b.def().Kernel
	for _, f := range []struct {
		name *string
		made string
	}{{&b.template.OS.Kernel, k.Src}, {&b.template.OS.Initrd, k.Initrd}} {
		if f.made != "" && path.Base(*f.name) == path.Base(f.made) {
			*f.name = b.inPool(f.made)
		}
	}
}

// templateConsole gives the first serial port, or else the first console, farm's log.
func (b *builder) templateConsole() {
	dev := b.template.Devices
	log := &libvirtxml.DomainChardevLog{File: b.mark.Console, Append: "on"}
	switch {
	case len(dev.Serials) > 0:
		dev.Serials[0].Log = log
	case len(dev.Consoles) > 0:
		dev.Consoles[0].Log = log
	default:
		b.arch = b.template.OS.Type.Arch
		made := &libvirtxml.Domain{Devices: &libvirtxml.DomainDeviceList{}}
		b.addConsole(made)
		dev.Serials, dev.Consoles = made.Devices.Serials, made.Devices.Consoles
	}
}

// templateDisks points the template's disks, which name the definition's files, at the
// files that the machine really gets: the frozen images must not be written. A disk is
// found by its file's name, else by its device; those that the template lacks are added.
func (b *builder) templateDisks() {
	same := func(d engine.MachineDisk, x *libvirtxml.DomainDisk) bool {
		return d.Src != "" && path.Base(d.Src) == path.Base(x.Source.File.File)
	}
	sameDevice := func(d engine.MachineDisk, x *libvirtxml.DomainDisk) bool {
		return d.DevName != "" && x.Target != nil && d.DevName == x.Target.Dev
	}
	disks := b.template.Devices.Disks
	placed, set := map[int]bool{}, map[int]bool{}
	for _, match := range []func(engine.MachineDisk, *libvirtxml.DomainDisk) bool{same, sameDevice} {
		for i := range disks {
			for j, d := range b.spec.Disks {
				if !set[i] && !placed[j] && disks[i].Source != nil && disks[i].Source.File != nil && match(d, &disks[i]) {
					set[i], placed[j] = true, true
					pointAt(&disks[i], d)
				}
			}
		}
	}
	used := map[string]bool{}
	for _, x := range disks {
		if x.Target != nil {
			used[x.Target.Dev] = true
		}
	}
	for j, d := range b.spec.Disks {
		if placed[j] {
			continue
		}
		if d.Bus == "" || diskPrefix[d.Bus] == "" {
			d.Bus = "virtio"
		}
		if d.Type == "" {
			d.Type = "qcow2"
		}
		if d.DevName == "" || used[d.DevName] {
			d.DevName = freeName(diskPrefix[d.Bus], used)
		}
		b.template.Devices.Disks = append(b.template.Devices.Disks, diskXML(d))
	}
}

func pointAt(x *libvirtxml.DomainDisk, d engine.MachineDisk) {
	x.Source.File.File = d.Path
	if x.Driver == nil {
		x.Driver = &libvirtxml.DomainDiskDriver{Name: "qemu"}
	}
	if x.Driver.Type = d.Type; d.Type == "" {
		x.Driver.Type = "qcow2"
	}
}

// list names the keys of a map for people, in order.
func list[T any](m map[string]T) string {
	if len(m) == 0 {
		return "none"
	}
	out := ""
	for i, k := range sorted(m) {
		if i > 0 {
			out += ", "
		}
		out += strconv.Quote(k)
	}
	return out
}

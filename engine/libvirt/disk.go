package libvirt

import (
	"fmt"
	"path"
	"strings"

	"farm/engine"

	"libvirt.org/go/libvirtxml"
)

// diskPrefix begins a disk's device name on a bus.
var diskPrefix = map[string]string{"virtio": "vd", "scsi": "sd", "sata": "sd", "usb": "sd", "ide": "hd"}

func (b *builder) addDisks(dom *libvirtxml.Domain) error {
	used := map[string]bool{}
	boot := b.def().Kernel.Src == ""
	for _, d := range b.spec.Disks {
		used[d.DevName] = true
		boot = boot && d.Boot == 0
	}
	for i, d := range b.spec.Disks {
		if !path.IsAbs(d.Path) {
			return fmt.Errorf("disk %d: %q is not an absolute path", i+1, d.Path)
		}
		if d.Bus == "" {
			d.Bus = "virtio"
		}
		if d.Type == "" {
			d.Type = "qcow2"
		}
		if boot { // no disk says which: the first
			d.Boot, boot = 1, false
		}
		if d.Bus == "nvme" {
			b.addNVMe(dom, i, d)
			continue
		}
		letters, ok := diskPrefix[d.Bus]
		if !ok {
			return fmt.Errorf("disk %d: no bus %q; there are virtio, scsi, sata, nvme", i+1, d.Bus)
		}
		if d.DevName == "" {
			d.DevName = freeName(letters, used)
		}
		dom.Devices.Disks = append(dom.Devices.Disks, diskXML(d))
		if d.Bus == "scsi" {
			addSCSI(dom)
		}
	}
	return nil
}

func diskXML(d engine.MachineDisk) libvirtxml.DomainDisk {
	x := libvirtxml.DomainDisk{
		Device:   "disk",
		Snapshot: d.Snapshot,
		Driver:   &libvirtxml.DomainDiskDriver{Name: "qemu", Type: d.Type, Cache: d.Cache, Discard: "unmap"},
		Source:   &libvirtxml.DomainDiskSource{File: &libvirtxml.DomainDiskSourceFile{File: d.Path}},
		Target:   &libvirtxml.DomainDiskTarget{Dev: d.DevName, Bus: d.Bus},
		Serial:   d.Serial,
	}
	if d.ReadOnly {
		x.ReadOnly = &libvirtxml.DomainDiskReadOnly{}
	}
	if d.Boot > 0 {
		x.Boot = &libvirtxml.DomainDeviceBoot{Order: uint(d.Boot)}
	}
	return x
}

// addNVMe passes an NVMe disk to QEMU itself: libvirt knows that bus only since 11.5.
func (b *builder) addNVMe(dom *libvirtxml.Domain, i int, d engine.MachineDisk) {
	id := driveID(i)
	drive := fmt.Sprintf("id=%s,if=none,file=%s,format=%s,discard=unmap", id, optionText(d.Path), optionText(d.Type))
	if d.Cache != "" {
		drive += ",cache=" + optionText(d.Cache)
	}
	if d.ReadOnly {
		drive += ",readonly=on"
	}
	serial := d.Serial
	if serial == "" {
		serial = id // the device demands one
	}
	device := fmt.Sprintf("nvme,drive=%s,serial=%s,bus=%s,addr=0x%x", id, optionText(serial), b.bus(), extraSlot+i)
	if d.Boot > 0 {
		device += fmt.Sprintf(",bootindex=%d", d.Boot)
	}
	qemuArgs(dom, "-drive", drive, "-device", device)
}

func addSCSI(dom *libvirtxml.Domain) {
	for _, c := range dom.Devices.Controllers {
		if c.Type == "scsi" {
			return
		}
	}
	dom.Devices.Controllers = append(dom.Devices.Controllers, libvirtxml.DomainController{Type: "scsi", Model: "virtio-scsi"})
}

// freeName is the first device name with the prefix that is not used, and marks it used.
func freeName(prefix string, used map[string]bool) string {
	for i := 0; ; i++ {
		name := prefix + diskLetters(i)
		if !used[name] {
			used[name] = true
			return name
		}
	}
}

// diskLetters counts a to z, aa, ab, ...
func diskLetters(i int) string {
	s := ""
	for ; i >= 0; i = i/26 - 1 {
		s = string(rune('a'+i%26)) + s
	}
	return s
}

// optionText writes a value of QEMU's comma-separated options.
func optionText(s string) string { return strings.ReplaceAll(s, ",", ",,") }

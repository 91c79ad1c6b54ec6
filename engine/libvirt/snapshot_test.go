package libvirt

import (
	"strings"
	"testing"

	"farm/engine"
	"farm/inventory"

	"libvirt.org/go/libvirtxml"
)

// runningDisk is a disk of a running domain.
func runningDisk(dev, file string) libvirtxml.DomainDisk {
	return libvirtxml.DomainDisk{
		Target: &libvirtxml.DomainDiskTarget{Dev: dev},
		Source: &libvirtxml.DomainDiskSource{File: &libvirtxml.DomainDiskSourceFile{File: file}},
	}
}

// libvirt lists the disks of one bus after those of another, so that their order is not
// the definition's.
func TestSnapshotTellsDisksByTheirFiles(t *testing.T) {
	d := &libvirtxml.Domain{Devices: &libvirtxml.DomainDeviceList{Disks: []libvirtxml.DomainDisk{
		runningDisk("vda", "/m/disk0.qcow2"), runningDisk("vdb", "/data.raw"), runningDisk("sda", "/m/disk1.qcow2"),
	}}}
	now := []engine.MachineDisk{{Path: "/m/disk0.qcow2"}, {Path: "/m/disk1.qcow2"}, {Path: "/data.raw", Disk: inventory.Disk{ReadOnly: true}}}
	next := []engine.MachineDisk{{Path: "/m/next0.qcow2"}, {Path: "/m/next1.qcow2"}, now[2]}
	plan, err := describeSnapshot(d, now, next)
	if err != nil {
		t.Fatal(err)
	}
	var snap libvirtxml.DomainSnapshot
	if err := snap.Unmarshal(plan.xml); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	if len(plan.drives) > 0 {
		t.Errorf("the emulator itself is to freeze %v", plan.drives)
	}
	for _, disk := range snap.Disks.Disks {
		file := sourceFile(libvirtxml.DomainDisk{Source: disk.Source})
		got[disk.Name] = strings.TrimSpace(disk.Snapshot + " " + file)
	}
	for dev, want := range map[string]string{"vda": "external /m/next0.qcow2", "sda": "external /m/next1.qcow2", "vdb": "no"} {
		if got[dev] != want {
			t.Errorf("%s: %q, want %q", dev, got[dev], want)
		}
	}
}

func TestSnapshotRefusesADiskThatLibvirtDoesNotKnow(t *testing.T) {
	d := &libvirtxml.Domain{Devices: &libvirtxml.DomainDeviceList{Disks: []libvirtxml.DomainDisk{runningDisk("vda", "/m/disk0.qcow2")}}}
	now := []engine.MachineDisk{{Path: "/m/disk0.qcow2"}, {Path: "/m/disk1.qcow2"}}
	if _, err := describeSnapshot(d, now, now); err == nil || !strings.Contains(err.Error(), "disk1.qcow2") {
		t.Errorf("got %v", err)
	}
}

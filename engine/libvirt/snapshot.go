package libvirt

import (
	"context"
	"errors"
	"fmt"

	"farm/engine"

	rpc "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"
)

var _ engine.Snapshotter = (*Machine)(nil)

// Snapshot lets each writable disk go on in a file that stands on it; see
// engine.Snapshotter. It is libvirt's external disk snapshot without metadata: libvirt
// is not asked to remember or revert it. Disks that libvirt does not know, those on the bus
// nvme, are frozen by QEMU itself.
// https://libvirt.org/formatsnapshot.html
func (m *Machine) Snapshot(ctx context.Context, now, next []engine.MachineDisk, quiesce bool) error {
	s, err := m.planSnapshot(ctx, now, next)
	if err != nil {
		return fmt.Errorf("freeze the disks of %q on %q: %w", m.Name(), m.host.Name(), err)
	}
	if len(s.drives) > 0 {
		return m.snapshotDrives(ctx, s, quiesce)
	}
	if quiesce {
		err := m.createSnapshot(ctx, s.xml, rpc.DomainSnapshotCreateQuiesce)
		// Without an agent the filesystems were at least synced.
		if err == nil || errors.Is(err, engine.ErrUnreachable) || ctx.Err() != nil {
			return err
		}
	}
	return m.createSnapshot(ctx, s.xml, 0)
}

func (m *Machine) createSnapshot(ctx context.Context, text string, more rpc.DomainSnapshotCreateFlags) error {
	flags := rpc.DomainSnapshotCreateDiskOnly | rpc.DomainSnapshotCreateAtomic |
		rpc.DomainSnapshotCreateNoMetadata | rpc.DomainSnapshotCreateReuseExt | more
	dom := m.dom()
	return m.host.link.call(ctx, m.op("freeze the disks of", startBudget, false), func(r *rpc.Libvirt) error {
		_, err := r.DomainSnapshotCreateXML(dom, text, uint32(flags))
		return err
	})
}

// snapshot is which disk goes on where.
type snapshot struct {
	xml    string  // for libvirt; "" = it knows none of the disks
	drives []drive // those that libvirt does not know
}

func (m *Machine) planSnapshot(ctx context.Context, now, next []engine.MachineDisk) (snapshot, error) {
	d, err := m.definition(ctx, 0)
	if err != nil {
		return snapshot{}, err
	}
	return describeSnapshot(d, now, next)
}

// definition is the domain as it runs, or with the flag for it as it will be started.
func (m *Machine) definition(ctx context.Context, flags rpc.DomainXMLFlags) (*libvirtxml.Domain, error) {
	dom := m.dom()
	text, err := ask(ctx, m.host.link, m.op("read the definition of", queryBudget, true), func(r *rpc.Libvirt) (string, error) {
		return r.DomainGetXMLDesc(dom, flags)
	})
	if err != nil {
		return nil, err
	}
	var d libvirtxml.Domain
	if err := d.Unmarshal(text); err != nil {
		return nil, fmt.Errorf("read the definition of %q: %w", m.Name(), err)
	}
	return &d, nil
}

// describeSnapshot names the next file of every writable disk by the disk's target, or by
// its drive. libvirt's disks are told by their files: it lists them bus by bus, whatever the
// definition's order.
func describeSnapshot(d *libvirtxml.Domain, now, next []engine.MachineDisk) (s snapshot, err error) {
	to := map[string]string{}
	for i, disk := range now {
		if !disk.ReadOnly {
			to[disk.Path] = next[i].Path
		}
	}
	known := false
	snap := libvirtxml.DomainSnapshot{Disks: &libvirtxml.DomainSnapshotDisks{}}
	for _, disk := range disksOf(d) {
		if disk.Target == nil {
			return s, fmt.Errorf("a disk has no target")
		}
		x := libvirtxml.DomainSnapshotDisk{Name: disk.Target.Dev, Snapshot: "no"}
		if file := sourceFile(disk); to[file] != "" {
			x.Snapshot = "external"
			x.Driver = &libvirtxml.DomainDiskDriver{Type: "qcow2"}
			x.Source = &libvirtxml.DomainDiskSource{File: &libvirtxml.DomainDiskSourceFile{File: to[file]}}
			delete(to, file)
			known = true
		}
		snap.Disks.Disks = append(snap.Disks.Disks, x)
	}
	for i, disk := range now {
		if to[disk.Path] == "" {
			continue
		}
		if driveArg(d, driveID(i)) == nil {
			return s, fmt.Errorf("neither libvirt nor its command line for QEMU knows a disk %q", disk.Path)
		}
		s.drives = append(s.drives, drive{id: driveID(i), file: next[i].Path})
	}
	if known || len(s.drives) == 0 {
		s.xml, err = snap.Marshal()
	}
	return s, err
}

func disksOf(d *libvirtxml.Domain) []libvirtxml.DomainDisk {
	if d.Devices == nil {
		return nil
	}
	return d.Devices.Disks
}

func sourceFile(d libvirtxml.DomainDisk) string {
	if d.Source == nil || d.Source.File == nil {
		return ""
	}
	return d.Source.File.File
}

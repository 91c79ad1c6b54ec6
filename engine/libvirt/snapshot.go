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
// is not asked to remember or revert it.
// https://libvirt.org/formatsnapshot.html
func (m *Machine) Snapshot(ctx context.Context, now, next []engine.MachineDisk, quiesce bool) error {
	text, err := m.snapshotXML(ctx, now, next)
	if err != nil {
		return fmt.Errorf("freeze the disks of %q on %q: %w", m.Name(), m.host.Name(), err)
	}
	flags := rpc.DomainSnapshotCreateDiskOnly | rpc.DomainSnapshotCreateAtomic |
		rpc.DomainSnapshotCreateNoMetadata | rpc.DomainSnapshotCreateReuseExt
	dom := m.dom()
	create := func(flags rpc.DomainSnapshotCreateFlags) error {
		return m.host.link.call(ctx, m.op("freeze the disks of", startBudget, false), func(r *rpc.Libvirt) error {
			_, err := r.DomainSnapshotCreateXML(dom, text, uint32(flags))
			return err
		})
	}
	if quiesce {
		err := create(flags | rpc.DomainSnapshotCreateQuiesce)
		// Without an agent the filesystems were at least synced.
		if err == nil || errors.Is(err, engine.ErrUnreachable) || ctx.Err() != nil {
			return err
		}
	}
	return create(flags)
}

func (m *Machine) snapshotXML(ctx context.Context, now, next []engine.MachineDisk) (string, error) {
	var text string
	dom := m.dom()
	err := m.host.link.call(ctx, m.op("describe", queryBudget, true), func(r *rpc.Libvirt) (err error) {
		text, err = r.DomainGetXMLDesc(dom, 0)
		return err
	})
	if err != nil {
		return "", err
	}
	var d libvirtxml.Domain
	if err := d.Unmarshal(text); err != nil {
		return "", err
	}
	return describeSnapshot(&d, now, next)
}

// describeSnapshot names the next file of every writable disk by the disk's target. Disks
// are told by their files: libvirt lists them bus by bus, whatever the definition's order.
func describeSnapshot(d *libvirtxml.Domain, now, next []engine.MachineDisk) (string, error) {
	to := map[string]string{}
	for i, disk := range now {
		if !disk.ReadOnly {
			to[disk.Path] = next[i].Path
		}
	}
	snap := libvirtxml.DomainSnapshot{Disks: &libvirtxml.DomainSnapshotDisks{}}
	for _, disk := range disksOf(d) {
		if disk.Target == nil {
			return "", fmt.Errorf("a disk has no target")
		}
		s := libvirtxml.DomainSnapshotDisk{Name: disk.Target.Dev, Snapshot: "no"}
		if file := sourceFile(disk); to[file] != "" {
			s.Snapshot = "external"
			s.Driver = &libvirtxml.DomainDiskDriver{Type: "qcow2"}
			s.Source = &libvirtxml.DomainDiskSource{File: &libvirtxml.DomainDiskSourceFile{File: to[file]}}
			delete(to, file)
		}
		snap.Disks.Disks = append(snap.Disks.Disks, s)
	}
	for file := range to {
		return "", fmt.Errorf("libvirt knows no disk %q; those on the bus nvme cannot be frozen", file)
	}
	return snap.Marshal()
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

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
func (m *Machine) Snapshot(ctx context.Context, next []engine.MachineDisk, quiesce bool) error {
	text, err := m.snapshotXML(ctx, next)
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

// snapshotXML names the next file of every writable disk, by the targets that the
// disks have in the running domain, which are in the order of the definition.
func (m *Machine) snapshotXML(ctx context.Context, next []engine.MachineDisk) (string, error) {
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
	if d.Devices == nil || len(d.Devices.Disks) != len(next) {
		return "", fmt.Errorf("the domain has other disks than its definition")
	}
	snap := libvirtxml.DomainSnapshot{Disks: &libvirtxml.DomainSnapshotDisks{}}
	for i, disk := range d.Devices.Disks {
		if disk.Target == nil {
			return "", fmt.Errorf("disk %d has no target", i)
		}
		s := libvirtxml.DomainSnapshotDisk{Name: disk.Target.Dev, Snapshot: "no"}
		if !next[i].ReadOnly {
			s.Snapshot = "external"
			s.Driver = &libvirtxml.DomainDiskDriver{Type: "qcow2"}
			s.Source = &libvirtxml.DomainDiskSource{File: &libvirtxml.DomainDiskSourceFile{File: next[i].Path}}
		}
		snap.Disks.Disks = append(snap.Disks.Disks, s)
	}
	return snap.Marshal()
}

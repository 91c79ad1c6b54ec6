package libvirt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	rpc "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"
)

// drive is a disk of QEMU's own command line and the file in which it goes on.
type drive struct{ id, file string }

// driveID names the drive of a machine's i-th disk, counted from 0.
func driveID(i int) string { return fmt.Sprintf("farmnvme%d", i) }

// driveArg is the argument of the command line that makes the drive; nil = there is none.
func driveArg(d *libvirtxml.Domain, id string) *libvirtxml.DomainQEMUCommandlineArg {
	if d.QEMUCommandline == nil {
		return nil
	}
	for i := range d.QEMUCommandline.Args {
		if a := &d.QEMUCommandline.Args[i]; strings.HasPrefix(a.Value, "id="+id+",if=none,file=") {
			return a
		}
	}
	return nil
}

// moveDrive changes the file of a drive in a definition.
func moveDrive(d *libvirtxml.Domain, v drive) error {
	arg := driveArg(d, v.id)
	if arg == nil {
		return fmt.Errorf("the definition has no drive %q", v.id)
	}
	head, rest, _ := strings.Cut(arg.Value, ",file=")
	// the value ends at the first comma that is not doubled, see optionText
	end := 0
	for end < len(rest) {
		if rest[end] == ',' {
			if !strings.HasPrefix(rest[end+1:], ",") {
				break
			}
			end++
		}
		end++
	}
	arg.Value = head + ",file=" + optionText(v.file) + rest[end:]
	return nil
}

// freezeCommand lets QEMU write drives on in other files from the same moment.
// https://qemu.readthedocs.io/en/latest/interop/qemu-qmp-ref.html
func freezeCommand(drives []drive) (string, error) {
	type data struct {
		Device string `json:"device"`
		File   string `json:"snapshot-file"`
		Format string `json:"format"`
		Mode   string `json:"mode"`
	}
	type action struct {
		Type string `json:"type"`
		Data data   `json:"data"`
	}
	var actions []action
	for _, v := range drives {
		actions = append(actions, action{"blockdev-snapshot-sync", data{v.id, v.file, "qcow2", "existing"}})
	}
	text, err := json.Marshal(map[string]any{"execute": "transaction", "arguments": map[string]any{"actions": actions}})
	return string(text), err
}

// refusal is the error in an answer of QEMU's monitor.
func refusal(answer string) error {
	var a struct {
		Return *json.RawMessage `json:"return"`
		Error  *struct {
			Desc string `json:"desc"`
		} `json:"error"`
	}
	switch err := json.Unmarshal([]byte(answer), &a); {
	case err != nil:
		return fmt.Errorf("the emulator's answer: %w", err)
	case a.Error != nil:
		return errors.New(clean(a.Error.Desc))
	case a.Return == nil:
		return errors.New("the emulator gave no answer")
	}
	return nil
}

// snapshotDrives freezes disks of which libvirt does not know some. The two kinds cannot be
// frozen by one command, so the guest stands still in between.
func (m *Machine) snapshotDrives(ctx context.Context, s snapshot, quiesce bool) (err error) {
	text, err := freezeCommand(s.drives)
	if err != nil {
		return err
	}
	wake, err := m.hold(ctx, quiesce)
	if err != nil {
		return err
	}
	if s.xml != "" {
		err = m.createSnapshot(ctx, s.xml, 0)
	}
	if err == nil {
		err = m.monitor(ctx, text)
	}
	if err = errors.Join(err, wake()); err != nil {
		return err
	}
	// libvirt notes its own disks' new files; of the others it knows the command line only.
	d, err := m.definition(ctx, rpc.DomainXMLInactive|rpc.DomainXMLSecure)
	for _, v := range s.drives {
		if err == nil {
			err = moveDrive(d, v)
		}
	}
	if err != nil {
		return err
	}
	return m.redefine(ctx, d, m.mark())
}

// hold stops the guest, with its filesystems frozen if it is asked for and an agent
// answers, until wake is called, which has to be done even when ctx has ended.
func (m *Machine) hold(ctx context.Context, quiesce bool) (wake func() error, err error) {
	dom := m.dom()
	call := func(ctx context.Context, verb string, f func(*rpc.Libvirt) error) error {
		return m.host.link.call(ctx, m.op(verb, destroyBudget, false), f)
	}
	frozen := false
	if quiesce {
		frozen = call(ctx, "freeze the filesystems of", func(r *rpc.Libvirt) error {
			_, err := r.DomainFsfreeze(dom, nil, 0)
			return err
		}) == nil
	}
	err = call(ctx, "suspend", func(r *rpc.Libvirt) error { return r.DomainSuspend(dom) })
	wake = func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), destroyBudget)
		defer cancel()
		err := call(ctx, "resume", func(r *rpc.Libvirt) error { return r.DomainResume(dom) })
		if !quiesce {
			return err
		}
		thawed := call(ctx, "thaw the filesystems of", func(r *rpc.Libvirt) error {
			_, err := r.DomainFsthaw(dom, nil, 0)
			return err
		})
		if frozen { // else there is no agent, or its answer was lost, which is why it is asked all the same
			err = errors.Join(err, thawed)
		}
		return err
	}
	if err != nil {
		return nil, errors.Join(err, wake())
	}
	return wake, nil
}

// monitor gives QEMU a command of its own protocol.
func (m *Machine) monitor(ctx context.Context, command string) error {
	dom := m.dom()
	return m.host.link.call(ctx, m.op("freeze the disks of", startBudget, false), func(r *rpc.Libvirt) error {
		answer, err := r.QEMUDomainMonitorCommand(dom, command, 0)
		if err != nil {
			return err
		}
		return refusal(answer)
	})
}

package libvirt

import (
	"strings"
	"testing"

	"farm/engine"
	"farm/inventory"

	"libvirt.org/go/libvirtxml"
)

// nvmeDomain is the definition of a machine with the disks.
func nvmeDomain(t *testing.T, disks ...engine.MachineDisk) *libvirtxml.Domain {
	t.Helper()
	spec := someSpec("x86_64", inventory.Definition{})
	spec.Disks = disks
	d, _, err := build(spec)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func nvmeDisk(file string) engine.MachineDisk {
	return engine.MachineDisk{Path: file, Disk: inventory.Disk{Bus: "nvme"}}
}

// The first freeze finds the files of the definition, later ones do not: libvirt does not
// learn on which files a drive went on.
func TestSnapshotOfNVMeDisks(t *testing.T) {
	readOnly := nvmeDisk("/data.raw")
	readOnly.ReadOnly = true
	plain := engine.MachineDisk{Path: "/m/plain.qcow2"}
	d := nvmeDomain(t, nvmeDisk("/m/disk0.qcow2"), plain, readOnly, nvmeDisk("/m/disk3.qcow2"))
	for _, first := range []string{"/m/disk0.qcow2", "/m/disk0-of-the-clean-layer.qcow2"} {
		now := []engine.MachineDisk{nvmeDisk(first), plain, readOnly, nvmeDisk("/m/disk3.qcow2")}
		next := []engine.MachineDisk{nvmeDisk("/m/next0.qcow2"), {Path: "/m/next1.qcow2"}, readOnly, nvmeDisk("/m/next3.qcow2")}
		s, err := describeSnapshot(d, now, next)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(s.xml, "/m/next1.qcow2") || strings.Contains(s.xml, "next0") {
			t.Errorf("libvirt is asked for %s", s.xml)
		}
		got, err := freezeCommand(s.drives)
		want := `{"arguments":{"actions":[` +
			`{"type":"blockdev-snapshot-sync","data":{"device":"farmnvme0","snapshot-file":"/m/next0.qcow2","format":"qcow2","mode":"existing"}},` +
			`{"type":"blockdev-snapshot-sync","data":{"device":"farmnvme3","snapshot-file":"/m/next3.qcow2","format":"qcow2","mode":"existing"}}` +
			`]},"execute":"transaction"}`
		if err != nil || got != want {
			t.Errorf("QEMU is told\n%s, %v, want\n%s", got, err, want)
		}
	}
}

func TestSnapshotOfNothingButNVMeAsksLibvirtForNothing(t *testing.T) {
	now := []engine.MachineDisk{nvmeDisk("/m/disk0.qcow2")}
	s, err := describeSnapshot(nvmeDomain(t, now...), now, []engine.MachineDisk{nvmeDisk("/m/next0.qcow2")})
	if err != nil || s.xml != "" || len(s.drives) != 1 {
		t.Errorf("%+v, %v", s, err)
	}
}

// A machine that is started again has to find the file that its drive went on in.
func TestMoveDrive(t *testing.T) {
	d := nvmeDomain(t, nvmeDisk("/m/a,b,,c.qcow2"), nvmeDisk("/m/other.qcow2"))
	if err := moveDrive(d, drive{"farmnvme0", "/m/x,y.qcow2"}); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]string{
		"farmnvme0": "id=farmnvme0,if=none,file=/m/x,,y.qcow2,format=qcow2,discard=unmap",
		"farmnvme1": "id=farmnvme1,if=none,file=/m/other.qcow2,format=qcow2,discard=unmap",
	} {
		if arg := driveArg(d, id); arg == nil || arg.Value != want {
			t.Errorf("%s: %+v, want %s", id, arg, want)
		}
	}
	if err := moveDrive(d, drive{"farmnvme2", "/m/z"}); err == nil {
		t.Error("a drive that is not there was moved")
	}
}

func TestRefusalOfTheMonitor(t *testing.T) {
	for answer, want := range map[string]string{
		`{"return":{},"id":"libvirt-7"}`: "",
		`{"id":"libvirt-7","error":{"class":"GenericError","desc":"no such\u0007 file"}}`: "no such file",
		`{"id":"libvirt-7"}`: "gave no answer",
		`nonsense`:           "answer: ",
	} {
		err := refusal(answer)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", answer, err)
		}
	}
}

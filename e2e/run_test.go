//go:build e2e

package e2e

import (
	"strings"
	"testing"
)

// onDisk writes and reads text at an offset of the tiny guest's disk.
const (
	onDisk   = `- {name: Write, shell: "printf %-8s WHAT | dd of=/dev/vda bs=8 seek=SEEK conv=notrunc"}` + "\n"
	fromDisk = `- {name: Read, command: head -c 16 /dev/vda, register: disk}
- {debug: {msg: "disk: {{ disk.stdout }}"}}
`
)

func disk(what, seek string) string {
	return strings.NewReplacer("WHAT", what, "SEEK", seek).Replace(onDisk)
}

func TestRunGoesOnFromTheInitLayer(t *testing.T) {
	p := newProject(t, one, map[string]string{
		"phases/dependencies.yaml": disk("deps1", "0"),
		"phases/init.yaml":         disk("init1", "1"),
		"phases/main.yaml":         fromDisk,
		"phases/terminate.yaml":    disk("spoiled", "0"),
	})
	fresh := []string{"prepare", "startup", "create clean", "dependencies", "init", "create init", "main", "terminate", "shutdown"}
	again := []string{"prepare", "restore clean", "startup", "dependencies", "init", "create init", "main", "terminate", "shutdown"}
	cached := []string{"prepare", "restore init", "startup", "main", "terminate", "shutdown"}
	unique := "-eproject_id=" + t.Name() + strings.ReplaceAll(t.TempDir(), "/", "_") // layers of earlier tests do not fit

	first := p.run(0, unique)
	if got := first.phases("tiny/amd64"); got[1] == "restore clean" { // an earlier test made the same clean state
		fresh = again
	}
	first.ran("tiny/amd64", fresh...)
	first.says("disk: deps1   init1")
	p.nothingLeft()

	second := p.run(0, unique)
	second.ran("tiny/amd64", cached...)
	second.says("disk: deps1   init1") // what terminate wrote is gone
	p.nothingLeft()

	p.write("phases/dependencies.yaml", disk("deps2", "0"))
	changed := p.run(0, unique)
	changed.ran("tiny/amd64", again...)
	changed.says("disk: deps2   init1")

	bumped := p.run(0, unique, "-eproject_revision=1")
	bumped.ran("tiny/amd64", again...)

	p.write("phases/dependencies.yaml", disk("deps1", "0"))
	p.run(0, unique).ran("tiny/amd64", cached...) // the first state is still there
	p.nothingLeft()
}

func TestAllowedPhasesLeaveAndTakeUpARunningMachine(t *testing.T) {
	p := newProject(t, one, map[string]string{
		"phases/main.yaml":      "- {name: Look, shell: 'cat /run/mark; touch /run/mark2'}\n",
		"phases/terminate.yaml": "- {name: Look, command: ls -l /run/mark /run/mark2}\n",
	})
	up := p.run(0, "-e", `{"allowed_phases": ["startup"]}`)
	up.ran("tiny/amd64", "prepare", "startup")
	up.says("farm ssh tiny/amd64")
	p.farm("ssh", "tiny/amd64", "echo made by hand >/run/mark").exits(0)

	again := p.run(0, "-e", `{"allowed_phases": ["main"]}`, "-vv")
	again.says("made by hand")
	p.farm("ssh", "tiny/amd64", "test -e /run/mark2").exits(0)

	down := p.run(0, "-e", `{"allowed_phases": ["terminate", "shutdown"]}`)
	if got := strings.Join(down.phases("tiny/amd64"), " "); !strings.HasSuffix(got, "terminate shutdown") || strings.Contains(got, "main") {
		t.Errorf("phases %s", got)
	}
	p.nothingLeft()

	p.run(65, "-e", `{"allowed_phases": ["startup", "mian"]}`).says(`"mian"`, "main")
	p.nothingLeft()
}

func TestPhaseCanKeepItsMachine(t *testing.T) {
	p := newProject(t, one, map[string]string{
		"phases/main.yaml":      "- set_fact: {allowed_phases: [main, terminate]}\n- command: echo still main\n",
		"phases/terminate.yaml": "- command: echo collected\n",
	})
	o := p.run(0, "--keep", "never")
	if got := strings.Join(o.phases("tiny/amd64"), " "); !strings.HasSuffix(got, "main terminate") {
		t.Errorf("phases %s", got)
	}
	in := p.farm("ssh", "tiny/amd64", "echo up")
	in.exits(0)
	p.farm("down", "--all").exits(0)
	p.nothingLeft()
}

func TestDisksAndTheirOptionsReachTheGuest(t *testing.T) {
	p := newProject(t, wishing("{permutations: {platforms: [disks], targets: [amd64]}}"), map[string]string{
		"setup_vm/platforms/disks.yaml": `extends: tiny
disks:
  - {type: qcow2, size: 16M}
  - {type: qcow2, size: 24M, bus: scsi, serial: second}
  - {type: raw, src: "{{ vm_disk }}", readonly: true}
`,
		"phases/main.yaml": `- {name: Sizes, shell: "cat /sys/block/[sv]d?/size | sort -n | tr '\\n' ' '", register: sizes}
- assert: {that: "sizes.stdout.split() == ['8192', '32768', '49152']"}
- {name: Read-only, shell: "for d in /dev/[sv]d?; do echo x | dd of=$d 2>/dev/null && echo $d; done", register: written, failed_when: false}
- {name: Content, shell: "cat /dev/[sv]d? | tr -d '\\000' | grep -c 'what is here stays'", register: found}
- assert: {that: ["written.stdout_lines | length == 2", "found.stdout == '1'"]}
`,
	})
	p.write("data.raw", "what is here stays\n"+strings.Repeat("\x00", 4<<20-19))
	p.run(0, "-evm_disk="+p.dir+"/data.raw")
	p.run(0, "-evm_disk="+p.dir+"/data.raw").ran("disks/amd64", "prepare", "restore init", "startup", "main", "shutdown")
	if !strings.HasPrefix(p.read("data.raw"), "what is here stays\n\x00") {
		t.Error("the read-only image was written")
	}
	p.nothingLeft()
}

//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"farm/engine"
)

// three asks for three tiny guests.
var three = wishing("{permutations: {platforms: [tiny, other, third], targets: [amd64]}}")

func TestRunRefusesWhatMakesNoSense(t *testing.T) {
	p := newProject(t, one, map[string]string{"phases/main.yaml": "- command: echo well\n"})
	p.run(3, "-l", "nothing*").says("nothing*", "tiny/amd64")
	p.run(64, "--frobnicate").says("--frobnicate")
	p.run(64, "--keep", "sometimes").says("sometimes", "on-failure")
	p.farm("run", "missing.yaml").exits(65)

	p.write("broken.yaml", "all:\n  hosts:\n    localhost:\n      config: {permutations: {platforms: [tniy], targets: [amd64]}}\n"+platforms)
	broken := p.farm("run", "broken.yaml")
	broken.exits(65)
	broken.says("broken.yaml:4:", "tniy", "tiny")

	p.write("phases/main.yaml", "- comand: echo well\n")
	p.run(65).says("phases/main.yaml:1:", "comand", "command")
	if runs := p.runs(); len(runs) > 0 {
		t.Errorf("runs were made: %q", runs)
	}
	p.nothingLeft()
}

// TestMachinesThatNoHypervisorCanMakeAreRefusedFirst wants what the hypervisor lacks told before
// anything is made for the VM.
func TestMachinesThatNoHypervisorCanMakeAreRefusedFirst(t *testing.T) {
	p := newProject(t, one, map[string]string{"phases/main.yaml": "- command: uname\n"})
	inventory := p.read("inventory.yaml")
	for line, why := range map[string]string{
		"emulator: /nonexistent/qemu":                            "localhost: no emulator /nonexistent/qemu",
		"emulator: /bin/true":                                    "localhost: emulator /bin/true: ",
		"firmware: /nonexistent.fd":                              "localhost: no firmware /nonexistent.fd",
		"firmware: {loader: auto, nvram_template: /nonexistent}": "localhost: no NVRAM template /nonexistent",
		"machine: q36":                                           `localhost: no machine type q36 for x86_64, did you mean "q35"?`,
		"cpu: nosuchcpu":                                         "localhost: no CPU nosuchcpu for x86_64",
	} {
		p.write("inventory.yaml", strings.Replace(inventory, "vcpus: 1", "vcpus: 1\n    "+line, 1))
		plan := p.farm("plan", "inventory.yaml")
		plan.exits(2)
		plan.says("no hypervisor (" + why)
	}
	o := p.run(2)
	o.says("no verdict", "no hypervisor can run tiny/amd64 (localhost: ")
	o.ran("tiny/amd64")
	p.write("inventory.yaml", strings.Replace(inventory, "vcpus: 1", "vcpus: 1\n    machine: pc\n    cpu: Haswell", 1))
	p.farm("plan", "inventory.yaml").exits(0)
	p.nothingLeft()
}

func TestCheckChangesNothing(t *testing.T) {
	p := newProject(t, one, map[string]string{
		"phases/dependencies.yaml": "- {name: Never, command: touch /run/never}\n",
		"phases/main.yaml": `- copy: {content: new, dest: /run/file}
  register: copied
- {stat: {path: /run/file}, register: file}
- assert: {that: [copied is changed, not file.stat.exists]}
`,
	})
	o := p.run(0, "--check", "-eproject_id="+filepath.Base(filepath.Dir(t.TempDir())))
	if slices.Contains(o.phases("tiny/amd64"), "create init") {
		t.Error("a check made a layer")
	}
	p.nothingLeft()
}

func TestJobsBoundsHowManyRunAtOnce(t *testing.T) {
	p := newProject(t, three, map[string]string{"phases/main.yaml": "- command: echo well\n"})
	o := p.run(0, "-j", "1")
	o.says("3 passed")
	live := 0
	for _, e := range o.events {
		switch e.Kind {
		case engine.VMPlaced:
			live++
		case engine.VMEnded:
			live--
		}
		if live > 1 {
			t.Fatalf("%d VMs at once", live)
		}
	}
	p.nothingLeft()
}

func TestFailFastStartsNothingAfterAFailure(t *testing.T) {
	p := newProject(t, three, map[string]string{"phases/main.yaml": "- {fail: {msg: no luck}}\n"})
	o := p.run(1, "-j1", "--fail-fast", "--keep=never")
	o.says("1 failed", "2 not started", "--fail-fast")
	p.nothingLeft()
}

func TestEventsAreWellFormedAndHoldNoSecret(t *testing.T) {
	const secret = "xyzzy-plugh-42"
	p := newProject(t, one, map[string]string{
		"phases/main.yaml": `- {name: "Log in with {{ api_token }}", shell: "echo got {{ api_token }}; echo {{ api_token }} >&2; echo {{ api_token }} >/dev/console"}
- {name: Fails, shell: "echo {{ api_token }}; exit 1"}
`,
	})
	o := p.run(1, "-e", "api_token="+secret, "-vv", "--junit", "junit.xml", "--ndjson", "events.ndjson", "--keep", "never")
	for i, e := range o.events {
		if e.Seq != int64(i+1) || e.V != engine.EventVersion || e.Run != filepath.Base(o.dir) || e.Time.IsZero() {
			t.Fatalf("event %d: %+v", i+1, e)
		}
	}
	first, last := o.events[0], o.events[len(o.events)-1]
	if first.Kind != engine.RunStarted || last.Kind != engine.RunEnded || last.Status != engine.Failed {
		t.Errorf("events from %s to %s %s", first.Kind, last.Kind, last.Status)
	}
	inFile, err := os.ReadFile(filepath.Join(o.dir, "events.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	if string(inFile) != p.read("events.ndjson") {
		t.Error("--ndjson differs from the run's own events")
	}
	for line := range bytes.Lines(inFile) {
		if !json.Valid(line) {
			t.Errorf("no JSON: %q", line)
		}
	}
	if strings.Contains(o.stdout+o.stderr, secret) {
		t.Error("the secret was printed")
	}
	checked := 0
	// farm.db has the command line, to open the run's hypervisors again.
	if st, err := os.Stat(filepath.Join(p.home, "farm.db")); err != nil || st.Mode().Perm()&0o077 != 0 {
		t.Errorf("others may read farm.db: %v, %v", st, err)
	}
	err = filepath.WalkDir(p.dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), "farm.db") {
			return err
		}
		text, err := os.ReadFile(file)
		if bytes.Contains(text, []byte(secret)) {
			t.Errorf("%s holds the secret", file)
		}
		checked++
		return err
	})
	if err != nil || checked < 6 {
		t.Errorf("%d files were read: %v", checked, err)
	}
	p.nothingLeft()
}

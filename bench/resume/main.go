// Command resume measures what a guest's memory saves: the time of the phase `startup`, from the
// definition of the machine to a command over SSH, of a guest that resumes from its layer's memory
// against one that boots from the same layer's disks; and the time until the resumed guest runs against
// that of `virsh restore` of the same guest. It runs the example project in a guest, the first time to make
// the layer. The exit status is 1 where a target is missed.
package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"farm/bench/target"
	"farm/engine"
	"farm/phases"
)

const (
	maxOfBoot    = 0.2
	maxOfRestore = 1.5
)

func main() {
	b := bench{}
	flag.StringVar(&b.farm, "farm", "bin/farm", "the program")
	flag.StringVar(&b.dir, "example", "examples/quickstart", "the project")
	flag.StringVar(&b.limit, "limit", "*/amd64", "the VM")
	flag.StringVar(&b.uri, "uri", "", "libvirt's; default that of this user")
	rounds := flag.Int("runs", 3, "runs of each kind; the medians count")
	flag.Parse()
	ok, err := b.measure(max(*rounds, 1))
	target.Exit("bench/resume", ok, err)
}

// bench is what is run.
type bench struct{ farm, dir, limit, uri, tmp string }

// figures are what one run shows.
type figures struct {
	id      string        // of the run
	vm      string        // its VM
	said    string        // what startup told
	running time.Duration // from the start of startup until its guest is waited for
	startup time.Duration
}

func (b bench) measure(rounds int) (bool, error) {
	var err error
	if b.tmp, err = os.MkdirTemp("", "farm-bench-"); err != nil {
		return false, err
	}
	defer os.RemoveAll(b.tmp)
	if _, err := b.run("true", "--refresh", phases.Init, "--keep", "never"); err != nil {
		return false, err
	}
	var boots, resumes, running, restores []time.Duration
	fmt.Printf("%-6s  %9s  %9s  %13s  %13s\n", "run", "boot", "resume", "guest runs in", "virsh restore")
	for i := range rounds {
		boot, err := b.run("false", "--keep", "never")
		if err != nil {
			return false, err
		}
		resume, err := b.run("true", "--keep", "always")
		if err != nil {
			return false, err
		}
		restore, err := b.restore(resume)
		if err != nil {
			return false, err
		}
		if !strings.HasPrefix(resume.said, "resumed") {
			return false, fmt.Errorf("the guest did not resume: %s", resume.said)
		}
		boots, resumes = append(boots, boot.startup), append(resumes, resume.startup)
		running, restores = append(running, resume.running), append(restores, restore)
		line(fmt.Sprint(i+1), boot.startup, resume.startup, resume.running, restore)
	}
	boot, resume, runs, restore := target.Median(boots), target.Median(resumes), target.Median(running), target.Median(restores)
	line("median", boot, resume, runs, restore)
	ofBoot, ofRestore := resume.Seconds()/boot.Seconds(), runs.Seconds()/restore.Seconds()
	ok := target.Met(ofBoot <= maxOfBoot, "a resume takes %.0f %% of a boot, target %.0f %%", 100*ofBoot, 100*maxOfBoot)
	return target.Met(ofRestore <= maxOfRestore, "its guest runs after %.2fx what virsh restore takes, target %.1fx", ofRestore, maxOfRestore) && ok, nil
}

func line(name string, boot, resume, running, restore time.Duration) {
	const ms = 10 * time.Millisecond
	fmt.Printf("%-6s  %9s  %9s  %13s  %13s\n", name, boot.Round(ms), resume.Round(ms), running.Round(ms), restore.Round(ms))
}

// run runs the project once, with snapshot_memory as given, and reads its events.
func (b bench) run(memory string, flags ...string) (figures, error) {
	vars, err := filepath.Glob(filepath.Join(b.dir, "vars", "*.yaml"))
	if err != nil {
		return figures{}, err
	}
	file := filepath.Join(b.tmp, "events")
	args := []string{"run", filepath.Join(b.dir, "inventory.yaml"), "-l", b.limit, "--ndjson", file}
	for _, v := range vars {
		args = append(args, "--vars", v)
	}
	args = append(append(args, "-e", "project_id=bench-resume", "-e", "snapshot_memory="+memory), flags...)
	cmd := exec.Command(b.farm, args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return figures{}, fmt.Errorf("%v: %w\n%s", cmd, err, out)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return figures{}, err
	}
	return read(text)
}

func read(text []byte) (f figures, err error) {
	var began time.Time
	for line := range bytes.Lines(text) {
		var e engine.Event
		if err := json.Unmarshal(line, &e); err != nil {
			return f, err
		}
		if f.id = cmp.Or(e.Run, f.id); e.Phase != phases.Startup {
			continue
		}
		f.vm = e.VM
		switch {
		case e.Kind == engine.PhaseStarted:
			began = e.Time
		case e.Kind == engine.Progress && f.running == 0:
			f.running = e.Time.Sub(began)
		case e.Kind == engine.PhaseEnded:
			f.startup, f.said = e.Time.Sub(began), e.Text
		}
	}
	if f.startup == 0 || f.running == 0 {
		return f, errors.New("no figures in the events")
	}
	return f, nil
}

// restore saves the machine that a run has left, measures virsh restoring it, and ends it.
func (b bench) restore(f figures) (took time.Duration, err error) {
	defer func() { err = errors.Join(err, command(nil, b.farm, "down", f.vm)) }()
	var names bytes.Buffer
	if err := b.virsh(&names, "list", "--name"); err != nil {
		return 0, err
	}
	name := ""
	for _, word := range strings.Fields(names.String()) {
		if strings.Contains(word, f.id) {
			name = word
		}
	}
	if name == "" {
		return 0, fmt.Errorf("run %s has left no machine: %q", f.id, names.String())
	}
	file := filepath.Join(b.tmp, "save")
	if err := b.virsh(nil, "save", name, file); err != nil {
		return 0, err
	}
	defer os.Remove(file)
	began := time.Now()
	err = b.virsh(nil, "restore", file)
	return time.Since(began), err
}

func (b bench) virsh(out *bytes.Buffer, args ...string) error {
	uri := "qemu:///session"
	if os.Getuid() == 0 {
		uri = "qemu:///system" // it answers for root's session too
	}
	return command(out, "virsh", append([]string{"-q", "-c", cmp.Or(b.uri, uri)}, args...)...)
}

func command(out *bytes.Buffer, name string, args ...string) error {
	var stderr bytes.Buffer
	cmd := exec.Command(name, args...)
	if cmd.Stderr = &stderr; out != nil {
		cmd.Stdout = out
	}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%v: %w: %s", cmd, err, stderr.Bytes())
	}
	return nil
}

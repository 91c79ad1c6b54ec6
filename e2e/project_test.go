//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"farm/engine"
	"farm/engine/enginetest"
)

// longest is the most that one run of farm may take here, an image's making included.
const longest = 6 * time.Minute

// project is an inventory with its phases in a folder of its own, and farm's state beside it.
type project struct {
	t    *testing.T
	dir  string
	home string // FARM_HOME
	// elsewhere are home folders of users who are hypervisors.
	elsewhere []string
	// own is the home folder that farm runs with; "" = guestHome.
	own string
	// within is a command that farm is run by; nil = none.
	within []string
}

// tinyFiles is the folder of the tiny guest's kernel, initrd and key, which are built once.
var tinyFiles = sync.OnceValues(func() (string, error) {
	cache, err := labCache()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "tiny")
	if out, err := exec.Command("lab/guest", "amd64", "tiny", dir).CombinedOutput(); err != nil {
		return "", fmt.Errorf("lab/guest: %w: %s", err, out)
	}
	return dir, nil
})

// platforms are the guests that tests' inventories name: `tiny`, of which a run takes ten
// seconds, with a blank disk. A real system is the catalogue's debian_12_bootstrap, whose
// image tests share.
const platforms = `
platforms:
  tiny: &tiny
    metadata: &metadata
      auth: {user: root}
      sources:
        - before_provision: [{callback: fetch, src: "{{ tiny }}/kernel", dest: kernel}]
          on_provision: {src: kernel}
        - before_provision: [{callback: fetch, src: "{{ tiny }}/initrd", dest: initrd}]
          on_provision: {src: initrd}
    kernel: {src: kernel, initrd: initrd, params: console=ttyS0 no_timer_check quiet}
    disks: [{type: qcow2, size: 16M}]
    net: {type: user}
    vcpus: 1
    ram: 384
  other: *tiny
  third: *tiny
`

// newProject writes an inventory, to which platforms are appended, and files beside it.
func newProject(t *testing.T, inventory string, files map[string]string) *project {
	t.Helper()
	enginetest.NeedRoot(t, "guests are made")
	if _, err := os.Stat("../bin/farm"); err != nil {
		t.Fatal("bin/farm is not built: make build")
	}
	tiny, err := tinyFiles()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	p := &project{t: t, dir: dir, home: filepath.Join(dir, "state")}
	p.write("inventory.yaml", inventory+platforms)
	p.write("group_vars/all.yaml", "phases_lookup_dir_path: phases\nproject_id: e2e\nproject_revision: 0\n"+
		"tiny: "+tiny+"\nansible_ssh_private_key_file: "+tiny+"/key\n")
	for name, text := range files {
		p.write(name, text)
	}
	t.Cleanup(p.end)
	return p
}

// wishing is an inventory of one hypervisor, this machine, with a wish list.
func wishing(config string) string {
	return "all:\n  hosts:\n    localhost:\n      ansible_connection: local\n      config: " + config + "\n"
}

// one asks for one tiny guest.
var one = wishing("{permutations: {platforms: [tiny], targets: [amd64]}}")

func (p *project) write(name, text string) {
	p.t.Helper()
	file := filepath.Join(p.dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

func (p *project) read(name string) string {
	p.t.Helper()
	text, err := os.ReadFile(filepath.Join(p.dir, name))
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}

// outcome is what a command of farm left.
type outcome struct {
	t              *testing.T
	code           int
	stdout, stderr string
	events         []engine.Event // of a run
	dir            string         // of a run
	took           time.Duration
}

// process is a command of farm under way.
type process struct {
	p       *project
	cmd     *exec.Cmd
	out     bytes.Buffer
	err     bytes.Buffer
	before  []string // runs that were there
	begun   time.Time
	ended   chan struct{}
	timeout *time.Timer
}

func (p *project) command(ctx context.Context, args ...string) *exec.Cmd {
	p.t.Helper()
	bin, err := filepath.Abs("../bin/farm")
	if err != nil {
		p.t.Fatal(err)
	}
	home, err := p.userHome()
	if err != nil {
		p.t.Fatal(err)
	}
	args = slices.Concat(p.within, []string{bin}, args)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = p.dir
	cmd.Env = []string{"HOME=" + home, "FARM_HOME=" + p.home, "PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8"}
	if m := os.Getenv("FARM_DEBIAN_MIRROR"); m != "" {
		cmd.Env = append(cmd.Env, "FARM_DEBIAN_MIRROR="+m)
	}
	return cmd
}

// userHome is the home folder that farm runs with.
func (p *project) userHome() (string, error) {
	if p.own != "" {
		return p.own, nil
	}
	return guestHome()
}

// ownHome has farm run with a home folder of the test's own: nothing is in its caches and
// what it puts there goes with the test.
func (p *project) ownHome() string {
	p.t.Helper()
	p.own = filepath.Join(p.dir, "home")
	if err := os.Mkdir(p.own, 0o755); err != nil {
		p.t.Fatal(err)
	}
	return p.own
}

// start starts farm.
func (p *project) start(args ...string) *process {
	p.t.Helper()
	f := &process{p: p, cmd: p.command(context.Background(), args...), before: p.runs(), begun: time.Now(), ended: make(chan struct{})}
	f.cmd.Stdout, f.cmd.Stderr = &f.out, &f.err
	if err := f.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	f.timeout = time.AfterFunc(longest, func() { f.cmd.Process.Signal(syscall.SIGQUIT) }) // with all goroutines' stacks
	go func() {
		_ = f.cmd.Wait() // the exit status is in ProcessState
		close(f.ended)
	}()
	return f
}

// wait waits for the end of farm.
func (f *process) wait() outcome {
	f.p.t.Helper()
	<-f.ended
	f.timeout.Stop()
	o := outcome{
		t: f.p.t, code: f.cmd.ProcessState.ExitCode(), stdout: f.out.String(), stderr: f.err.String(), took: time.Since(f.begun),
	}
	if dir := f.run(); dir != "" {
		o.dir = dir
		o.events = readEvents(f.p.t, filepath.Join(dir, "events.ndjson"))
	}
	return o
}

// run is the folder of the run that the process makes, "" if there is none yet.
func (f *process) run() string {
	for _, id := range f.p.runs() {
		if !slices.Contains(f.before, id) {
			return filepath.Join(f.p.home, "runs", id)
		}
	}
	return ""
}

// await waits until the run tells of an event, and fails if farm ends before.
func (f *process) await(what string, match func(engine.Event) bool) {
	f.p.t.Helper()
	for {
		over := false
		select {
		case <-f.ended:
			over = true
		case <-time.After(100 * time.Millisecond):
		}
		if dir := f.run(); dir != "" {
			if slices.ContainsFunc(readEvents(f.p.t, filepath.Join(dir, "events.ndjson")), match) {
				return
			}
		}
		if over {
			f.p.t.Fatalf("farm ended before %s:\n%s%s", what, f.out.String(), f.err.String())
		}
	}
}

// awaitTask waits for the start of a task.
func (f *process) awaitTask(name string) {
	f.p.t.Helper()
	f.await("task "+name, func(e engine.Event) bool { return e.Kind == engine.TaskStarted && e.Task == name })
}

func (f *process) signal(s syscall.Signal) {
	f.p.t.Helper()
	if err := f.cmd.Process.Signal(s); err != nil {
		f.p.t.Fatal(err)
	}
}

// farm runs a command of farm to its end.
func (p *project) farm(args ...string) outcome {
	p.t.Helper()
	return p.start(args...).wait()
}

// run runs `farm run inventory.yaml` with args and wants the exit status.
func (p *project) run(want int, args ...string) outcome {
	p.t.Helper()
	o := p.farm(append([]string{"run", "inventory.yaml"}, args...)...)
	o.exits(want)
	return o
}

// exits wants an exit status; a run that went another way is of no use for what follows.
func (o outcome) exits(want int) {
	o.t.Helper()
	if o.code != want {
		o.t.Fatalf("exit status %d, want %d\nstdout:\n%s\nstderr:\n%s", o.code, want, o.stdout, o.stderr)
	}
}

// says wants texts on stdout or stderr.
func (o outcome) says(texts ...string) {
	o.t.Helper()
	for _, text := range texts {
		if !strings.Contains(o.stdout+o.stderr, text) {
			o.t.Errorf("farm does not say %q\nstdout:\n%s\nstderr:\n%s", text, o.stdout, o.stderr)
		}
	}
}

// phases lists the phases of a VM that ran, those that were skipped left out.
func (o outcome) phases(vm string) []string {
	var names []string
	for _, e := range o.events {
		if e.Kind == engine.PhaseEnded && e.VM == vm && e.Status != engine.Skipped {
			names = append(names, e.Phase)
		}
	}
	return names
}

// ran wants the phases of a VM that were not skipped.
func (o outcome) ran(vm string, want ...string) {
	o.t.Helper()
	if got := o.phases(vm); !slices.Equal(got, want) {
		o.t.Errorf("%s ran %q, want %q\n%s", vm, got, want, o.stderr)
	}
}

// verdict is how a VM ended.
func (o outcome) verdict(vm string) engine.Event {
	for _, e := range o.events {
		if e.Kind == engine.VMEnded && e.VM == vm {
			return e
		}
	}
	return engine.Event{}
}

// readEvents reads a run's events; the last line may still be in the making.
func readEvents(t *testing.T, file string) []engine.Event {
	t.Helper()
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		t.Fatal(err)
	}
	var all []engine.Event
	lines := bufio.NewScanner(bytes.NewReader(text[:bytes.LastIndexByte(text, '\n')+1]))
	lines.Buffer(nil, len(text)+1)
	for lines.Scan() {
		var e engine.Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatalf("%s: %v: %q", file, err, lines.Text())
		}
		all = append(all, e)
	}
	return all
}

// runs are the ids of the project's runs.
func (p *project) runs() []string {
	entries, err := os.ReadDir(filepath.Join(p.home, "runs"))
	if err != nil {
		return nil // none yet
	}
	var ids []string
	for _, e := range entries {
		ids = append(ids, e.Name())
	}
	return ids
}

// end removes what a test left, also one that failed.
func (p *project) end() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	for _, args := range [][]string{{"down", "--all"}, {"gc", "inventory.yaml"}} {
		if out, err := p.command(ctx, args...).CombinedOutput(); ctx.Err() != nil {
			p.t.Errorf("farm %s: %v: %s", args[0], err, out)
		}
	}
}

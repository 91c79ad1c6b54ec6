// Command layer measures what a run costs beside the guest's own boot once its init layer
// is there: the time from the start of the program to main's first task against the time
// that the guest takes from power-on to its first command, and the time and size of the
// new machine's disks. It runs the example project in a guest, the first time as often as
// it takes to make the layer. The exit status is 1 where a target is missed.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"farm/bench/target"
	"farm/engine"
	"farm/phases"
)

const (
	maxRatio    = 1.2
	maxDisks    = 200 * time.Millisecond
	maxDiskSize = 1 << 20 // bytes
)

func main() {
	farm := flag.String("farm", "bin/farm", "the program")
	dir := flag.String("example", "examples/quickstart", "the project")
	limit := flag.String("limit", "*/amd64", "the VM")
	runs := flag.Int("runs", 3, "cached runs; the medians count")
	flag.Parse()
	ok, err := measure(bench{farm: *farm, dir: *dir, limit: *limit}, *runs)
	target.Exit("bench/layer", ok, err)
}

// figures are what one run shows.
type figures struct {
	boot, toMain, disks time.Duration
	bytes               int64 // of the machine's folder before it boots
}

func measure(b bench, runs int) (bool, error) {
	var err error
	if b.tmp, err = os.MkdirTemp("", "farm-bench-"); err != nil {
		return false, err
	}
	defer os.RemoveAll(b.tmp)
	var all []figures
	fmt.Printf("%-5s  %12s  %12s  %7s  %9s  %10s\n", "run", "boot to SSH", "to main", "ratio", "disks", "size")
	for made := false; len(all) < max(runs, 1); {
		f, cached, err := b.run()
		switch {
		case err != nil:
			return false, err
		case !cached && made:
			return false, errors.New("the run that made the init layer left none to restore")
		case !cached:
			made = true
			continue
		}
		all = append(all, f)
		f.print(fmt.Sprint(len(all)))
	}
	m := figures{middle(all, func(f figures) time.Duration { return f.boot }), middle(all, func(f figures) time.Duration { return f.toMain }),
		middle(all, func(f figures) time.Duration { return f.disks }), middle(all, func(f figures) int64 { return f.bytes })}
	m.print("median")
	ratio := middle(all, figures.ratio)
	ok := target.Met(ratio <= maxRatio, "main starts after %.2fx the guest's boot, target %.1fx", ratio, maxRatio)
	ok = target.Met(m.disks <= maxDisks, "disks are made in %v, target %v", m.disks, maxDisks) && ok
	return target.Met(m.bytes <= maxDiskSize, "disks take %d KiB before boot, target %d KiB", m.bytes>>10, maxDiskSize>>10) && ok, nil
}

func (f figures) ratio() float64 { return f.toMain.Seconds() / f.boot.Seconds() }

func (f figures) print(name string) {
	fmt.Printf("%-6s %12s  %12s  %6.2fx  %9s  %6d KiB\n", name, f.boot.Round(10*time.Millisecond), f.toMain.Round(10*time.Millisecond),
		f.ratio(), f.disks, f.bytes>>10)
}

func middle[T int64 | float64 | time.Duration](all []figures, of func(figures) T) T {
	l := make([]T, len(all))
	for i, f := range all {
		l[i] = of(f)
	}
	return target.Median(l)
}

// bench is what is run.
type bench struct{ farm, dir, limit, tmp string }

// run runs the project once and reads its events as they come; cached is whether it
// started from the init layer.
func (b bench) run() (f figures, cached bool, err error) {
	vars, err := filepath.Glob(filepath.Join(b.dir, "vars", "*.yaml"))
	if err != nil {
		return f, false, err
	}
	args := []string{"run", filepath.Join(b.dir, "inventory.yaml"), "-l", b.limit, "--keep", "never", "--ndjson", filepath.Join(b.tmp, "events")}
	for _, v := range vars {
		args = append(args, "--vars", v)
	}
	os.Remove(filepath.Join(b.tmp, "events"))
	if err := syscall.Mkfifo(filepath.Join(b.tmp, "events"), 0o600); err != nil {
		return f, false, err
	}
	// Open for both, so that neither side waits for the other, nor reads an end before its time.
	events, err := os.OpenFile(filepath.Join(b.tmp, "events"), os.O_RDWR, 0)
	if err != nil {
		return f, false, err
	}
	defer events.Close()
	var text bytes.Buffer
	cmd := exec.Command(b.farm, args...)
	cmd.Stdout, cmd.Stderr = &text, &text
	r := reader{began: time.Now()}
	if err := cmd.Start(); err != nil {
		return f, false, err
	}
	ended := make(chan error, 1)
	go func() {
		ended <- cmd.Wait()
		events.SetReadDeadline(time.Now().Add(time.Second)) // ends the reading below if no run_ended came
	}()
	readErr := r.read(events)
	if err := <-ended; err != nil {
		return f, false, fmt.Errorf("%v: %w\n%s", cmd, err, text.Bytes())
	}
	if readErr != nil {
		return f, false, fmt.Errorf("events of %v: %w", cmd, readErr)
	}
	if r.cached && (r.boot <= 0 || r.toMain <= 0 || r.bytes == 0) {
		return f, false, fmt.Errorf("%v: no figures in the events\n%s", cmd, text.Bytes())
	}
	return r.figures, r.cached, nil
}

// reader finds the figures in events.
type reader struct {
	figures
	cached    bool
	began, on time.Time
}

func (r *reader) read(from io.Reader) error {
	for dec := json.NewDecoder(from); ; {
		var e engine.Event
		if err := dec.Decode(&e); err != nil {
			return err
		}
		switch {
		case e.Kind == engine.RunEnded:
			return nil
		case e.Kind == engine.PhaseEnded && e.Phase == phases.RestoreInit && e.Status == engine.OK:
			r.cached = true
			r.disks = time.Duration(e.ElapsedMS) * time.Millisecond
			var err error
			if r.bytes, err = size(e.Run); err != nil {
				return err
			}
		case e.Kind == engine.Progress && e.Phase == phases.Startup && r.on.IsZero():
			r.on = e.Time // the machine has been started; now its guest is waited for
		case e.Kind == engine.PhaseEnded && e.Phase == phases.Startup:
			r.boot = e.Time.Sub(r.on)
		case e.Kind == engine.TaskStarted && e.Phase == phases.Main && r.toMain == 0:
			r.toMain = e.Time.Sub(r.began)
		}
	}
}

// size is how many bytes the folder of a run's machine takes on this host.
func size(run string) (total int64, err error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return 0, err
	}
	dirs, err := filepath.Glob(filepath.Join(home, ".local/share/farm/machines", "*"+run+"*"))
	if err != nil || len(dirs) == 0 {
		return 0, errors.Join(err, fmt.Errorf("run %s has no machine's folder", run))
	}
	for _, dir := range dirs {
		err = errors.Join(err, filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := e.Info()
			if err == nil {
				total += info.Sys().(*syscall.Stat_t).Blocks * 512
			}
			return err
		}))
	}
	return total, err
}

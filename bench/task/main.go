// Command task measures what one task costs over SSH on this machine: a bare round trip
// through a running shell that runs the same program, farm's runner and modules, and 75
// tasks through farm and through ansible-playbook with pipelining and with mitogen. It
// starts its own sshd on the loopback with keys and configuration of its own; -guest takes
// another machine, -without-ansible measures farm's part alone. It prints medians side by side; the exit status is 1 where a target is missed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"farm/bench/target"
	"farm/engine/modules"
	"farm/engine/ssh"
	"farm/engine/task"
	"farm/inventory/expr"
	"farm/inventory/value"
)

const (
	kinds, each  = 3, 25 // shell, stat, copy
	maxBare      = 3.0   // a task, in bare round trips
	minPipelined = 100.0 // times that ansible takes longer
	minMitogen   = 40.0
)

func main() {
	var g guest
	rounds := flag.Int("rounds", 400, "round trips measured")
	runs := flag.Int("runs", 3, "runs of the 75 tasks; the median counts")
	without := flag.Bool("without-ansible", false, "measure farm alone")
	flag.StringVar(&g.addr, "guest", "", "measure on the machine at this `user@host:port` instead of an sshd of its own")
	flag.StringVar(&g.key, "key", "", "private key `file` for -guest")
	flag.StringVar(&g.hostKey, "host-key", "", "public host key `file` of -guest")
	flag.Parse()
	ok, err := measure(context.Background(), g, *rounds, *runs, *without)
	target.Exit("bench/task", ok, err)
}

func measure(ctx context.Context, g guest, rounds, runs int, without bool) (bool, error) {
	dir, err := os.MkdirTemp("", "farm-bench-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	s, err := g.server(dir)
	if err != nil {
		return false, err
	}
	defer s.stop()
	conn, err := ssh.Dial(ctx, s.cfg)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	f := &farm{host: task.NewHost("guest", conn, expr.New(expr.Options{}).Vars())}

	work, err := f.folder(ctx, dir)
	if err != nil {
		return false, err
	}
	defer f.remove(ctx, dir, work)
	bare, err := bareRoundTrip(s, rounds)
	if err != nil {
		return false, fmt.Errorf("bare round trip: %w", err)
	}
	fmt.Printf("%-48s %10s\n", "bare round trip: /bin/true in a running shell", bare.Round(time.Microsecond))
	ok := true
	for i, line := range []string{"command: 'true'", "shell: 'true'", "shell: /bin/true", "stat: {path: /etc/passwd}", "copy: {content: one, dest: " + work + "/one}"} {
		file := filepath.Join(dir, fmt.Sprintf("one%d.yaml", i)) // the runner reads a file once
		if err := os.WriteFile(file, []byte("- "+line+"\n"), 0o600); err != nil {
			return false, err
		}
		one, err := median(rounds, func() error { return f.run(ctx, file) })
		if err != nil {
			return false, fmt.Errorf("farm: %s: %w", line, err)
		}
		name, _, _ := strings.Cut(line, ", dest")
		fmt.Printf("%-48s %10s  %.2fx bare\n", "farm, one task "+name, one.Round(time.Microsecond), ratio(one, bare))
		ok = target.Met(ratio(one, bare) <= maxBare, "a task %s costs %.1f bare round trips, target %.0f", line, ratio(one, bare), maxBare) && ok
	}
	good, err := compare(ctx, s, f, work, runs, without)
	return ok && good, err
}

func report(name string, total, farm time.Duration) {
	fmt.Printf("%-48s %10s  %s a task, %.1fx farm\n", name, total.Round(10*time.Microsecond),
		(total / (kinds * each)).Round(10*time.Microsecond), ratio(total, farm))
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(b) }

func median(n int, f func() error) (time.Duration, error) {
	l, err := times(n, f)
	if err != nil {
		return 0, err
	}
	return target.Median(l), nil
}

func times(n int, f func() error) ([]time.Duration, error) {
	l := make([]time.Duration, 0, n)
	for range max(n, 1) {
		began := time.Now()
		if err := f(); err != nil {
			return nil, err
		}
		l = append(l, time.Since(began))
	}
	return l, nil
}

// farm runs task files as a run does.
type farm struct {
	host   *task.HostState
	runner *task.Runner
}

func (f *farm) run(ctx context.Context, file string) error {
	if f.runner == nil {
		f.runner = task.New(task.Options{Modules: modules.All()})
	}
	return f.runner.RunFile(ctx, file, f.host, nil)
}

// text runs tasks given as text.
func (f *farm) text(ctx context.Context, dir, text string) error {
	f.runner = nil // it reads a file once
	file := filepath.Join(dir, "some.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	return f.run(ctx, file)
}

// folder makes a folder in the guest for the copies.
func (f *farm) folder(ctx context.Context, dir string) (string, error) {
	err := f.text(ctx, dir, "- command: mktemp -d\n  register: made\n")
	made, _ := f.host.Set.Get("made")
	d, _ := made.(*value.Dict)
	path, _ := d.Get("stdout")
	if err == nil && path == nil {
		err = errors.New("mktemp printed nothing")
	}
	return value.Text(path), err
}

func (f *farm) remove(ctx context.Context, dir, work string) {
	f.text(ctx, dir, "- file: {path: "+work+", state: absent}\n")
}

// tasks runs the 75 tasks, read anew each time; the copies are of new files.
func (f *farm) tasks(ctx context.Context, dir, prefix string, runs int) ([]time.Duration, error) {
	n := 0
	return times(runs, func() error {
		n++
		return f.text(ctx, dir, taskList("", fmt.Sprintf("%s-%d", prefix, n)))
	})
}

// taskList is the 75 tasks; the copies are new files that start with prefix.
func taskList(indent, prefix string) string {
	var t strings.Builder
	for i := range each {
		fmt.Fprintf(&t, "%s- shell: echo %d\n", indent, i)
	}
	for range each {
		fmt.Fprintf(&t, "%s- stat: {path: /etc/passwd}\n", indent)
	}
	for i := range each {
		fmt.Fprintf(&t, "%s- copy: {content: \"content %d\\n\", dest: %s-%d}\n", indent, i, prefix, i)
	}
	return t.String()
}

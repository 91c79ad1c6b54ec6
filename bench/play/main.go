// Command play measures a playbook on many hosts: SSH servers in this process, each with
// shells of its own, 20 tasks. It prints the time, the memory at its peak, clients and servers
// together, and the goroutines that are left; the exit status is 1 where a target is missed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"farm/bench/target"
	"farm/engine"
	"farm/engine/modules"
	"farm/engine/play"
	"farm/engine/ssh"
	"farm/engine/task"
	"farm/inventory/expr"
	"farm/inventory/value"
)

const (
	maxTime   = 60 * time.Second // for 1,000 hosts
	maxMemory = 1 << 30          // bytes
)

func main() {
	hosts := flag.Int("hosts", 1000, "how many hosts")
	forks := flag.Int("forks", 32, "tasks that run at once")
	flag.Parse()
	ok, err := measure(context.Background(), *hosts, *forks)
	target.Exit("bench/play", ok, err)
}

func measure(ctx context.Context, n, forks int) (bool, error) {
	dir, err := os.MkdirTemp("", "farm-bench-play-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	plays, err := book(dir)
	if err != nil {
		return false, err
	}
	before := runtime.NumGoroutine()
	s, err := serve(n)
	if err != nil {
		return false, err
	}
	began := time.Now()
	passed, err := run(ctx, plays, s, forks)
	took := time.Since(began)
	s.close()
	if err != nil {
		return false, err
	}
	left := leftGoroutines(before)
	memory, err := peakMemory()
	if err != nil {
		return false, err
	}
	ok := target.Met(passed == n, "%d of %d hosts passed", passed, n)
	ok = target.Met(took <= maxTime, "%d hosts x %d tasks: %.1f s, target %.0f s", n, tasks, took.Seconds(), maxTime.Seconds()) && ok
	ok = target.Met(memory <= maxMemory, "%d MiB at the peak, servers too, target %d MiB", memory>>20, maxMemory>>20) && ok
	return target.Met(left == 0, "%d goroutines left", left) && ok, nil
}

// tasks is how many the book has.
const tasks = 20

func book(dir string) ([]*play.Play, error) {
	var b strings.Builder
	b.WriteString("- hosts: all\n  gather_facts: false\n  tasks:\n")
	for i := range tasks {
		line := [...]string{"shell: echo %d", "stat: {path: /etc/passwd, get_checksum: no}", "command: echo {{ inventory_hostname }} %d", "set_fact: {n: %d}"}[i%4]
		if strings.Contains(line, "%d") {
			line = fmt.Sprintf(line, i)
		}
		fmt.Fprintf(&b, "  - %s\n", line)
	}
	path := filepath.Join(dir, "book.yaml")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		return nil, err
	}
	return play.Read(task.NewParser(modules.All()), path, nil)
}

// run plays and counts the hosts that passed.
func run(ctx context.Context, plays []*play.Play, s *servers, forks int) (passed int, err error) {
	var mu sync.Mutex
	var first string
	err = play.Run(ctx, ctx, plays, play.Options{
		Task: task.Options{Modules: modules.All()}, Hosts: s, Forks: forks,
		Login: func(name string, _ *expr.Vars) (play.Login, error) {
			return play.Login{User: "bench", Open: func(ctx context.Context) (engine.Conn, error) {
				c, err := ssh.Dial(ctx, s.config(name))
				if err != nil {
					return nil, err
				}
				return c, nil
			}}, nil
		},
		Emit: func(e engine.Event) {
			mu.Lock()
			defer mu.Unlock()
			if e.Kind == engine.VMEnded && e.Status == engine.OK {
				passed++
			} else if e.Kind == engine.VMEnded && first == "" {
				first = e.VM + ": " + e.Text
			}
		},
	})
	if first != "" {
		fmt.Fprintln(os.Stderr, first)
	}
	return passed, err
}

// leftGoroutines is how many more there are than before, once those that end have ended.
func leftGoroutines(before int) int {
	left := 0
	for range 50 {
		if left = runtime.NumGoroutine() - before; left <= 0 {
			return 0
		}
		<-time.After(100 * time.Millisecond)
	}
	return left
}

// peakMemory is the most that the process had resident, in bytes (VmHWM, proc_pid_status(5)).
func peakMemory() (int64, error) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("/proc/self/status has no VmHWM")
}

// HostNames lists the servers.
func (s *servers) HostNames() []string { return s.names }

// HostVars is the host's name.
func (s *servers) HostVars(name string) *expr.Vars {
	return s.engine.Vars(value.NewDict("inventory_hostname", name))
}

// Joined is HostVars: there are no groups with variables.
func (s *servers) Joined(name string, groups []string) (*expr.Vars, []string) {
	return s.HostVars(name), groups
}

// Command list measures how long `farm list --json` takes and how much memory, for an
// inventory of 10,000 and one of 100,000 VMs whose definitions extend the built-in ones.
// Run `make build` first. The exit status is 1 where a target is missed.
package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"farm/bench/target"
)

// The targets: of the small inventory, and of the large one in multiples of it.
const (
	small, large = 10_000, 100_000
	maxTime      = time.Second
	maxMiB       = 200
	maxRatio     = 12 // ten times as many VMs; the rest is for the garbage collector
)

func main() {
	farm := flag.String("farm", "bin/farm", "the program")
	runs := flag.Int("runs", 3, "runs of each; the medians count")
	flag.Parse()
	ok, err := measure(*farm, *runs)
	target.Exit("bench/list", ok, err)
}

func measure(farm string, runs int) (ok bool, err error) {
	dir, err := os.MkdirTemp("", "farm-bench-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	fmt.Printf("%9s  %10s  %10s  %10s\n", "VMs", "wall", "CPU", "peak")
	var of [2]usage
	for i, n := range []int{small, large} {
		file := filepath.Join(dir, fmt.Sprintf("inventory%d.yaml", n))
		if err := os.WriteFile(file, inventory(100, n/100), 0o600); err != nil {
			return false, err
		}
		if of[i], err = median(farm, file, n, runs); err != nil {
			return false, err
		}
		fmt.Printf("%9d  %10s  %10s  %6d MiB\n", n, of[i].wall.Round(time.Millisecond), of[i].cpu.Round(time.Millisecond), of[i].peakMiB)
	}
	ratio := of[1].cpu.Seconds() / of[0].cpu.Seconds() // processor time: others on the machine stretch the long run's wall time
	ok = target.Met(of[0].wall <= maxTime, "%d VMs: %.2f s, target %.0f s", small, of[0].wall.Seconds(), maxTime.Seconds())
	ok = target.Met(of[0].peakMiB <= maxMiB, "%d VMs: %d MiB, target %d MiB", small, of[0].peakMiB, maxMiB) && ok
	return target.Met(ratio <= maxRatio, "%d VMs: %.1fx the processor time of %d, target %dx", large, ratio, small, maxRatio) && ok, nil
}

// inventory asks for every pair of the platforms and targets, each with a name of its own.
func inventory(platforms, targets int) []byte {
	var b bytes.Buffer
	list := func(what, prefix string, n int) {
		fmt.Fprintf(&b, "          %s: [", what)
		for i := range n {
			fmt.Fprintf(&b, "%s%d, ", prefix, i)
		}
		b.WriteString("]\n")
	}
	b.WriteString("all:\n  hosts:\n    localhost:\n      config:\n        permutations:\n")
	list("platforms", "p", platforms)
	list("targets", "t", targets)
	b.WriteString("platforms:\n")
	for i := range platforms {
		fmt.Fprintf(&b, "  p%d: {extends: debian_bootstrap, vars: {suite: bookworm, disk_size: 4G}, ram: %d}\n", i, 512+i)
	}
	b.WriteString("targets:\n")
	for i := range targets {
		fmt.Fprintf(&b, "  t%d: {extends: amd64, metadata: {target_name: t%d}}\n", i, i)
	}
	return b.Bytes()
}

// usage is what one run took.
type usage struct {
	wall, cpu time.Duration
	peakMiB   int64
}

func median(farm, file string, vms, runs int) (usage, error) {
	all := make([]usage, 0, runs)
	for range max(runs, 1) {
		u, err := list(farm, file, vms)
		if err != nil {
			return u, err
		}
		all = append(all, u)
	}
	slices.SortFunc(all, func(a, b usage) int { return int(a.wall - b.wall) })
	return all[len(all)/2], nil
}

// list runs the program and counts the lines, one for each VM.
func list(farm, file string, vms int) (usage, error) {
	cmd := exec.Command(farm, "list", file, "--json")
	var text bytes.Buffer
	cmd.Stderr = &text
	out, err := cmd.StdoutPipe()
	if err != nil {
		return usage{}, err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return usage{}, err
	}
	lines, err := countLines(out)
	if err := errors.Join(err, cmd.Wait()); err != nil {
		return usage{}, fmt.Errorf("%v: %w: %s", cmd, err, text.Bytes())
	}
	wall := time.Since(began)
	if lines != vms {
		return usage{}, fmt.Errorf("%v: %d lines for %d VMs", cmd, lines, vms)
	}
	peak := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss >> 10 // Linux: KiB
	return usage{wall, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), peak}, nil
}

func countLines(r interface{ Read([]byte) (int, error) }) (n int, err error) {
	s := bufio.NewScanner(r)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		n++
	}
	return n, s.Err()
}

// Command input measures what `farm validate` takes to refuse the worst files: wall time and
// peak memory. Run `make build` first. The exit status is 1 where a target is missed.
package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"farm/bench/target"
)

// The targets for each file, and the status that farm ends with for bad input.
const (
	maxTime = time.Second
	maxMiB  = 256
	badFile = 65
)

func main() {
	farm := flag.String("farm", "bin/farm", "the program")
	runs := flag.Int("runs", 5, "runs with each file; the medians count")
	flag.Parse()
	ok, err := measure(*farm, *runs)
	target.Exit("bench/input", ok, err)
}

// files are inventories that cost the most to refuse. They are written piece by piece: the peak of a
// program counts what the one that started it had.
var files = []struct {
	name  string
	write func(w io.Writer)
}{
	{"alias bomb", func(w io.Writer) { bomb(w, 200) }},
	{"100,000 anchors", func(w io.Writer) { many(w, "- &a%d x\n", 100_000) }},
	{"26,000 keys, the last one bad", func(w io.Writer) { many(w, "k%d: x\n", 26_000); io.WriteString(w, "  bad:\n x") }},
	{"a list of 490,000 items", func(w io.Writer) { around(w, "[", "a,", 490_000, "]") }},
	{"a list of 8,000,000 items", func(w io.Writer) { around(w, "[", "a,", 8_000_000, "]") }},
	{"490,000 comments, then a tab", func(w io.Writer) { around(w, "", "# x\n", 490_000, "a:\n\tb: 1\n") }},
	{"600,000 open brackets", func(w io.Writer) { around(w, "", "[", 600_000, "") }},
	{"600,000 dashes", func(w io.Writer) { around(w, "", "- ", 600_000, "") }},
	{"100 MB", func(w io.Writer) { around(w, "", "# a comment, again\n", 100_000_000/19, "") }},
	{"no UTF-8", func(w io.Writer) { around(w, "all: \"", "\xff", 1_000_000, "\"\n") }},
}

func bomb(w io.Writer, levels int) {
	io.WriteString(w, "a0: &a0 [x,x,x,x,x,x,x,x,x]\n")
	for i := 1; i < levels; i++ {
		fmt.Fprintf(w, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i-1), 9), ","))
	}
}

func many(w io.Writer, format string, n int) {
	for i := range n {
		fmt.Fprintf(w, format, i)
	}
}

func around(w io.Writer, before, text string, n int, after string) {
	io.WriteString(w, before)
	for range n {
		io.WriteString(w, text)
	}
	io.WriteString(w, after)
}

// create writes one of them.
func create(path string, write func(w io.Writer)) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	write(w)
	return errors.Join(w.Flush(), f.Close())
}

func measure(farm string, runs int) (bool, error) {
	dir, err := os.MkdirTemp("", "farm-bench-input-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	fmt.Printf("%-30s  %8s  %8s  %s\n", "file", "wall", "peak", "first words")
	var slowest time.Duration
	var largest int64
	for _, f := range files {
		path := filepath.Join(dir, "inventory.yaml")
		if err := create(path, f.write); err != nil {
			return false, err
		}
		var walls []time.Duration
		var peaks []int64
		var said string
		for range max(runs, 1) {
			wall, peak, text, err := refuse(farm, path)
			if err != nil {
				return false, fmt.Errorf("%s: %w", f.name, err)
			}
			walls, peaks, said = append(walls, wall), append(peaks, peak), strings.TrimPrefix(text, path)
		}
		wall, peak := target.Median(walls), target.Median(peaks)
		slowest, largest = max(slowest, wall), max(largest, peak)
		fmt.Printf("%-30s  %6.2f s  %4d MiB  %.60s\n", f.name, wall.Seconds(), peak, said)
	}
	ok := target.Met(slowest <= maxTime, "at most %.2f s, target %.0f s", slowest.Seconds(), maxTime.Seconds())
	return target.Met(largest <= maxMiB, "at most %d MiB, target %d MiB", largest, maxMiB) && ok, nil
}

// refuse runs the program on a bad file; peak is in MiB, text the first line of what it says.
func refuse(farm, path string) (wall time.Duration, peak int64, text string, err error) {
	cmd := exec.Command(farm, "validate", path)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	began := time.Now()
	err = cmd.Run()
	wall = time.Since(began)
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != badFile {
		return 0, 0, "", fmt.Errorf("%v: %v, want status %d: %.200s", cmd, err, badFile, out.Bytes())
	}
	text, _, _ = strings.Cut(out.String(), "\n")
	return wall, cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss >> 10, text, nil // Linux: KiB
}

//go:build conformance

package expr

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"testing"
	"time"
)

var (
	seed  = flag.Uint64("seed", uint64(time.Now().UnixNano()), "of the questions")
	count = flag.Int("questions", 1500, "of questions")
	keep  = flag.String("keep", "", "append the questions whose answers differ to this file, one JSON object a line")
)

// TestGeneratedAnswersAreAnsibles asks this package and the ansible-core of this machine
// the same generated questions:
//
//	go test -tags conformance -run Generated ./inventory/expr -seed 1 -questions 2000
//
// An answer that was found to differ belongs into testdata, where every run of the tests sees it.
func TestGeneratedAnswersAreAnsibles(t *testing.T) {
	t.Logf("-seed %d", *seed)
	ask := startOracle(t)
	vars := corpusVars(t)
	differ := 0
	for _, q := range questions(*seed, *count) {
		item := ask(q)
		d := differs(vars.With(), item)
		if d == "" {
			continue
		}
		differ++
		text, _ := json.Marshal(q)
		t.Errorf("%s\n%s", text, d)
		if *keep != "" {
			appendLine(t, *keep, text)
		}
	}
	t.Logf("%d of %d answers differ", differ, *count)
}

func appendLine(t *testing.T, file string, line []byte) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(append(line, '\n')); err != nil {
		t.Fatal(err)
	}
}

// startOracle runs testdata/oracle.py until the test ends and returns what asks it.
func startOracle(t *testing.T) func(corpusItem) corpusItem {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	cmd := exec.CommandContext(ctx, "/usr/bin/python3", "testdata/oracle.py")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Wait()
		cancel()
	})
	enc := json.NewEncoder(in)
	lines := bufio.NewReader(out)
	return func(q corpusItem) corpusItem {
		if err := enc.Encode(q); err != nil {
			t.Fatal(err)
		}
		line, err := lines.ReadBytes('\n')
		if err != nil {
			t.Fatalf("the oracle ended at %s: %v", q, err)
		}
		var answer corpusItem
		if err := json.Unmarshal(line, &answer); err != nil {
			t.Fatal(err)
		}
		return answer
	}
}

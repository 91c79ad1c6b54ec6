package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A page's ```yaml blocks that begin with "# PATH" are files, its ```console blocks
// commands with what they print. "```console run" needs guests and is run elsewhere.
func TestDocsPrintWhatTheySay(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	pages = append(pages, "../../README.md")
	for _, page := range pages {
		t.Run(filepath.Base(page), func(t *testing.T) {
			text, err := os.ReadFile(page)
			if err != nil {
				t.Fatal(err)
			}
			t.Setenv("FARM_HOME", t.TempDir())
			t.Chdir(t.TempDir())
			blocks := blocksOf(string(text))
			for _, b := range blocks {
				b.write(t)
			}
			for _, b := range blocks {
				b.check(t)
			}
		})
	}
}

// block is a fenced block: its info string and its lines.
type block struct {
	info  string
	lines []string
}

func blocksOf(text string) []block {
	var blocks []block
	var open *block
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		fence, isFence := strings.CutPrefix(line, "```")
		switch {
		case isFence && open == nil:
			open = &block{info: fence}
		case isFence:
			blocks, open = append(blocks, *open), nil
		case open != nil:
			open.lines = append(open.lines, line)
		}
	}
	return blocks
}

func (b block) write(t *testing.T) {
	if b.info != "yaml" || len(b.lines) == 0 {
		return
	}
	name, ok := strings.CutPrefix(b.lines[0], "# ")
	if !ok {
		t.Errorf("a yaml block does not begin with its file's name: %s", b.lines[0])
		return
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(strings.Join(b.lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (b block) check(t *testing.T) {
	if b.info != "console" {
		return
	}
	for i := 0; i < len(b.lines); {
		command, ok := strings.CutPrefix(b.lines[i], "$ farm ")
		if !ok {
			t.Fatalf("not a command: %q", b.lines[i])
		}
		var want []string
		for i++; i < len(b.lines) && !strings.HasPrefix(b.lines[i], "$ "); i++ {
			want = append(want, b.lines[i])
		}
		var out bytes.Buffer
		a := &app{in: strings.NewReader(""), out: &out, err: &out, getenv: os.Getenv}
		status := a.main(context.Background(), words(command))
		if diff := cmp.Diff(strings.Join(want, "\n"), trimRight(out.String())); diff != "" || status != 0 {
			t.Errorf("farm %s: exit status %d (-page +farm):\n%s", command, status, diff)
		}
	}
}

func trimRight(text string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

// words splits a command line at spaces outside single quotes.
func words(text string) []string {
	var list []string
	for i, part := range strings.Split(text, "'") {
		if i%2 == 1 {
			list = append(list, part)
			continue
		}
		list = append(list, strings.Fields(part)...)
	}
	return list
}

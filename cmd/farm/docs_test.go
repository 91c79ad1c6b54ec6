package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"farm/docs"
)

func TestDocsPrintWhatTheySay(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	for _, page := range append(pages, "../../README.md") {
		t.Run(filepath.Base(page), func(t *testing.T) {
			text, err := os.ReadFile(page)
			if err != nil {
				t.Fatal(err)
			}
			t.Setenv("FARM_HOME", t.TempDir())
			t.Chdir(t.TempDir())
			blocks := docs.Blocks(string(text))
			for _, b := range blocks {
				if err := b.WriteFile("."); err != nil {
					t.Fatal(err)
				}
			}
			for _, b := range blocks {
				if b.Info == "console" {
					checkCommands(t, b)
				}
			}
		})
	}
}

func checkCommands(t *testing.T, b docs.Block) {
	commands, err := b.Commands()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range commands {
		var out bytes.Buffer
		a := &app{in: strings.NewReader(""), out: &out, err: &out, getenv: os.Getenv}
		status := a.main(context.Background(), c.Args)
		if diff := cmp.Diff(c.Want, trimRight(out.String())); diff != "" || status != 0 {
			t.Errorf("farm %s: exit status %d (-page +farm):\n%s", strings.Join(c.Args, " "), status, diff)
		}
	}
}

// trimRight takes the spaces at the ends of lines away.
func trimRight(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

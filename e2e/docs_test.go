//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"farm/docs"
)

// TestTutorialRuns does what the tutorial says, on real guests.
func TestTutorialRuns(t *testing.T) {
	text, err := os.ReadFile("../docs/tutorial.md")
	if err != nil {
		t.Fatal(err)
	}
	farm, err := filepath.Abs("../bin/farm")
	if err != nil {
		t.Fatal(err)
	}
	home, err := guestHome() // its image may be there already
	if err != nil {
		t.Fatal(err)
	}
	dir, runs := t.TempDir(), 0
	blocks := docs.Blocks(string(text))
	for _, b := range blocks {
		if err := b.WriteFile(dir); err != nil {
			t.Fatal(err)
		}
	}
	for _, b := range blocks {
		if b.Info != "console run" {
			continue
		}
		commands, err := b.Commands()
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range commands {
			cmd := exec.CommandContext(t.Context(), farm, append(c.Args, "--keep", "never")...)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "HOME="+home, "FARM_HOME="+t.TempDir())
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("farm %v: %v\n%s", c.Args, err, out)
			}
			runs++
		}
	}
	if runs == 0 {
		t.Error("the tutorial runs nothing")
	}
}

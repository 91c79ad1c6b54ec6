package main

import (
	"os/exec"
	"strings"
	"testing"

	"farm/engine/runner"
)

func TestQuoteGivesShellsTheText(t *testing.T) {
	for text, want := range map[string]string{
		"plain/path-1.yaml": "plain/path-1.yaml",
		"k=v":               "k=v",
		"":                  "''",
		"two words":         "'two words'",
		"it's":              `'it'\''s'`,
		"$HOME; `id`":       "'$HOME; `id`'",
		"new\nline":         "'new\nline'",
		"*":                 "'*'",
	} {
		got := quote(text)
		if got != want {
			t.Errorf("quote(%q) = %s, not %s", text, got, want)
		}
		if out, err := exec.Command("sh", "-c", "printf %s "+got).Output(); err != nil || string(out) != text {
			t.Errorf("a shell makes %q of %s (%v)", out, got, err)
		}
	}
}

func TestAgainRepeatsARunWithoutItsSecrets(t *testing.T) {
	mask := &runner.Mask{}
	mask.Add("hunter2")
	s := &session{path: "/my projects/100%/inventory.yaml", mask: mask, flags: &runFlags{inventoryFlags: inventoryFlags{
		vars: []string{"vde.yaml"}, extra: []string{"a=b c", "ansible_password=hunter2"},
	}}}
	got := s.again()
	if !strings.HasPrefix(got, `farm run '/my projects/100%%/inventory.yaml' --vars vde.yaml -e 'a=b c' -e `) || !strings.HasSuffix(got, " -l %s") {
		t.Errorf("got %s", got)
	}
	if strings.Contains(got, "hunter2") {
		t.Errorf("a secret in %s", got)
	}
}

func TestKeepModeSuitsWhereFarmRuns(t *testing.T) {
	for _, c := range []struct {
		keep, ci string
		want     runner.Keep
	}{
		{"", "", runner.KeepOnFailure},
		{"", "true", runner.KeepNever},
		{"", "false", runner.KeepOnFailure},
		{"always", "true", runner.KeepAlways},
		{"never", "", runner.KeepNever},
		{"on-failure", "1", runner.KeepOnFailure},
	} {
		f := runFlags{keep: c.keep}
		got, err := f.keepMode(func(string) string { return c.ci })
		if err != nil || got != c.want {
			t.Errorf("--keep %q with CI=%q: %v, %v", c.keep, c.ci, got, err)
		}
	}
	f := runFlags{keep: "maybe"}
	if _, err := f.keepMode(func(string) string { return "" }); exitStatus(err) != exitUsage {
		t.Errorf("--keep maybe: %v", err)
	}
}

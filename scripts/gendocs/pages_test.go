package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReferencePagesAreCurrent(t *testing.T) {
	const root = "../.."
	all, err := pages(root)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range all {
		have, err := os.ReadFile(filepath.Join(root, folder, name))
		if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(want, string(have)); diff != "" {
			t.Errorf("%s/%s is old; `make docs` renews it (-code +page):\n%s", folder, name, diff)
		}
	}
}

func TestCellKeepsMarkdownOut(t *testing.T) {
	for text, want := range map[string]string{
		"plain":           "plain",
		"a_b|c":           `a\_b\|c`,
		"`a_b` and `c|d`": "`a_b` and `c\\|d`",
	} {
		if got := cell(text); got != want {
			t.Errorf("cell(%q) = %q, not %q", text, got, want)
		}
	}
}

func TestNamedSpeaksOfWhatUsersWrite(t *testing.T) {
	for _, c := range [][4]string{
		{"Src is a path.", "Src", "src", "`src` is a path."},
		{"Sources of it.", "Src", "src", "Sources of it."},
	} {
		if got := named(c[0], c[1], c[2]); got != c[3] {
			t.Errorf("got %q, not %q", got, c[3])
		}
	}
}

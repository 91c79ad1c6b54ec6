package main

import (
	"slices"
	"testing"
)

func TestCommandStandsBehindTheID(t *testing.T) {
	for _, c := range []struct{ args, want []string }{
		{[]string{"a/b"}, nil},
		{[]string{"a/b", "uname", "-a"}, []string{"uname", "-a"}},
		{[]string{"a/b", "--", "uname", "-a"}, []string{"uname", "-a"}},
		{[]string{"a/b", "--"}, nil},
		{[]string{"a/b", "git", "log", "--", "x"}, []string{"git", "log", "--", "x"}},
	} {
		if got := commandOf(c.args); !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, want %q", c.args, got, c.want)
		}
	}
}

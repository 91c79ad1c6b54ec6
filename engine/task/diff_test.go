package task

import (
	"strings"
	"testing"

	"farm/inventory/value"
)

// The texts are what ansible-playbook --diff prints of the same values.
func TestUnifiedIsWhatAnsiblePrints(t *testing.T) {
	numbered := func(change map[int]string) string {
		var b strings.Builder
		for i := range 30 {
			if s, ok := change[i]; ok {
				b.WriteString(s)
				continue
			}
			b.WriteString(strings.Repeat("l", 1+i%4) + "\n")
		}
		return b.String()
	}
	for _, c := range []struct {
		name string
		diff any
		want string
	}{
		{"attributes", value.NewDict("before", value.NewDict("mode", "0755", "path", "/w"), "after", value.NewDict("mode", "0700", "path", "/w")),
			"--- before\n+++ after\n@@ -1,2 +1,2 @@\n-mode: 0755\n+mode: 0700\n path: /w\n"},
		{"a new file", []any{value.NewDict("before", "", "after", "a\nb\n", "after_header", "/t")}, "--- before\n+++ after: /t\n@@ -0,0 +1,2 @@\n+a\n+b\n"},
		{"one line", value.NewDict("before", "", "after", "hi\n"), "--- before\n+++ after\n@@ -0,0 +1 @@\n+hi\n"},
		{"a changed line", value.NewDict("before", "a\nb\n", "after", "a\nc\n"), "--- before\n+++ after\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n"},
		{"no newline", value.NewDict("before", "a\n", "after", "z"), "--- before\n+++ after\n@@ -1 +1 @@\n-a\n+z\n\\ No newline at end of file\n"},
		{"nothing", value.NewDict("before", "a", "after", "a"), ""},
		{"a removed file", value.NewDict("before", "a\n", "after", ""), "--- before\n+++ after\n@@ -1 +0,0 @@\n-a\n"},
		{"two places", value.NewDict("before", numbered(nil), "after", numbered(map[int]string{2: "two\n", 20: "", 21: "x\ny\nz\n"})),
			"--- before\n+++ after\n@@ -1,6 +1,6 @@\n l\n ll\n-lll\n+two\n llll\n l\n ll\n@@ -18,8 +18,9 @@\n ll\n lll\n llll\n-l\n-ll\n+x\n+y\n+z\n lll\n llll\n l\n"},
		{"near places are one", value.NewDict("before", "a\n1\n2\n3\n4\n5\n6\nb\n", "after", "A\n1\n2\n3\n4\n5\n6\nB\n"),
			"--- before\n+++ after\n@@ -1,8 +1,8 @@\n-a\n+A\n 1\n 2\n 3\n 4\n 5\n 6\n-b\n+B\n"},
		{"binary", []any{value.NewDict("dst_binary", int64(1), "after", "x")}, "diff skipped: the old file is no text\n"},
		{"large", []any{value.NewDict("src_larger", int64(104448), "before", "x")}, "diff skipped: the new file is larger than 104448 bytes\n"},
		{"no diff at all", "text", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := unified(c.diff); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestUnifiedOfLargeTextsEnds(t *testing.T) {
	before, after := strings.Repeat("a\n", 50000), strings.Repeat("b\n", 50000)
	if got := unified(value.NewDict("before", before, "after", after)); strings.Count(got, "\n") != 100003 {
		t.Errorf("%d lines", strings.Count(got, "\n"))
	}
}

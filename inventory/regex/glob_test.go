package regex

import (
	"regexp"
	"testing"
)

func TestGlobMatchesAsTheShell(t *testing.T) {
	for _, c := range []struct {
		glob    string
		yes, no []string
	}{
		{"*", []string{"", "a", "a/b", "a\nb"}, nil},
		{"?.c", []string{"a.c", "/.c", "é.c"}, []string{".c", "ab.c", "axc"}},
		{"[ab]x", []string{"ax", "bx"}, []string{"cx", "[ab]x"}},
		{"[!ab]x", []string{"cx"}, []string{"ax", "bx", "x"}},
		{"[0-9]", []string{"5"}, []string{"-", "55"}},
		{`[\]`, []string{`\`}, []string{"]"}},
		{"[", []string{"["}, []string{""}},
		{"[]x", []string{"[]x"}, []string{"x"}},
		{"a.b", []string{"a.b"}, []string{"axb", "a.bc", "xa.b"}},
		{"é*", []string{"éa"}, []string{"a"}},
	} {
		re, err := regexp.Compile(Glob(c.glob))
		if err != nil {
			t.Errorf("%q: %v", c.glob, err)
			continue
		}
		for _, s := range c.yes {
			if !re.MatchString(s) {
				t.Errorf("%q does not match %q", c.glob, s)
			}
		}
		for _, s := range c.no {
			if re.MatchString(s) {
				t.Errorf("%q matches %q", c.glob, s)
			}
		}
	}
	if _, err := regexp.Compile(Glob("[z-a]")); err == nil {
		t.Error("[z-a] compiles")
	}
}

package regex

import (
	"strings"
	"testing"
)

// The answers are those of Python 3.11's re.
func TestMatchesAndReplacesAsPython(t *testing.T) {
	for _, c := range []struct{ pattern, text, repl, want string }{
		{`(?P<a>.)(.)`, "xy", `\1\2\g<a>\g<2>\g<0>`, "xyxyxy"},
		{`([(]?)(?P<n>b)(?P=n)`, "(bb", `\1-\2`, "(-b"},
		{`[]\])]+\Z`, "a])", `\t\n\\\.`, "\t\n\\\\."},
		{`(?:a)(b)\(`, "ab(", `\g<1>0`, "b0"},
		{`(?P<x>a)(b)(?P<y>c)`, "abc", `\3\2\1`, "cba"},
		{`(a)\1`, "aa", `\g<1>`, "a"},
		{`(a)(?=b)`, "ab", `<\1>`, "<a>"},
		{`(?<!x)a(?!c)`, "ab", `\060`, "0"},
		{`(b)?a`, "a", `[\1]`, "[]"},
		{`a{,2}`, "aaa", `x`, "x"},
		{`[[]a`, "[a", `x`, "x"},
		{`[a-c-[b]`, "b", `x`, "x"},
		{`\x41\u00e9`, "Aé", `x`, "x"},
		{`[\101]`, "A", `\101`, "A"},
		{`(?i)ABC`, "abc", `x`, "x"},
		{`(?a)\w`, "é_", `x`, "x"},
		{`(?#no)b`, "b", `x`, "x"},
		{`(x)?(?(1)y|b)`, "b", `x`, "x"},
		{`\é`, "é", `x`, "x"},
		{`(((((((((((k)))))))))))\11`, "kk", `\11`, "k"},
	} {
		re, err := Compile(c.pattern, 0)
		if err != nil {
			t.Error(err)
			continue
		}
		m, err := re.FindStringMatch(c.text)
		if m == nil || err != nil {
			t.Errorf("%s does not match %s: %v", c.pattern, c.text, err)
			continue
		}
		if got, err := re.Expand(c.repl, m); got != c.want || err != nil {
			t.Errorf("%s: %q %v, want %q", c.pattern, got, err, c.want)
		}
	}
}

func TestRefusesWhatPythonRefuses(t *testing.T) {
	for _, bad := range []string{"(", "(?P<a", "(?P=b)", "[", "*", `\q`, `\p{L}`, `[\A]`, `(?<name>a)`, `(?'n'a)`, `\1`, `(a)\2`, `(\1)`, `a(?i)`, `(?n)a`, `(?P<1a>b)`, `(?P<a>b)(?P<a>c)`, `\x4`, `a\`, `\400`, `[\8]`, `(?Px)`, `(?(`, `(?(x)a)`, `(?i`, `(?#`, `\U00110000`} {
		if _, err := Compile(bad, 0); err == nil || !strings.HasPrefix(err.Error(), "the regular expression ") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	re, err := Compile(`(a)(?P<b>b)`, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{`\3`, `\g<c>`, `\g<3>`, `\q`, `\`, `\g1`, `\g<1`, `\g<>`, `\g<-1>`, `\400`, `\99999999999`} {
		if _, err := re.Template(bad); err == nil {
			t.Errorf("the replacement %q is accepted", bad)
		}
	}
	if n, err := re.Number("b"); n != 2 || err != nil || re.Groups() != 2 {
		t.Errorf("group b is %d of %d: %v", n, re.Groups(), err)
	}
}

func TestOptionsAddUp(t *testing.T) {
	for _, c := range []struct {
		pattern string
		options Options
		text    string
		want    bool
	}{
		{"^B$", Multiline | IgnoreCase, "a\nb\nc", true},
		{"^b$", 0, "a\nb\nc", false},
		{"a.b", DotAll, "a\nb", true},
		{"(?s)a.b", 0, "a\nb", true},
		{"(?m:^b$)", 0, "a\nb", true},
		{"a.b", 0, "a\nb", false},
		{`a\Z`, 0, "a\n", false},
		{"a$", 0, "a\n", true},
	} {
		re, err := Compile(c.pattern, c.options)
		if err != nil {
			t.Error(err)
			continue
		}
		if got, err := re.MatchString(c.text); got != c.want || err != nil {
			t.Errorf("%s on %q: %v %v", c.pattern, c.text, got, err)
		}
	}
}

func FuzzCompile(f *testing.F) {
	for _, seed := range []string{`(?P<a>.)(?P=a)`, `[^]]\Z`, `(?(1)a|b)`, `\101\x41`, `a{,3}`, `(?i-s:x)`} {
		f.Add(seed, `\1\g<a>`)
	}
	f.Fuzz(func(t *testing.T, pattern, repl string) {
		re, err := Compile(pattern, 0)
		if err != nil {
			return
		}
		_, _ = re.Template(repl)
	})
}

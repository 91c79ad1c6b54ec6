package modules

import "testing"

func TestEncoded(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"UTF-8", "ü€", "ü€"}, {"latin-1", "aü", "a\xfc"}, {"ISO-8859-1", "ÿ", "\xff"}, {"windows-1252", "€ü", "\x80\xfc"},
		{"utf-16-be", "a€", "\x00a\x20\xac"}, {"utf_16", "a", "\xff\xfea\x00"}, {"us-ascii", "a", "a"},
	} {
		if got, err := encoded(c.text, c.name); err != nil || string(got) != c.want {
			t.Errorf("%s of %q: %q (%v), want %q", c.name, c.text, got, err, c.want)
		}
	}
	for name, text := range map[string]string{"latin-1": "€", "ascii": "ü", "cp1252": "\u0081", "ebcdic": "a"} {
		if got, err := encoded(text, name); err == nil {
			t.Errorf("%s of %q: %q", name, text, got)
		}
	}
}

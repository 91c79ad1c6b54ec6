package regex

import (
	"fmt"
	"strconv"
	"strings"
)

// Template is a parsed replacement.
type Template struct {
	re    *Regex
	parts []part
}

// part is text, or the text of a group.
type part struct {
	text  string
	group int // -1 = text
}

// Template parses a replacement for re as re.sub does: \1, \g<1>, \g<name>, \n and the
// like. It refuses a group that re does not have and escapes of other letters.
func (re *Regex) Template(repl string) (*Template, error) {
	t := &Template{re: re}
	if err := t.parse(repl); err != nil {
		return nil, fmt.Errorf("the replacement %q: %w", repl, err)
	}
	return t, nil
}

// Expand is what the template makes of a match.
func (t *Template) Expand(m *Match) string {
	var b strings.Builder
	for _, p := range t.parts {
		if p.group < 0 {
			b.WriteString(p.text)
		} else {
			s, _ := t.re.Group(m, p.group)
			b.WriteString(s)
		}
	}
	return b.String()
}

// Expand puts a match's groups into a replacement.
func (re *Regex) Expand(repl string, m *Match) (string, error) {
	t, err := re.Template(repl)
	if err != nil {
		return "", err
	}
	return t.Expand(m), nil
}

func (t *Template) text(s string) {
	if n := len(t.parts) - 1; n >= 0 && t.parts[n].group < 0 {
		t.parts[n].text += s
	} else {
		t.parts = append(t.parts, part{s, -1})
	}
}

func (t *Template) group(id string) error {
	n, err := t.re.Number(id)
	if err == nil {
		t.parts = append(t.parts, part{"", n})
	}
	return err
}

func (t *Template) parse(s string) error {
	for {
		i := strings.IndexByte(s, '\\')
		if i < 0 {
			t.text(s)
			return nil
		}
		t.text(s[:i])
		n, err := t.escape(s[i+1:])
		if err != nil {
			return err
		}
		s = s[i+1+n:]
	}
}

// escape parses what follows a backslash and returns its length.
func (t *Template) escape(s string) (int, error) {
	if s == "" {
		return 0, fmt.Errorf(`a lone \ at the end`)
	}
	c := s[0]
	switch {
	case c == 'g':
		end := strings.IndexByte(s, '>')
		if end < 0 || s[1] != '<' {
			return 0, fmt.Errorf(`\g is followed by <a group>`)
		}
		return end + 1, t.group(s[2:end])
	case c >= '0' && c <= '9':
		return t.digits(s)
	case strings.IndexByte("abfnrtv\\", c) >= 0:
		t.text("\a\b\f\n\r\t\v\\"[strings.IndexByte("abfnrtv\\", c):][:1])
	case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
		return 0, fmt.Errorf(`bad escape \%c`, c)
	default:
		t.text(`\` + s[:1])
	}
	return 1, nil
}

// digits is a group's number of one or two digits, or a character in octal after \0 or
// of three digits.
func (t *Template) digits(s string) (int, error) {
	n := 1
	for n < len(s) && n < 3 && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	octal := 0
	for octal < n && s[octal] <= '7' {
		octal++
	}
	if octal == 3 || s[0] == '0' {
		octal = max(octal, 1)
		code, _ := strconv.ParseUint(s[:octal], 8, 32)
		if code > 0o377 {
			return 0, fmt.Errorf(`octal escape \%s past \377`, s[:octal])
		}
		t.text(string(rune(code)))
		return octal, nil
	}
	n = min(n, 2)
	return n, t.group(s[:n])
}

package regex

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// translator turns Python's syntax into that of the engine, which is .NET's. There named
// groups are numbered after all others, so they lose their names; and some things
// that mean nothing or are faults in Python mean something.
type translator struct {
	s      string
	i      int
	b      strings.Builder
	names  map[string]int
	groups int
	open   []int // the groups that t.i is in, 0 for one without a number
}

func (t *translator) rest() string { return t.s[t.i:] }

// take writes n bytes as they are.
func (t *translator) take(n int) {
	t.b.WriteString(t.s[t.i : t.i+n])
	t.i += n
}

func (t *translator) translate() (string, error) {
	for t.i < len(t.s) {
		var err error
		switch t.s[t.i] {
		case '\\':
			err = t.escape(false)
		case '[':
			err = t.class()
		case '(':
			err = t.group()
		case '{':
			t.braces()
		case ')':
			t.take(1)
			t.open = t.open[:max(0, len(t.open)-1)]
		default:
			t.take(1)
		}
		if err != nil {
			return "", err
		}
	}
	return t.b.String(), nil
}

// braces has {,3} mean {0,3}.
func (t *translator) braces() {
	t.take(1)
	if end := strings.IndexByte(t.rest(), '}'); end > 1 && t.s[t.i] == ',' && strings.Trim(t.rest()[1:end], "0123456789") == "" {
		t.b.WriteByte('0')
	}
}

// class copies [...]; an opening bracket in it is a character.
func (t *translator) class() error {
	start := t.i
	t.take(1)
	if strings.HasPrefix(t.rest(), "^") {
		t.take(1)
	}
	for first := true; t.i < len(t.s); first = false {
		switch c := t.s[t.i]; {
		case c == '\\':
			if err := t.escape(true); err != nil {
				return err
			}
		case c == ']' && !first:
			t.take(1)
			return nil
		case c == ']' || c == '[':
			t.b.WriteByte('\\')
			t.take(1)
		default:
			t.take(1)
		}
	}
	return fmt.Errorf("the [ at %d is never closed", start)
}

// escape translates a backslash and what belongs to it.
func (t *translator) escape(inClass bool) error {
	rest := t.rest()
	if len(rest) == 1 {
		return errors.New(`a lone \ at the end`)
	}
	c := rest[1]
	switch {
	case c == 'Z' && !inClass:
		t.b.WriteString(`\z`)
		t.i += 2
	case c >= '0' && c <= '9':
		return t.digits(inClass)
	case c == 'U':
		return t.character(8)
	case c == 'u':
		return t.character(4)
	case c == 'x':
		return t.character(2)
	case strings.IndexByte("dDsSwWafnrtvb", c) >= 0 || strings.IndexByte("AB", c) >= 0 && !inClass:
		t.take(2)
	case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
		return fmt.Errorf(`bad escape \%c`, c)
	case c >= 0x80:
		t.i++ // the backslash means nothing
	default:
		t.take(2)
	}
	return nil
}

// character is \x41, \u0041 or \U00000041.
func (t *translator) character(digits int) error {
	rest := t.rest()[2:]
	if len(rest) >= digits {
		if n, err := strconv.ParseUint(rest[:digits], 16, 32); err == nil && n <= 0x10ffff {
			t.literal(rune(n))
			t.i += 2 + digits
			return nil
		}
	}
	return fmt.Errorf("incomplete escape %s", t.rest()[:2])
}

func (t *translator) literal(r rune) {
	if r < 0x80 {
		fmt.Fprintf(&t.b, `\x%02x`, r)
	} else {
		t.b.WriteRune(r)
	}
}

// digits is a back reference, or a character in octal: in a class, after \0, and with
// three digits.
func (t *translator) digits(inClass bool) error {
	rest := t.rest()[1:]
	n, octal := 0, 0
	for n < len(rest) && n < 3 && rest[n] >= '0' && rest[n] <= '9' {
		if rest[n] <= '7' && octal == n {
			octal++
		}
		n++
	}
	if octal == 3 || rest[0] == '0' || inClass {
		if octal == 0 {
			return fmt.Errorf(`bad escape \%c`, rest[0])
		}
		code, _ := strconv.ParseUint(rest[:octal], 8, 32)
		if code > 0o377 {
			return fmt.Errorf(`octal escape \%s past \377`, rest[:octal])
		}
		t.literal(rune(code))
		t.i += 1 + octal
		return nil
	}
	n = min(n, 2)
	return t.reference(rest[:n], 1+n)
}

// reference writes a back reference and passes over size bytes.
func (t *translator) reference(id string, size int) error {
	n, named := t.names[id]
	if !named {
		var err error
		if n, err = strconv.Atoi(id); err != nil || n == 0 || n > t.groups {
			return fmt.Errorf("there is no group %q before its reference", id)
		}
	}
	if slices.Contains(t.open, n) {
		return fmt.Errorf("a reference to group %d inside itself", n)
	}
	fmt.Fprintf(&t.b, `(?:\%d)`, n)
	t.i += size
	return nil
}

// group translates what an opening parenthesis begins.
func (t *translator) group() error {
	rest := t.rest()
	if !strings.HasPrefix(rest, "(?") {
		t.groups++
		t.open = append(t.open, t.groups)
		t.take(1)
		return nil
	}
	after := rest[2:]
	switch {
	case strings.HasPrefix(after, "P<"):
		return t.named(after[2:])
	case strings.HasPrefix(after, "P="):
		end := strings.IndexByte(after, ')')
		if end < 0 || t.names[after[2:end]] == 0 {
			return errors.New("(?P= names no group before it")
		}
		return t.reference(after[2:end], end+3)
	case strings.HasPrefix(after, "P"):
		return errors.New("(?P is followed by < or =")
	case strings.HasPrefix(after, "#"):
		end := strings.IndexByte(after, ')')
		if end < 0 {
			return errors.New("a comment that is never closed")
		}
		t.i += end + 3
		return nil
	case strings.HasPrefix(after, "("):
		return t.condition(after[1:])
	case strings.HasPrefix(after, "<=") || strings.HasPrefix(after, "<!"):
		t.open = append(t.open, 0)
		t.take(4)
		return nil
	case after != "" && strings.IndexByte(":=!>", after[0]) >= 0:
		t.open = append(t.open, 0)
		t.take(3)
		return nil
	}
	return t.flags(after)
}

func (t *translator) named(after string) error {
	end := strings.IndexByte(after, '>')
	if end < 0 {
		return errors.New("the name of a group is not closed")
	}
	id := after[:end]
	if id == "" || strings.IndexByte("0123456789", id[0]) >= 0 || strings.ContainsAny(id, " -.()[]") {
		return fmt.Errorf("%q is no name for a group", id)
	}
	if t.names[id] != 0 {
		return fmt.Errorf("two groups are named %q", id)
	}
	t.groups++
	t.names[id] = t.groups
	t.open = append(t.open, t.groups)
	t.b.WriteByte('(')
	t.i += len("(?P<>") + end
	return nil
}

// condition is (?(1)yes|no).
func (t *translator) condition(after string) error {
	end := strings.IndexByte(after, ')')
	if end < 0 {
		return errors.New("the condition (?( is not closed")
	}
	n, named := t.names[after[:end]]
	if !named {
		var err error
		if n, err = strconv.Atoi(after[:end]); err != nil {
			return fmt.Errorf("there is no group %q", after[:end])
		}
	}
	t.open = append(t.open, 0)
	fmt.Fprintf(&t.b, "(?(%d)", n)
	t.i += len("(?()") + end
	return nil
}

// flags is (?i) at the start of the pattern, or (?i-s:...) anywhere.
func (t *translator) flags(after string) error {
	end := strings.IndexAny(after, ":)")
	if end < 0 {
		return errors.New("(?flags is not closed")
	}
	var kept strings.Builder
	for _, c := range after[:end] {
		if !strings.ContainsRune("imsxau-", c) {
			return fmt.Errorf("unknown extension (?%s", after[:end+1])
		}
		if c != 'a' && c != 'u' { // text is Unicode here
			kept.WriteRune(c)
		}
	}
	if after[end] == ')' && t.i > 0 {
		return errors.New("flags for the whole expression stand at its start")
	}
	if s := kept.String(); s != "" || after[end] == ':' {
		t.b.WriteString("(?" + s + after[end:end+1])
	}
	if after[end] == ':' {
		t.open = append(t.open, 0)
	}
	t.i += len("(?") + end + 1
	return nil
}

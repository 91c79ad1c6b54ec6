package expr

import (
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"

	"farm/inventory/value"
)

// braceFormat is Python's str.format, with fields by place or name, their attributes
// and items, !r and !s, and format specifications, which may have fields in them.
func braceFormat(m *machine, s string, args []any, named map[string]any) string {
	f := &fields{m: m, args: args, named: named}
	return bounded(f.text(s, 0))
}

// fields are the arguments of one format.
type fields struct {
	m     *machine
	args  []any
	named map[string]any
	auto  int // the place of the next field without a name
}

func (f *fields) text(s string, depth int) string {
	if s == "" {
		return ""
	}
	if depth > 1 {
		throw("a format nested more than 2 deep")
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case depth == 0 && (strings.HasPrefix(s[i:], "{{") || strings.HasPrefix(s[i:], "}}")):
			b.WriteByte(s[i])
			i++
		case s[i] == '{':
			end := closing(s[i:])
			if end < 0 {
				throw("a field of the format %q is never closed", s)
			}
			b.WriteString(f.field(s[i+1:i+end], depth))
			i += end
		case s[i] == '}':
			throw(`a single "}" in the format %q`, s)
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// closing is the place of the brace that closes the one at the start; -1 = none.
func closing(s string) int {
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

func (f *fields) field(s string, depth int) string {
	s, spec, _ := strings.Cut(s, ":")
	s, conv, _ := strings.Cut(s, "!")
	cut := strings.IndexAny(s, ".[")
	if cut < 0 {
		cut = len(s)
	}
	id, rest := s[:cut], s[cut:]
	if id == "" {
		id = strconv.Itoa(f.auto)
		f.auto++
	}
	x := f.follow(f.argument(id), rest)
	switch conv {
	case "r", "a":
		x = repr(x)
	case "s":
		x = text(x)
	case "":
	default:
		throw("unknown conversion !%s in a format", conv)
	}
	return formatSpec(x, f.text(spec, depth+1))
}

func (f *fields) argument(id string) any {
	if n, err := strconv.Atoi(id); err == nil {
		if n < 0 || n >= len(f.args) {
			throw("the format needs %d arguments", n+1)
		}
		return f.args[n]
	}
	v, ok := f.named[id]
	if !ok {
		throw("the format needs the argument %q", id)
	}
	return v
}

// follow reads .attribute and [key] of x. Unlike in an expression, the keys of a
// mapping are no attributes.
func (f *fields) follow(x any, path string) any {
	for path != "" {
		end := strings.IndexAny(path[1:], ".[")
		part := path
		if end >= 0 {
			part = path[:end+1]
		}
		path = path[len(part):]
		if part[0] == '.' {
			if _, ok := x.(*value.Dict); ok {
				throwHint("write ["+part[1:]+"]", "a mapping has no attribute %q", part[1:])
			}
			x = f.m.attr(x, part[1:])
			continue
		}
		key := strings.TrimSuffix(part[1:], "]")
		if n, err := strconv.ParseInt(key, 10, 64); err == nil {
			x = f.m.index(x, n)
		} else {
			x = f.m.index(x, key)
		}
	}
	return x
}

// spec is [[fill]align][sign][#][0][width][grouping][.precision][type].
type spec struct {
	verb
	fill      string
	align     byte // 0 = as the kind of value has it
	grouping  string
	hasLetter bool
}

func parseSpec(s string) spec {
	p := spec{verb: verb{precision: -1}, fill: " "}
	runes := []rune(s)
	isAlign := func(r rune) bool { return strings.ContainsRune("<>^=", r) }
	switch {
	case len(runes) > 1 && isAlign(runes[1]):
		p.fill, p.align = string(runes[0]), byte(runes[1])
		runes = runes[2:]
	case isAlign(runes[0]):
		p.align = byte(runes[0])
		runes = runes[1:]
	}
	rest, i := string(runes), 0
	for ; i < len(rest) && strings.IndexByte("+- #", rest[i]) >= 0; i++ {
		p.flags += rest[i : i+1]
	}
	if i < len(rest) && rest[i] == '0' {
		if p.align == 0 {
			p.fill, p.align = "0", '='
		}
		i++
	}
	p.width, i = formatNumber(rest, i, nil)
	if i < len(rest) && (rest[i] == ',' || rest[i] == '_') {
		p.grouping = rest[i : i+1]
		i++
	}
	if i < len(rest) && rest[i] == '.' {
		p.precision, i = formatNumber(rest, i+1, nil)
	}
	if i < len(rest) {
		p.letter, p.hasLetter = rest[i], true
		i++
	}
	if i < len(rest) {
		throw("the format specification %q cannot be read", s)
	}
	return p
}

// formatSpec is Python's format(x, s).
func formatSpec(x any, s string) string {
	if s == "" {
		return text(x)
	}
	p := parseSpec(s)
	switch t := x.(type) {
	case string:
		if p.hasLetter && p.letter != 's' || p.align == '=' && p.fill != "0" || p.grouping != "" {
			throwHint("convert it with | int or | float", "text has no format %q", s)
		}
		return p.aligned("", cutText(t, p.precision), '<')
	case bool, int64, value.Big:
		n, _ := number(t)
		return p.whole(n)
	case float64:
		return p.float(t)
	case moment:
		return text(t.method("strftime", []any{s}))
	}
	throw("%s has no format %q", kindOf(x), s)
	return ""
}

func (p spec) whole(n any) string {
	switch p.letter {
	case 'e', 'E', 'f', 'F', 'g', 'G', '%':
		return p.float(toFloat(n))
	case 'c':
		return p.aligned("", character(n), '<')
	case 0, 'n':
		p.letter = 'd'
	case 'd', 'b', 'o', 'x', 'X':
	default:
		throw("unknown format letter %q for a whole number", string(p.letter))
	}
	if p.precision >= 0 {
		throw("a whole number has no precision")
	}
	sign, digits := p.sign(wholeText(toBig(n), p.letter, false))
	if p.has("#") && p.letter != 'd' {
		sign += "0" + string(p.letter)
	}
	size := 3
	if p.letter != 'd' {
		size = 4
	}
	return p.aligned(sign, grouped(digits, p.grouping, size), '>')
}

func (p spec) float(f float64) string {
	tail := ""
	var s string
	switch p.letter {
	case 0:
		if s = value.FloatText(f); p.precision >= 0 {
			s = floatFormat(f, 'g', p.precision, false)
			if !strings.ContainsAny(s, ".ein") {
				s += ".0"
			}
		}
	case '%':
		f, p.letter, tail = f*100, 'f', "%"
		fallthrough
	case 'e', 'E', 'f', 'F', 'g', 'G', 'n':
		if p.letter == 'n' {
			p.letter = 'g'
		}
		precision := p.precision
		if precision < 0 {
			precision = 6
		}
		s = floatFormat(f, p.letter, precision, p.has("#")) + tail
	default:
		throw("unknown format letter %q for a number", string(p.letter))
	}
	sign, digits := p.sign(s)
	whole, frac := digits, ""
	if i := strings.IndexAny(digits, ".eE%"); i >= 0 {
		whole, frac = digits[:i], digits[i:]
	}
	return p.aligned(sign, grouped(whole, p.grouping, 3)+frac, '>')
}

// aligned puts sign and text into the width.
func (p spec) aligned(sign, s string, align byte) string {
	if p.align != 0 && (p.align != '=' || align == '>') {
		align = p.align
	}
	missing := max(0, p.width-utf8.RuneCountInString(sign+s))
	switch align {
	case '=':
		return sign + strings.Repeat(p.fill, missing) + s
	case '^':
		return strings.Repeat(p.fill, missing/2) + sign + s + strings.Repeat(p.fill, missing-missing/2)
	case '<':
		return sign + s + strings.Repeat(p.fill, missing)
	}
	return strings.Repeat(p.fill, missing) + sign + s
}

// wholeText is a whole number in the base of the letter, with Python's prefix if wanted.
func wholeText(i *big.Int, letter byte, prefix bool) string {
	base := map[byte]int{'b': 2, 'o': 8, 'x': 16, 'X': 16}[letter]
	if base == 0 {
		return i.String()
	}
	s := i.Text(base)
	if letter == 'X' {
		s = strings.ToUpper(s)
	}
	if !prefix {
		return s
	}
	if strings.HasPrefix(s, "-") {
		return "-0" + string(letter) + s[1:]
	}
	return "0" + string(letter) + s
}

// grouped puts sep between groups of size digits.
func grouped(s, sep string, size int) string {
	if sep == "" || strings.Trim(s, "0123456789abcdefABCDEF") != "" {
		return s
	}
	for i := len(s) - size; i > 0; i -= size {
		s = s[:i] + sep + s[i:]
	}
	return s
}

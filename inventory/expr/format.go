package expr

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"farm/inventory/value"
)

// verb is what stands between the sign and the letter of a format.
type verb struct {
	flags     string
	width     int
	precision int // -1 = none
	letter    byte
}

// percent is Python's text % args.
func percent(s string, y any) string {
	args, isTuple := y.(tuple)
	if !isTuple {
		args = tuple{y}
	}
	var b strings.Builder
	used := 0
	take := func() any {
		if used >= len(args) {
			throw("too few arguments for the format %q", s)
		}
		used++
		return args[used-1]
	}
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		i++
		var x any
		named := false
		if i < len(s) && s[i] == '(' {
			end := strings.IndexByte(s[i:], ')')
			d, ok := y.(*value.Dict)
			if end < 0 || !ok {
				throw("a format with %%(name) takes a mapping")
			}
			key := s[i+1 : i+end]
			if x, ok = d.Get(key); !ok {
				throw("the format needs the key %q", key)
			}
			named, isTuple = true, false
			used = len(args)
			i += end + 1
		}
		v := verb{precision: -1}
		for ; i < len(s) && strings.IndexByte("-+ #0", s[i]) >= 0; i++ {
			v.flags += s[i : i+1]
		}
		v.width, i = formatNumber(s, i, take)
		if i < len(s) && s[i] == '.' {
			v.precision, i = formatNumber(s, i+1, take)
		}
		for i < len(s) && strings.IndexByte("hlL", s[i]) >= 0 {
			i++
		}
		if i >= len(s) {
			throw("an incomplete format %q", s)
		}
		v.letter = s[i]
		if v.letter == '%' {
			b.WriteByte('%')
			continue
		}
		if !named {
			x = take()
		}
		b.WriteString(v.format(x))
	}
	if _, isDict := y.(*value.Dict); used < len(args) && !isDict {
		throw("too many arguments for the format %q", s)
	}
	return bounded(b.String())
}

func formatNumber(s string, i int, take func() any) (int, int) {
	if i < len(s) && s[i] == '*' && take != nil {
		return int(min(1<<16, max(0, intArg(take(), "width")))), i + 1
	}
	n := 0
	for ; i < len(s) && s[i] >= '0' && s[i] <= '9'; i++ {
		n = min(n*10+int(s[i]-'0'), 1<<16)
	}
	return n, i
}

func (v verb) has(flag string) bool { return strings.Contains(v.flags, flag) }

func (v verb) format(x any) string {
	switch v.letter {
	case 's', 'r', 'a':
		t := text(x)
		if v.letter != 's' {
			t = repr(x)
		}
		if v.precision >= 0 && utf8.RuneCountInString(t) > v.precision {
			t = string([]rune(t)[:v.precision])
		}
		return pad(t, v.width, " ", !v.has("-"), v.has("-"))
	case 'c':
		if i, ok := x.(int64); ok {
			x = string(rune(i))
		}
		return pad(text(x), v.width, " ", !v.has("-"), v.has("-"))
	case 'd', 'i', 'u', 'x', 'X', 'o':
		n, ok := number(x)
		if !ok {
			throwHint("convert it with | int", "%%%c of %s", v.letter, kindOf(x))
		}
		if f, ok := n.(float64); ok {
			n = int64(f)
		}
		letter := v.letter
		if letter == 'i' || letter == 'u' {
			letter = 'd'
		}
		return v.pad(fmt.Sprintf("%"+v.sign()+string(letter), n))
	case 'f', 'F', 'e', 'E', 'g', 'G':
		n, ok := number(x)
		if !ok {
			throwHint("convert it with | float", "%%%c of %s", v.letter, kindOf(x))
		}
		p := v.precision
		if p < 0 {
			p = 6
		}
		return v.pad(fmt.Sprintf("%"+v.sign()+"."+strconv.Itoa(p)+string(v.letter), toFloat(n)))
	}
	throw("unknown format letter %q", string(v.letter))
	return ""
}

func (v verb) sign() string {
	s := ""
	for _, f := range []string{"+", " ", "#"} {
		if v.has(f) {
			s += f
		}
	}
	return s
}

func (v verb) pad(s string) string {
	if v.has("0") && !v.has("-") {
		sign := ""
		if s != "" && strings.IndexByte("+- ", s[0]) >= 0 {
			sign, s = s[:1], s[1:]
		}
		return sign + pad(s, v.width-len(sign), "0", true, false)
	}
	return pad(s, v.width, " ", !v.has("-"), v.has("-"))
}

// braceFormat is Python's str.format, with fields by place or name, their attributes
// and items, !r and !s, and format specifications.
func braceFormat(m *machine, s string, args []any, named map[string]any) string {
	var b strings.Builder
	auto := 0
	for i := 0; i < len(s); i++ {
		switch {
		case strings.HasPrefix(s[i:], "{{") || strings.HasPrefix(s[i:], "}}"):
			b.WriteByte(s[i])
			i++
		case s[i] == '{':
			end := strings.IndexByte(s[i:], '}')
			if end < 0 {
				throw("a field of the format %q is never closed", s)
			}
			field := s[i+1 : i+end]
			field, spec, _ := strings.Cut(field, ":")
			field, conv, _ := strings.Cut(field, "!")
			cut := strings.IndexAny(field, ".[")
			if cut < 0 {
				cut = len(field)
			}
			id, rest := field[:cut], field[cut:]
			if id == "" {
				id = strconv.Itoa(auto)
				auto++
			}
			x := formatField(m, id, rest, args, named)
			if conv == "r" {
				x = repr(x)
			}
			b.WriteString(formatSpec(x, spec))
			i += end
		default:
			b.WriteByte(s[i])
		}
	}
	return bounded(b.String())
}

func formatField(m *machine, id, rest string, args []any, named map[string]any) any {
	var x any
	if n, err := strconv.Atoi(id); err == nil {
		if n < 0 || n >= len(args) {
			throw("the format needs %d arguments", n+1)
		}
		x = args[n]
	} else {
		v, ok := named[id]
		if !ok {
			throw("the format needs the argument %q", id)
		}
		x = v
	}
	for rest != "" {
		end := strings.IndexAny(rest[1:], ".[")
		part := rest
		if end >= 0 {
			part = rest[:end+1]
		}
		rest = rest[len(part):]
		if part[0] == '.' {
			x = m.attr(x, part[1:])
			continue
		}
		key := strings.TrimSuffix(part[1:], "]")
		if n, err := strconv.ParseInt(key, 10, 64); err == nil {
			x = m.index(x, n)
		} else {
			x = m.index(x, key)
		}
	}
	return x
}

// formatSpec is [[fill]align][sign][#][0][width][,][.precision][type].
func formatSpec(x any, spec string) string {
	if spec == "" {
		return text(x)
	}
	runes := []rune(spec)
	fill, align := " ", byte(0)
	isAlign := func(r rune) bool { return strings.ContainsRune("<>^=", r) }
	switch {
	case len(runes) > 1 && isAlign(runes[1]):
		fill, align = string(runes[0]), byte(runes[1])
		runes = runes[2:]
	case isAlign(runes[0]):
		align = byte(runes[0])
		runes = runes[1:]
	}
	s := string(runes)
	v := verb{precision: -1}
	i := 0
	for ; i < len(s) && strings.IndexByte("+- #", s[i]) >= 0; i++ {
		if s[i] != '-' {
			v.flags += s[i : i+1]
		}
	}
	if i < len(s) && s[i] == '0' {
		fill, align = "0", '='
		i++
	}
	width := 0
	width, i = formatNumber(s, i, nil)
	comma := i < len(s) && (s[i] == ',' || s[i] == '_')
	sep := ""
	if comma {
		sep = s[i : i+1]
		i++
	}
	if i < len(s) && s[i] == '.' {
		v.precision, i = formatNumber(s, i+1, nil)
	}
	_, isNumber := x.(int64)
	_, isFloat := x.(float64)
	v.letter = 's'
	switch {
	case i < len(s):
		v.letter = s[i]
	case isNumber:
		v.letter = 'd'
	case isFloat && v.precision >= 0:
		v.letter = 'g'
	}
	percentSign := ""
	if v.letter == '%' {
		n, ok := number(x)
		if !ok {
			throw("a percentage of %s", kindOf(x))
		}
		x, v.letter, percentSign = toFloat(n)*100, 'f', "%"
	}
	var out string
	if v.letter == 'b' {
		out = strconv.FormatInt(intArg(x, "the number"), 2)
	} else {
		out = v.format(x) + percentSign
	}
	if comma {
		out = thousands(out, sep)
	}
	if align == 0 {
		align = '<'
		if isNumber || isFloat {
			align = '>'
		}
	}
	switch align {
	case '=':
		sign := ""
		if out != "" && strings.IndexByte("+- ", out[0]) >= 0 {
			sign, out = out[:1], out[1:]
		}
		return sign + pad(out, width-len(sign), fill, true, false)
	case '^':
		missing := max(0, width-utf8.RuneCountInString(out))
		return strings.Repeat(fill, missing/2) + out + strings.Repeat(fill, missing-missing/2)
	}
	return pad(out, width, fill, align == '>', align == '<')
}

// thousands puts sep between groups of three digits before the point.
func thousands(s, sep string) string {
	whole, frac, _ := strings.Cut(s, ".")
	if frac != "" {
		frac = "." + frac
	}
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + sep + whole[i:]
	}
	return sign + whole + frac
}

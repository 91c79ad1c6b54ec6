package expr

import (
	"math"
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
			named = true
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
	if _, isList := y.([]any); used < len(args) && !isList && !isMapping(y) {
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
		u, missing := x.(*undefined)
		switch {
		case v.letter == 's':
			return v.padText(cutText(text(x), v.precision))
		case missing && u.m != nil:
			return v.padText(cutText("AnsibleUndefined(hint=None, obj=missing, name="+repr(u.name)+")", v.precision))
		}
		return v.padText(cutText(repr(x), v.precision))
	case 'c':
		return v.padText(character(x))
	case 'd', 'i', 'u', 'x', 'X', 'o':
		n, ok := number(x)
		f, float := n.(float64)
		if !ok || float && (v.letter == 'x' || v.letter == 'X' || v.letter == 'o') {
			throwHint("convert it with | int", "%%%c of %s", v.letter, kindOf(x))
		}
		if float {
			if math.IsNaN(f) || math.IsInf(f, 0) {
				throw("%%%c of %s", v.letter, text(f))
			}
			n = truncate(f)
		}
		digits := wholeText(toBig(n), v.letter, v.has("#"))
		sign, digits := v.sign(digits)
		if v.precision > len(digits) {
			digits = strings.Repeat("0", v.precision-len(digits)) + digits
		}
		return v.padNumber(sign, digits)
	case 'f', 'F', 'e', 'E', 'g', 'G':
		n, ok := number(x)
		if s, isText := x.(string); isText || !ok {
			throwHint("convert it with | float", "%%%c of %s", v.letter, kindOf(s))
		}
		p := v.precision
		if p < 0 {
			p = 6
		}
		return v.padNumber(v.sign(floatFormat(toFloat(n), v.letter, p, v.has("#"))))
	}
	throw("unknown format letter %q", string(v.letter))
	return ""
}

func cutText(s string, n int) string {
	if n >= 0 && utf8.RuneCountInString(s) > n {
		return string([]rune(s)[:n])
	}
	return s
}

// character is what %c makes of a character or its number.
func character(x any) string {
	if s, ok := x.(string); ok {
		if utf8.RuneCountInString(s) != 1 {
			throw("%%c takes one character, not %q", s)
		}
		return s
	}
	i := intArg(x, "the character's number")
	if i < 0 || i > unicodeMax {
		throw("there is no character %d", i)
	}
	return string(rune(i))
}

const unicodeMax = 0x10ffff

// sign splits the sign off, which + and a blank among the flags make explicit.
func (v verb) sign(s string) (sign, digits string) {
	switch {
	case strings.HasPrefix(s, "-"):
		return "-", s[1:]
	case v.has("+"):
		return "+", s
	case v.has(" "):
		return " ", s
	}
	return "", s
}

func (v verb) padText(s string) string { return pad(s, v.width, " ", !v.has("-"), v.has("-")) }

func (v verb) padNumber(sign, digits string) string {
	if !v.has("0") || v.has("-") {
		return v.padText(sign + digits)
	}
	if len(digits) > 1 && digits[0] == '0' && strings.IndexByte("xXo", digits[1]) >= 0 {
		sign, digits = sign+digits[:2], digits[2:]
	}
	return sign + pad(digits, v.width-len(sign), "0", true, false)
}

// floatFormat is C's %f, %e or %g with lower-case inf and nan.
func floatFormat(f float64, letter byte, precision int, alternate bool) string {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		s := value.FloatText(f)
		if letter < 'a' {
			s = strings.ToUpper(s)
		}
		return s
	}
	switch letter {
	case 'g', 'G':
		return generalFormat(f, letter, precision, alternate)
	case 'F':
		letter = 'f'
	}
	s := strconv.FormatFloat(f, letter, precision, 64)
	if alternate && precision == 0 {
		s += "."
	}
	return s
}

// generalFormat has an exponent where it is under -4 or not under the precision.
func generalFormat(f float64, letter byte, precision int, alternate bool) string {
	precision = max(precision, 1)
	scientific := strconv.FormatFloat(f, letter-2, precision-1, 64) // g-2 is e
	at := strings.LastIndexAny(scientific, "eE")
	exponent, _ := strconv.Atoi(scientific[at+1:])
	digits, tail := scientific[:at], scientific[at:]
	if exponent >= -4 && exponent < precision {
		digits, tail = strconv.FormatFloat(f, 'f', precision-1-exponent, 64), ""
	}
	if !alternate && strings.Contains(digits, ".") {
		digits = strings.TrimRight(strings.TrimRight(digits, "0"), ".")
	}
	return digits + tail
}

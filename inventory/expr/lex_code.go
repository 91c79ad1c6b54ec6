package expr

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"farm/inventory/value"
)

// inside reads words up to the closing mark of what was opened at open.
func (l *lexer) inside(open int, end kind, closing string) {
	depth := 0
	for {
		l.skipBlanks()
		rest := l.src[l.pos:]
		if rest == "" {
			throwAt(open, "an expression that is never closed", "close it with "+strconv.Quote(closing))
		}
		if depth == 0 {
			if strings.HasPrefix(rest, closing) || strings.HasPrefix(rest, "-"+closing) || end == tBlockEnd && strings.HasPrefix(rest, "+"+closing) {
				l.add(token{kind: end, off: l.pos})
				l.trim = rest[0] == '-'
				plus := rest[0] == '+'
				l.pos += strings.Index(rest, closing) + len(closing)
				if end == tBlockEnd && !plus {
					l.eatNewline()
				}
				return
			}
		}
		l.word()
		if t := l.tokens[len(l.tokens)-1]; t.kind == tOp {
			switch t.text {
			case "(", "[", "{":
				depth++
			case ")", "]", "}":
				depth--
			}
		}
	}
}

// skipBlanks passes over what Unicode counts as white space, as Python does: no-break spaces come
// with what is copied from a page.
func (l *lexer) skipBlanks() {
	for l.pos < len(l.src) {
		r, n := utf8.DecodeRuneInString(l.src[l.pos:])
		if !unicode.IsSpace(r) {
			return
		}
		l.pos += n
	}
}

var operators = []string{"**", "//", "==", "!=", ">=", "<=", "+", "-", "*", "/", "%", "~", "<", ">", "=", "(", ")", "[", "]", "{", "}", ".", ",", ":", "|", ";"}

func (l *lexer) word() {
	c := l.src[l.pos]
	switch {
	case c == '"' || c == '\'':
		l.str(c)
		return
	case c >= '0' && c <= '9':
		l.number()
		return
	}
	if r, _ := utf8.DecodeRuneInString(l.src[l.pos:]); r == '_' || unicode.IsLetter(r) {
		start := l.pos
		for l.pos < len(l.src) {
			r, n := utf8.DecodeRuneInString(l.src[l.pos:])
			if r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
				break
			}
			l.pos += n
		}
		l.add(token{kind: tName, text: l.src[start:l.pos], off: start})
		return
	}
	for _, op := range operators {
		if strings.HasPrefix(l.src[l.pos:], op) {
			l.add(token{kind: tOp, text: op, off: l.pos})
			l.pos += len(op)
			return
		}
	}
	r, _ := utf8.DecodeRuneInString(l.src[l.pos:])
	hint := ""
	if r == '!' {
		hint = `write "not"`
	}
	throwAt(l.pos, "unexpected "+strconv.QuoteRune(r), hint)
}

func (l *lexer) str(quote byte) {
	start := l.pos
	for i := start + 1; i < len(l.src); i++ {
		switch l.src[i] {
		case '\\':
			i++
		case quote:
			l.pos = i + 1
			s := l.src[start+1 : i]
			if l.raw {
				s = strings.ReplaceAll(s, `\`+string(quote), string(quote))
			} else {
				s = unescape(s)
			}
			l.add(token{kind: tString, text: s, off: start})
			return
		}
	}
	throwAt(start, "a quote that is never closed", "")
}

// unescape resolves Python's escapes; an unknown one stays as it is.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		if j := strings.IndexByte("abfnrtv\\'\"", s[i]); j >= 0 {
			b.WriteByte("\a\b\f\n\r\t\v\\'\""[j])
			continue
		}
		digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[s[i]]
		switch {
		case digits > 0 && i+digits < len(s):
			if n, err := strconv.ParseUint(s[i+1:i+1+digits], 16, 32); err == nil {
				b.WriteRune(rune(n))
				i += digits
				continue
			}
			b.WriteByte('\\')
			b.WriteByte(s[i])
		case s[i] == '\n':
		case s[i] >= '0' && s[i] <= '7':
			end := i + 1
			for end < len(s) && end < i+3 && s[end] >= '0' && s[end] <= '7' {
				end++
			}
			n, _ := strconv.ParseUint(s[i:end], 8, 32)
			b.WriteRune(rune(n))
			i = end - 1
		default:
			b.WriteByte('\\')
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

func (l *lexer) number() {
	start := l.pos
	digits := func(set string) {
		for l.pos < len(l.src) && strings.IndexByte(set, l.src[l.pos]) >= 0 {
			l.pos++
		}
	}
	low := strings.ToLower(l.src[l.pos:min(l.pos+2, len(l.src))])
	if low == "0x" || low == "0b" || low == "0o" {
		l.pos += 2
		digits("0123456789abcdefABCDEF_")
		l.integer(start)
		return
	}
	digits("0123456789_")
	isFloat := false
	isDigit := func(i int) bool { return i < len(l.src) && l.src[i] >= '0' && l.src[i] <= '9' }
	if l.pos < len(l.src) && l.src[l.pos] == '.' && isDigit(l.pos+1) {
		isFloat = true
		l.pos++
		digits("0123456789_")
	}
	if l.pos < len(l.src) && (l.src[l.pos] == 'e' || l.src[l.pos] == 'E') {
		i := l.pos + 1
		if i < len(l.src) && (l.src[i] == '+' || l.src[i] == '-') {
			i++
		}
		if isDigit(i) {
			isFloat = true
			l.pos = i
			digits("0123456789_")
		}
	}
	if !isFloat {
		l.integer(start)
		return
	}
	f, err := strconv.ParseFloat(strings.ReplaceAll(l.src[start:l.pos], "_", ""), 64)
	if err != nil {
		throwAt(start, "the number "+l.src[start:l.pos]+" is out of range", "")
	}
	l.add(token{kind: tFloat, text: l.src[start:l.pos], num: f, off: start})
}

func (l *lexer) integer(start int) {
	text := strings.ReplaceAll(l.src[start:l.pos], "_", "")
	base := 10
	if len(text) > 2 && text[0] == '0' && (text[1] > '9') {
		base = 0
	}
	if base == 0 {
		base = map[byte]int{'x': 16, 'b': 2, 'o': 8}[text[1]|0x20]
	}
	digits := text
	if base != 10 {
		digits = text[2:]
	}
	n, err := value.ParseWhole(digits, base)
	if err != nil {
		throwAt(start, "a whole number that cannot be read", "")
	}
	l.add(token{kind: tInt, text: text, num: n, off: start})
}

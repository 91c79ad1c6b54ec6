package expr

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"farm/inventory/value"
)

// kind of a token.
type kind byte

const (
	tEOF kind = iota
	tData
	tVarBegin
	tVarEnd
	tBlockBegin
	tBlockEnd
	tName
	tString
	tInt
	tFloat
	tOp
)

// token is one word of a template; off is its byte offset in the text.
type token struct {
	kind kind
	text string // of a string: its value
	num  any    // of tInt and tFloat
	off  int
}

// syntax holds the white space rules of a template.
type syntax struct {
	trimBlocks   bool // drop the newline after a block
	lstripBlocks bool // drop the blanks before a block on its line
	// rawStrings takes backslashes in the texts of {{ }} as they are: in YAML they have
	// been through YAML's escapes, and Ansible does not resolve them twice.
	rawStrings bool
}

// lexer splits a template into tokens. It throws faults.
type lexer struct {
	src    string
	pos    int
	syn    syntax
	tokens []token
	trim   bool // the next data loses its leading white space: "-%}"
	raw    bool // backslashes in texts stand for themselves
}

func lexTemplate(src string, start int, syn syntax) []token {
	l := &lexer{src: src, pos: start, syn: syn}
	for l.pos < len(l.src) {
		l.data()
	}
	l.add(token{kind: tEOF, off: len(src)})
	return l.tokens
}

func lexExpression(src string) []token {
	l := &lexer{src: src}
	for l.skipBlanks(); l.pos < len(l.src); l.skipBlanks() {
		l.word()
	}
	l.add(token{kind: tEOF, off: len(src)})
	return l.tokens
}

func (l *lexer) add(t token) { l.tokens = append(l.tokens, t) }

// data reads text up to the next delimiter, and what that opens.
func (l *lexer) data() {
	start := l.pos
	open := -1
	for i := start; i+1 < len(l.src); i++ {
		if l.src[i] == '{' && strings.IndexByte("{%#", l.src[i+1]) >= 0 {
			open = i
			break
		}
	}
	if open < 0 {
		l.text(start, len(l.src))
		l.pos = len(l.src)
		return
	}
	end, marker := open, byte(0)
	if open+2 < len(l.src) {
		marker = l.src[open+2]
	}
	what := l.src[open+1]
	switch {
	case marker == '-':
		end = len(strings.TrimRight(l.src[:open], " \t\r\n"))
	case marker != '+' && what != '{' && l.syn.lstripBlocks:
		line := strings.TrimRight(l.src[:open], " \t")
		if line == "" || strings.HasSuffix(line, "\n") {
			end = len(line)
		}
	}
	l.text(start, max(start, end))
	l.pos = open + 2
	if marker == '-' || marker == '+' && what != '{' {
		l.pos++
	}
	switch what {
	case '#':
		l.comment(open)
	case '{':
		l.add(token{kind: tVarBegin, off: open})
		l.raw = l.syn.rawStrings
		l.inside(tVarEnd, "}}")
		l.raw = false
	default:
		if l.rawBlock(open) {
			return
		}
		l.add(token{kind: tBlockBegin, off: open})
		l.inside(tBlockEnd, "%}")
	}
}

func (l *lexer) text(start, end int) {
	s := l.src[start:end]
	off := start
	if l.trim {
		t := strings.TrimLeft(s, " \t\r\n")
		off += len(s) - len(t)
		s = t
	}
	l.trim = false
	if s != "" {
		if strings.Contains(s, "\r") {
			s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
		}
		l.add(token{kind: tData, text: s, off: off})
	}
}

func (l *lexer) comment(open int) {
	end := strings.Index(l.src[l.pos:], "#}")
	if end < 0 {
		throwAt(open, "a comment that is never closed", `close it with "#}"`)
	}
	l.trim = end > 0 && l.src[l.pos+end-1] == '-'
	l.pos += end + 2
	l.eatNewline()
}

func (l *lexer) eatNewline() {
	if l.syn.trimBlocks && !l.trim {
		rest := l.src[l.pos:]
		if strings.HasPrefix(rest, "\r\n") {
			l.pos += 2
		} else if strings.HasPrefix(rest, "\n") {
			l.pos++
		}
	}
}

// rawBlock takes {% raw %} ... {% endraw %} as data.
func (l *lexer) rawBlock(open int) bool {
	rest := strings.TrimLeft(l.src[l.pos:], " \t\r\n")
	if !strings.HasPrefix(rest, "raw") {
		return false
	}
	after := strings.TrimLeft(rest[3:], " \t\r\n")
	trim := strings.HasPrefix(after, "-%}")
	if !trim && !strings.HasPrefix(after, "%}") {
		return false
	}
	l.trim = trim
	l.pos = len(l.src) - len(after) + strings.Index(after, "%}") + 2
	l.eatNewline()
	start := l.pos
	for at := start; ; {
		i := strings.Index(l.src[at:], "{%")
		if i < 0 {
			throwAt(open, "raw without endraw", "")
		}
		at += i
		tail := l.src[at+2:]
		left := strings.HasPrefix(tail, "-")
		tail = strings.TrimLeft(strings.TrimLeft(tail, "-+"), " \t\r\n")
		if body, ok := strings.CutPrefix(tail, "endraw"); ok {
			body = strings.TrimLeft(body, " \t\r\n")
			right := strings.HasPrefix(body, "-%}")
			if right || strings.HasPrefix(body, "%}") {
				end := at
				if left {
					end = max(start, len(strings.TrimRight(l.src[:at], " \t\r\n")))
				}
				l.text(start, end)
				l.trim = right
				l.pos = len(l.src) - len(body) + strings.Index(body, "%}") + 2
				l.eatNewline()
				return true
			}
		}
		at += 2
	}
}

// inside reads words up to the closing delimiter.
func (l *lexer) inside(end kind, closing string) {
	open := l.pos - 2
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
				l.pos += strings.Index(rest, closing) + 2
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

func (l *lexer) skipBlanks() {
	for l.pos < len(l.src) && strings.IndexByte(" \t\r\n\f", l.src[l.pos]) >= 0 {
		l.pos++
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

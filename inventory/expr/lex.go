package expr

import (
	"strconv"
	"strings"
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
	marks      marks
}

// marks are what stands around expressions, statements and comments; the zero value is not for use.
type marks struct{ variable, variableEnd, block, blockEnd, comment, commentEnd string }

// usual are Jinja2's own.
var usual = marks{"{{", "}}", "{%", "%}", "{#", "#}"}

// opening is the first mark in s that opens something, the longest of those at one place, and where; -1 for none.
func (m *marks) opening(s string) (at int, mark string) {
	at = -1
	if *m == usual {
		for i := 0; i+1 < len(s); i++ {
			if s[i] == '{' && strings.IndexByte("{%#", s[i+1]) >= 0 {
				return i, s[i : i+2]
			}
		}
		return at, ""
	}
	for _, one := range []string{m.variable, m.block, m.comment} {
		i := strings.Index(s, one)
		if i >= 0 && (at < 0 || i < at || i == at && len(one) > len(mark)) {
			at, mark = i, one
		}
	}
	return at, mark
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
	start, m := l.pos, &l.syn.marks
	open, what := m.opening(l.src[start:])
	if open < 0 {
		l.text(start, len(l.src))
		l.pos = len(l.src)
		return
	}
	open += start
	begun := open + len(what)
	end, marker := open, byte(0)
	if begun < len(l.src) {
		marker = l.src[begun]
	}
	switch {
	case marker == '-':
		end = len(strings.TrimRight(l.src[:open], " \t\r\n"))
	case marker != '+' && what != m.variable && l.syn.lstripBlocks:
		line := strings.TrimRight(l.src[:open], " \t")
		if line == "" || strings.HasSuffix(line, "\n") {
			end = len(line)
		}
	}
	l.text(start, max(start, end))
	l.pos = begun
	if marker == '-' || marker == '+' && what != m.variable {
		l.pos++
	}
	switch what {
	case m.comment:
		l.comment(open)
	case m.variable:
		l.add(token{kind: tVarBegin, off: open})
		l.raw = l.syn.rawStrings
		l.inside(open, tVarEnd, m.variableEnd)
		l.raw = false
	default:
		if l.rawBlock(open) {
			return
		}
		l.add(token{kind: tBlockBegin, off: open})
		l.inside(open, tBlockEnd, m.blockEnd)
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
	closing := l.syn.marks.commentEnd
	end := strings.Index(l.src[l.pos:], closing)
	if end < 0 {
		throwAt(open, "a comment that is never closed", "close it with "+strconv.Quote(closing))
	}
	l.trim = end > 0 && l.src[l.pos+end-1] == '-'
	l.pos += end + len(closing)
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
	block, closing := l.syn.marks.block, l.syn.marks.blockEnd
	after := strings.TrimLeft(rest[3:], " \t\r\n")
	trim := strings.HasPrefix(after, "-"+closing)
	if !trim && !strings.HasPrefix(after, closing) {
		return false
	}
	l.trim = trim
	l.pos = len(l.src) - len(after) + strings.Index(after, closing) + len(closing)
	l.eatNewline()
	start := l.pos
	for at := start; ; {
		i := strings.Index(l.src[at:], block)
		if i < 0 {
			throwAt(open, "raw without endraw", "")
		}
		at += i
		tail := l.src[at+len(block):]
		left := strings.HasPrefix(tail, "-")
		tail = strings.TrimLeft(strings.TrimLeft(tail, "-+"), " \t\r\n")
		if body, ok := strings.CutPrefix(tail, "endraw"); ok {
			body = strings.TrimLeft(body, " \t\r\n")
			right := strings.HasPrefix(body, "-"+closing)
			if right || strings.HasPrefix(body, closing) {
				end := at
				if left {
					end = max(start, len(strings.TrimRight(l.src[:at], " \t\r\n")))
				}
				l.text(start, end)
				l.trim = right
				l.pos = len(l.src) - len(body) + strings.Index(body, closing) + len(closing)
				l.eatNewline()
				return true
			}
		}
		at += len(block)
	}
}

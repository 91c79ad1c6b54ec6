package expr

import (
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

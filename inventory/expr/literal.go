package expr

import (
	"strconv"
	"strings"

	"farm/inventory/value"
)

// converted is what a template's text is worth. As in Ansible, text that begins like a
// list or mapping, or is True or False, is read as a Python literal with JSON's true, false
// and null; text that is none stays text. Nothing in it is evaluated.
func converted(s string) any {
	switch {
	case s == "True":
		return true
	case s == "False":
		return false
	case !strings.HasPrefix(s, "[") && !strings.HasPrefix(s, "{"):
		return s
	}
	l := &literal{s: s}
	v, ok := l.value()
	if ok && l.skip(',') { // a tuple without brackets
		var more []any
		more, _, ok = l.items(0)
		v = append(tuple{v}, more...)
	}
	if l.blanks(); !ok || l.i < len(s) {
		return s
	}
	// Python takes blanks at the end of the last line for an indentation.
	if line := s[strings.LastIndexByte(s, '\n')+1:]; len(line) < len(s) && line != "" && strings.Trim(line, " \t") == "" {
		return s
	}
	return v
}

// literal reads one Python literal: no sets, no bytes, no complex numbers.
type literal struct {
	s     string
	i     int
	depth int
}

func (l *literal) blanks() {
	for l.i < len(l.s) {
		switch c := l.s[l.i]; {
		case strings.IndexByte(" \t\r\n\f", c) >= 0:
			l.i++
		case c == '#':
			end := strings.IndexByte(l.s[l.i:], '\n')
			if end < 0 {
				end = len(l.s) - l.i
			}
			l.i += end
		default:
			return
		}
	}
}

// skip passes over c if it comes next.
func (l *literal) skip(c byte) bool {
	l.blanks()
	if l.i < len(l.s) && l.s[l.i] == c {
		l.i++
		return true
	}
	return false
}

// ends passes over the closing bracket if it comes next; 0 stands for the end of the text.
func (l *literal) ends(closing byte) bool {
	l.blanks()
	return closing == 0 && l.i == len(l.s) || l.skip(closing)
}

func (l *literal) value() (any, bool) {
	if l.depth++; l.depth > maxNesting {
		return nil, false
	}
	defer func() { l.depth-- }()
	l.blanks()
	if l.i == len(l.s) {
		return nil, false
	}
	switch c := l.s[l.i]; {
	case c == '[':
		l.i++
		list, _, ok := l.items(']')
		return list, ok
	case c == '(':
		l.i++
		list, comma, ok := l.items(')')
		if ok && len(list) == 1 && !comma {
			return list[0], true
		}
		return tuple(list), ok && (len(list) > 0 || !comma)
	case c == '{':
		l.i++
		return l.dict()
	case c == '\'' || c == '"':
		return l.strings()
	case c == '+' || c == '-':
		l.i++
		v, ok := l.value()
		switch v.(type) {
		case int64, value.Big, float64:
			if c == '-' {
				v = negate(v)
			}
			return v, ok
		}
		return nil, false
	case c >= '0' && c <= '9' || c == '.':
		return l.number()
	}
	return l.word()
}

// items reads up to the closing bracket; comma says whether one stood before that.
func (l *literal) items(closing byte) (list []any, comma, ok bool) {
	list = []any{}
	for !l.ends(closing) {
		if len(list) > 0 && !comma {
			return nil, false, false
		}
		v, ok := l.value()
		if !ok {
			return nil, false, false
		}
		list = append(list, v)
		comma = l.skip(',')
	}
	return list, comma, true
}

func (l *literal) dict() (any, bool) {
	d := value.NewDict()
	for comma := true; !l.skip('}'); comma = l.skip(',') {
		if !comma {
			return nil, false
		}
		k, ok := l.value()
		if !ok || !l.skip(':') {
			return nil, false
		}
		switch k.(type) {
		case []any, *value.Dict:
			return nil, false
		case tuple:
			k = dictKey(k)
		}
		v, ok := l.value()
		if !ok {
			return nil, false
		}
		d.Set(k, v)
	}
	return d, true
}

// strings reads texts that stand one after the other as one.
func (l *literal) strings() (any, bool) {
	var b strings.Builder
	for {
		quote := l.s[l.i]
		start := l.i + 1
		if strings.HasPrefix(l.s[l.i:], strings.Repeat(string(quote), 3)) {
			return nil, false
		}
		end := start
		for end < len(l.s) && l.s[end] != quote {
			switch l.s[end] {
			case '\n':
				return nil, false
			case '\\':
				end++
			}
			end++
		}
		if end >= len(l.s) {
			return nil, false
		}
		b.WriteString(unescape(l.s[start:end]))
		l.i = end + 1
		if l.blanks(); l.i == len(l.s) || l.s[l.i] != '\'' && l.s[l.i] != '"' {
			return b.String(), true
		}
	}
}

func (l *literal) number() (any, bool) {
	start := l.i
	for l.i < len(l.s) {
		c := l.s[l.i] | 0x20
		sign := (l.s[l.i] == '+' || l.s[l.i] == '-') && l.s[l.i-1]|0x20 == 'e' && !strings.HasPrefix(l.s[start:], "0x")
		if !sign && l.s[l.i] != '.' && l.s[l.i] != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') || l.s[l.i] < '+' {
			break
		}
		l.i++
	}
	text := l.s[start:l.i]
	digits := strings.ReplaceAll(text, "_", "")
	low := strings.ToLower(digits)
	if strings.Contains(text, "__") || strings.HasSuffix(text, "_") {
		return nil, false
	}
	if len(low) > 2 && low[0] == '0' {
		if base := map[byte]int{'x': 16, 'o': 8, 'b': 2}[low[1]]; base > 0 {
			v, err := value.ParseWhole(low[2:], base)
			return v, err == nil
		}
	}
	if strings.Trim(low, "0123456789") == "" {
		if low[0] == '0' && strings.Trim(low, "0") != "" {
			return nil, false
		}
		v, err := value.ParseWhole(low, 10)
		return v, err == nil
	}
	if strings.Trim(low, "0123456789.e+-") != "" {
		return nil, false
	}
	f, err := strconv.ParseFloat(low, 64)
	return f, err == nil || f > 1 // past all floats is inf
}

var literalWords = map[string]any{"True": true, "true": true, "False": false, "false": false, "None": nil, "null": nil}

func (l *literal) word() (any, bool) {
	end := l.i
	for end < len(l.s) && (l.s[end]|0x20 >= 'a' && l.s[end]|0x20 <= 'z' || l.s[end] == '_') {
		end++
	}
	v, ok := literalWords[l.s[l.i:end]]
	l.i = end
	return v, ok
}

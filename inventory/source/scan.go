package source

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// maxValues bounds the parser's memory: it takes about 250 bytes a value.
const maxValues = 500_000

// scan looks at the bytes of a file before the parser sees them: the parser gives no
// position for a bad byte and has no limits of its own.
func scan(path string, text []byte) error {
	values, line, start := 0, 1, 0
	for i := 0; i < len(text); {
		c := text[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRune(text[i:])
			if r == utf8.RuneError && size == 1 {
				return &Error{Pos: place(path, text, line, start, i), What: fmt.Sprintf("byte 0x%02x is not valid UTF-8", c)}
			}
			i += size
			continue
		}
		switch c {
		case '\n':
			values++
			line, start = line+1, i+1
		case ',', '[', '{':
			values++
		case ':', '-', '?':
			if i+1 == len(text) || text[i+1] == ' ' || text[i+1] == '\n' {
				values++
			}
		case '\t', '\r':
		default:
			if c < ' ' || c == 0x7f {
				return &Error{Pos: place(path, text, line, start, i), What: fmt.Sprintf("control character 0x%02x", c), Hint: "YAML files are text"}
			}
		}
		if values > maxValues {
			return &Error{Pos: place(path, text, line, start, i), What: fmt.Sprintf("the file has more than %d values and lines", maxValues)}
		}
		i++
	}
	return nil
}

func place(path string, text []byte, line, start, at int) Pos {
	return Pos{File: path, Line: line, Col: utf8.RuneCount(text[start:max(start, at)]) + 1}
}

// tabIndent is the place of the first tab in the indentation of lines from..to (from 1), if any.
func tabIndent(path string, text []byte, from, to int) (Pos, bool) {
	for n, line := range bytes.SplitAfter(text, []byte("\n")) {
		if n+1 < from || n+1 > to {
			continue
		}
		indent := line[:len(line)-len(bytes.TrimLeft(line, " \t"))]
		if tab := bytes.IndexByte(indent, '\t'); tab >= 0 {
			return Pos{File: path, Line: n + 1, Col: tab + 1}, true
		}
	}
	return Pos{}, false
}

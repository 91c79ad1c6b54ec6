package expr

import (
	"maps"
	"strings"
	"unicode/utf8"
)

// csvLookup finds the rows of a CSV file whose key column has a term, and gives another column of
// the first of them. A term may end in options, "key file=x.csv delimiter=, col=2".
func csvLookup(c *call) any {
	base := c.options(map[string]any{"file": "ansible.csv", "delimiter": "TAB", "encoding": "utf-8", "col": int64(1), "keycol": int64(0), "default": nil})
	out := []any{}
	for _, a := range c.args {
		opts := maps.Clone(base)
		var key []string
		for _, word := range inlineWords(text(a)) {
			name, v, ok := strings.Cut(word, "=")
			if !ok {
				key = append(key, word)
				continue
			}
			allowed(c.name, name, opts)
			opts[name] = unescape(unquoted(v))
		}
		if key == nil {
			throw("Search key is required but was not found")
		}
		if v := c.column(strings.Join(key, " "), opts); v != nil {
			out = append(out, v)
		}
	}
	return out
}

func (c *call) column(key string, opts map[string]any) any {
	_, body := c.readEncoded("files", opts["file"], text(opts["encoding"]))
	sep := text(opts["delimiter"])
	if sep == "TAB" {
		sep = "\t"
	}
	if utf8.RuneCountInString(sep) != 1 {
		throw("the delimiter %q is not one character", sep)
	}
	keyCol := intArg(opts["keycol"], "keycol")
	mark, _ := utf8.DecodeRuneInString(sep)
	for _, row := range csvRows(body, mark) {
		if keyCol < 0 || keyCol >= int64(len(row)) || row[keyCol] != key {
			continue
		}
		col := intArg(opts["col"], "col")
		if col < 0 || col >= int64(len(row)) {
			throw("csvfile: the row of %q has %d columns, none of number %d counted from 0", key, len(row), col)
		}
		return row[col]
	}
	return opts["default"]
}

// csvRows splits as Python's csv module does by default (RFC 4180): a field that begins with a quote
// ends with one, and what follows before the next separator belongs to it.
func csvRows(body string, sep rune) [][]string {
	var rows [][]string
	var row []string
	var field strings.Builder
	quoted, begun, any := false, false, false
	end := func() {
		row = append(row, field.String())
		field.Reset()
		begun = false
	}
	line := func() {
		if any {
			end()
			rows = append(rows, row)
		}
		row, any = nil, false
	}
	runes := []rune(strings.ReplaceAll(body, "\r\n", "\n"))
	for i := 0; i < len(runes); i++ {
		r := runes[i]
		switch {
		case quoted && r == '"' && i+1 < len(runes) && runes[i+1] == '"':
			field.WriteByte('"')
			i++
		case quoted && r == '"':
			quoted = false
		case quoted:
			field.WriteRune(r)
		case r == '"' && !begun:
			quoted, begun, any = true, true, true
		case r == sep:
			any = true
			end()
		case r == '\n' || r == '\r':
			line()
		default:
			begun, any = true, true
			field.WriteRune(r)
		}
	}
	line()
	return rows
}

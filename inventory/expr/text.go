package expr

import (
	"strings"
	"unicode/utf8"
)

// expandTabs fills each tab up to the next column that size divides.
func expandTabs(s string, size int) string {
	var b strings.Builder
	col := 0
	for _, r := range s {
		switch r {
		case '\t':
			if size > 0 {
				n := size - col%size
				b.WriteString(strings.Repeat(" ", n))
				col += n
			}
			continue
		case '\n', '\r':
			col = -1
		}
		b.WriteRune(r)
		col++
	}
	return bounded(b.String())
}

// pad fills s up to width characters.
func pad(s string, width int, fill string, left, right bool) string {
	missing := width - utf8.RuneCountInString(s)
	if missing <= 0 || fill == "" {
		return s
	}
	if missing > 1<<20 {
		throw("a width of more than %d", 1<<20)
	}
	l, r := missing, missing
	switch {
	case left && right:
		l = missing/2 + missing&width&1
		r = missing - l
	case left:
		r = 0
	default:
		l = 0
	}
	return strings.Repeat(fill, l) + s + strings.Repeat(fill, r)
}

func replaceText(s, old, with string, n int64) string {
	if len(with) > 0 && strings.Count(s, old) > maxText/len(with) {
		throw("text of more than %d bytes", maxText)
	}
	return bounded(strings.Replace(s, old, with, int(n)))
}

// splitText is Python's split and rsplit, also the filter split.
func splitText(c *call, fromRight bool) any {
	s := c.needText()
	sep := c.value(0, "sep", nil)
	limit := int(c.int(1, "maxsplit", -1))
	var parts []string
	switch {
	case sep == nil && limit < 0:
		parts = strings.Fields(s)
	case sep == nil:
		parts = splitBlanks(s, limit, fromRight)
	case text(sep) == "":
		throw("split at empty text")
	case fromRight && limit >= 0:
		for ; limit > 0; limit-- {
			i := strings.LastIndex(s, text(sep))
			if i < 0 {
				break
			}
			parts = append([]string{s[i+len(text(sep)):]}, parts...)
			s = s[:i]
		}
		parts = append([]string{s}, parts...)
	case limit >= 0:
		parts = strings.SplitN(s, text(sep), limit+1)
	default:
		parts = strings.Split(s, text(sep))
	}
	c.m.size(len(parts))
	return stringList(parts)
}

func splitBlanks(s string, limit int, fromRight bool) []string {
	var parts []string
	if fromRight {
		for s = strings.TrimRight(s, " \t\r\n"); s != "" && limit > 0; limit-- {
			i := strings.LastIndexAny(s, " \t\r\n")
			if i < 0 {
				break
			}
			parts = append([]string{s[i+1:]}, parts...)
			s = strings.TrimRight(s[:i], " \t\r\n")
		}
		if s != "" {
			parts = append([]string{s}, parts...)
		}
		return parts
	}
	for s = strings.TrimLeft(s, " \t\r\n"); s != "" && limit > 0; limit-- {
		i := strings.IndexAny(s, " \t\r\n")
		if i < 0 {
			break
		}
		parts = append(parts, s[:i])
		s = strings.TrimLeft(s[i:], " \t\r\n")
	}
	if s != "" {
		parts = append(parts, s)
	}
	return parts
}

func splitLines(s string, keep bool) any {
	var lines []any
	for s != "" {
		i := strings.IndexAny(s, "\r\n")
		if i < 0 {
			lines = append(lines, s)
			break
		}
		end := i + 1
		if s[i] == '\r' && end < len(s) && s[end] == '\n' {
			end++
		}
		if keep {
			lines = append(lines, s[:end])
		} else {
			lines = append(lines, s[:i])
		}
		s = s[end:]
	}
	if lines == nil {
		return []any{}
	}
	return lines
}

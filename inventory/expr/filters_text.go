package expr

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"farm/inventory/value"
)

func textFilters() map[string]function {
	return map[string]function{
		"lower":      func(c *call) any { return strings.ToLower(c.text()) },
		"upper":      func(c *call) any { return strings.ToUpper(c.text()) },
		"capitalize": func(c *call) any { return capitalize(c.text()) },
		"title":      func(c *call) any { return jinjaTitle(c.text()) },
		"trim": func(c *call) any {
			if chars := c.value(0, "chars", nil); chars != nil {
				return strings.Trim(c.text(), text(chars))
			}
			return strings.TrimSpace(c.text())
		},
		"replace": func(c *call) any {
			return replaceText(c.text(), text(c.need(0, "old")), text(c.need(1, "new")), c.int(2, "count", -1))
		},
		"split":      func(c *call) any { return splitText(c, false) },
		"splitlines": func(c *call) any { return splitLines(c.text(), c.bool(0, "keepends", false)) },
		"wordcount": func(c *call) any {
			return int64(len(strings.FieldsFunc(c.text(), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' })))
		},
		"format": func(c *call) any {
			c.open = true
			if len(c.named) > 0 {
				d := value.NewDict()
				for _, k := range c.order {
					d.Set(k, c.named[k])
				}
				return percent(c.text(), d)
			}
			return percent(c.text(), tuple(c.args))
		},
		"indent": indentFilter, "center": func(c *call) any {
			return pad(c.text(), int(c.int(0, "width", 80)), " ", true, true)
		},
		"quote":     func(c *call) any { return shellQuote(quotable(c.defined())) },
		"comment":   commentFilter,
		"truncate":  truncateFilter,
		"wordwrap":  wordWrap,
		"urlencode": urlEncode, "urldecode": urlDecode, "urlsplit": urlSplit,
		"striptags": func(c *call) any {
			var b strings.Builder
			inside := false
			for _, r := range c.text() {
				switch {
				case r == '<':
					inside = true
				case r == '>' && inside:
					inside = false
				case !inside:
					b.WriteRune(r)
				}
			}
			return strings.Join(strings.Fields(b.String()), " ")
		},
	}
}

func capitalize(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return s
	}
	return string(unicode.ToUpper(r)) + strings.ToLower(s[n:])
}

// pythonTitle capitalises after every character that is no letter.
func pythonTitle(s string) string {
	inWord := false
	return strings.Map(func(r rune) rune {
		was := inWord
		inWord = unicode.IsLetter(r)
		if was {
			return unicode.ToLower(r)
		}
		return unicode.ToUpper(r)
	}, s)
}

// jinjaTitle capitalises after blanks, hyphens and opening brackets only.
func jinjaTitle(s string) string {
	inWord := false
	return strings.Map(func(r rune) rune {
		was := inWord
		inWord = !unicode.IsSpace(r) && !strings.ContainsRune("-({[<", r)
		if was {
			return unicode.ToLower(r)
		}
		return unicode.ToUpper(r)
	}, s)
}

func indentFilter(c *call) any {
	by := " "
	switch w := c.value(0, "width", int64(4)).(type) {
	case string:
		by = w
	default:
		by = strings.Repeat(" ", int(max(0, min(intArg(w, "width"), 1<<16))))
	}
	first, blank := c.bool(1, "first", false), c.bool(2, "blank", false)
	lines := strings.Split(c.needText(), "\n")
	for i, l := range lines {
		if (i > 0 || first) && (l != "" || blank || i == 0) {
			lines[i] = by + l
		}
	}
	return bounded(strings.Join(lines, "\n"))
}

// quotable is the text of a word: nothing is an empty one.
func quotable(x any) string {
	if x == nil {
		return ""
	}
	return text(x)
}

// shellQuote quotes a word for a POSIX shell.
func shellQuote(s string) string {
	safe := s != ""
	for _, r := range s {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_@%+=:,./-", r)) {
			safe = false
		}
	}
	if safe {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'"'"'`) + "'"
}

func commentFilter(c *call) any {
	styles := map[string][3]string{ // beginning, decoration, end
		"plain": {"", "# ", ""}, "erlang": {"", "% ", ""}, "c": {"", "// ", ""},
		"cblock": {"/*", " * ", " */"}, "xml": {"<!--", " - ", "-->"},
	}
	id := c.str(0, "style", "plain")
	style, ok := styles[id]
	if !ok {
		throwHint(suggest(id, keysOf(styles)), "unknown style %q of comment", id)
	}
	decoration := c.str(-1, "decoration", style[1])
	bare := strings.TrimRight(decoration, " ")
	prefix, postfix := c.str(-1, "prefix", bare), c.str(-1, "postfix", bare)
	beginning, end := c.str(-1, "beginning", style[0]), c.str(-1, "end", style[2])
	newline := c.str(-1, "newline", "\n")
	var b strings.Builder
	if beginning != "" {
		b.WriteString(beginning + newline)
	}
	if prefix != "" {
		line := prefix
		if prefix != newline {
			line += newline
		}
		b.WriteString(strings.Repeat(line, int(max(0, min(c.int(-1, "prefix_count", 1), 1<<16)))))
	}
	// A line without text has the decoration without the blanks at its end.
	body := decoration + strings.ReplaceAll(c.needText(), newline, newline+decoration)
	b.WriteString(strings.ReplaceAll(body, decoration+newline, strings.TrimRight(decoration, " ")+newline))
	b.WriteString(strings.Repeat(newline+postfix, int(max(0, min(c.int(-1, "postfix_count", 1), 1<<16)))))
	if end != "" {
		b.WriteString(newline + end)
	}
	return bounded(b.String())
}

func truncateFilter(c *call) any {
	length, hard := int(c.int(0, "length", 255)), c.bool(1, "killwords", false)
	end, leeway := c.str(2, "end", "..."), int(c.int(3, "leeway", 5))
	s := []rune(c.needText())
	if len(s) <= length+leeway || length < len(end) {
		return string(s)
	}
	cut := string(s[:length-utf8.RuneCountInString(end)])
	if !hard {
		if i := strings.LastIndexByte(cut, ' '); i >= 0 {
			cut = cut[:i]
		}
	}
	return cut + end
}

// wordWrap breaks lines before the words that do not fit. Blanks at the breaks and at the end of
// a line are dropped; those at the start of a line of the input stay.
func wordWrap(c *call) any {
	width, long, with := int(c.int(0, "width", 79)), c.bool(1, "break_long_words", true), c.str(2, "wrapstring", "\n")
	c.bool(3, "break_on_hyphens", true)
	if width <= 0 {
		throw("a width of %d", width)
	}
	var lines []string
	for _, l := range c.m.items(splitLines(c.text(), false)) {
		lines = append(lines, wrapLine(l.(string), width, long)...)
	}
	return bounded(strings.Join(lines, with))
}

// wrapLine gives at least one line.
func wrapLine(s string, width int, long bool) []string {
	var lines []string
	line := ""
	flush := func() {
		if line = strings.TrimRight(line, " \t"); line != "" {
			lines = append(lines, line)
		}
		line = ""
	}
	for s != "" {
		blanks := s[:len(s)-len(strings.TrimLeft(s, " \t"))]
		s = s[len(blanks):]
		word := s
		if i := strings.IndexAny(s, " \t"); i >= 0 {
			word = s[:i]
		}
		s = s[len(word):]
		switch {
		case line != "" && utf8.RuneCountInString(line)+len(blanks) > width:
			flush()
		case line != "" || len(lines) == 0:
			line += blanks
		}
		used, size := utf8.RuneCountInString(line), utf8.RuneCountInString(word)
		if used+size > width && line != "" && (size <= width || !long) {
			flush()
			used = 0
		}
		for long && used+size > width {
			r := []rune(word)
			n := max(0, width-used)
			// Blanks that fill the line stay, as in Python's textwrap.
			lines, word = append(lines, line+string(r[:n])), string(r[n:])
			line, used, size = "", 0, size-n
		}
		line += word
	}
	if flush(); lines == nil {
		return []string{""}
	}
	return lines
}

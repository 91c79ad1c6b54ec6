package expr

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

func trimSet(c *call) string {
	if v := c.value(0, "chars", nil); v != nil {
		return c.textArg(0, "chars")
	}
	return " \t\n\r\v\f"
}

func affix(c *call, has func(s, a string) bool) any {
	s := c.text()
	if t, ok := c.need(0, "prefix").(tuple); ok {
		for _, a := range t {
			if has(s, text(a)) {
				return true
			}
		}
		return false
	}
	return has(s, c.textArg(0, "prefix"))
}

// runeIndex turns a byte index into one of characters.
func runeIndex(s string, i int) any {
	if i < 0 {
		return int64(-1)
	}
	return int64(utf8.RuneCountInString(s[:i]))
}

func allOf(ok func(r rune) bool) function {
	return func(c *call) any {
		s := c.text()
		for _, r := range s {
			if !ok(r) {
				return false
			}
		}
		return s != ""
	}
}

func partition(c *call, index func(s, sep string) int, missing func(s string) tuple) any {
	s, sep := c.text(), c.textArg(0, "sep")
	i := index(s, sep)
	if i < 0 {
		return missing(s)
	}
	return tuple{s[:i], sep, s[i+len(sep):]}
}

func stringMethods() map[string]function {
	return map[string]function{
		"split":      func(c *call) any { return splitText(c, false) },
		"rsplit":     func(c *call) any { return splitText(c, true) },
		"splitlines": func(c *call) any { return splitLines(c.text(), c.bool(0, "keepends", false)) },
		"strip":      func(c *call) any { return strings.Trim(c.text(), trimSet(c)) },
		"lstrip":     func(c *call) any { return strings.TrimLeft(c.text(), trimSet(c)) },
		"rstrip":     func(c *call) any { return strings.TrimRight(c.text(), trimSet(c)) },
		"upper":      func(c *call) any { return strings.ToUpper(c.text()) },
		"lower":      func(c *call) any { return strings.ToLower(c.text()) },
		"casefold":   func(c *call) any { return strings.ToLower(c.text()) },
		"capitalize": func(c *call) any { return capitalize(c.text()) },
		"title":      func(c *call) any { return pythonTitle(c.text()) },
		"swapcase": func(c *call) any {
			return strings.Map(func(r rune) rune {
				if unicode.IsUpper(r) {
					return unicode.ToLower(r)
				}
				return unicode.ToUpper(r)
			}, c.text())
		},
		"startswith":   func(c *call) any { return affix(c, strings.HasPrefix) },
		"endswith":     func(c *call) any { return affix(c, strings.HasSuffix) },
		"removeprefix": func(c *call) any { return strings.TrimPrefix(c.text(), c.textArg(0, "prefix")) },
		"removesuffix": func(c *call) any { return strings.TrimSuffix(c.text(), c.textArg(0, "suffix")) },
		"replace": func(c *call) any {
			return replaceText(c.text(), c.textArg(0, "old"), c.textArg(1, "new"), c.int(2, "count", -1))
		},
		"find":  func(c *call) any { s := c.text(); return runeIndex(s, strings.Index(s, c.textArg(0, "sub"))) },
		"rfind": func(c *call) any { s := c.text(); return runeIndex(s, strings.LastIndex(s, c.textArg(0, "sub"))) },
		"index": func(c *call) any {
			s, sub := c.text(), c.textArg(0, "sub")
			i := strings.Index(s, sub)
			if i < 0 {
				throw("%q is not in the text", sub)
			}
			return runeIndex(s, i)
		},
		"count": func(c *call) any { return int64(strings.Count(c.text(), c.textArg(0, "sub"))) },
		"join": func(c *call) any {
			var parts []string
			for _, x := range c.m.items(c.need(0, "iterable")) {
				s, ok := x.(string)
				if !ok {
					throwHint("convert them with | map('string')", "join of %s", kindOf(x))
				}
				parts = append(parts, s)
			}
			return bounded(strings.Join(parts, c.text()))
		},
		"isdigit":   allOf(unicode.IsDigit),
		"isnumeric": allOf(unicode.IsNumber),
		"isdecimal": allOf(unicode.IsDigit),
		"isalpha":   allOf(unicode.IsLetter),
		"isalnum":   allOf(func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }),
		"isspace":   allOf(unicode.IsSpace),
		"isupper":   func(c *call) any { s := c.text(); return strings.ToUpper(s) == s && strings.ToLower(s) != s },
		"islower":   func(c *call) any { s := c.text(); return strings.ToLower(s) == s && strings.ToUpper(s) != s },
		"zfill": func(c *call) any {
			s, sign := c.text(), ""
			if strings.HasPrefix(s, "-") || strings.HasPrefix(s, "+") {
				sign, s = s[:1], s[1:]
			}
			return sign + pad(s, int(c.int(0, "width", 0))-len(sign), "0", true, false)
		},
		"ljust":  func(c *call) any { return pad(c.text(), int(c.int(0, "width", 0)), c.str(1, "fill", " "), false, true) },
		"rjust":  func(c *call) any { return pad(c.text(), int(c.int(0, "width", 0)), c.str(1, "fill", " "), true, false) },
		"center": func(c *call) any { return pad(c.text(), int(c.int(0, "width", 0)), c.str(1, "fill", " "), true, true) },
		"partition": func(c *call) any {
			return partition(c, strings.Index, func(s string) tuple { return tuple{s, "", ""} })
		},
		"rpartition": func(c *call) any {
			return partition(c, strings.LastIndex, func(s string) tuple { return tuple{"", "", s} })
		},
		"format": func(c *call) any { c.open = true; return braceFormat(c.m, c.text(), c.args, c.named) },
		"expandtabs": func(c *call) any {
			return expandTabs(c.text(), int(min(64, c.int(0, "tabsize", 8))))
		},
		"encode": func(c *call) any { c.str(0, "encoding", ""); return c.text() },
		"decode": func(c *call) any { c.str(0, "encoding", ""); return c.text() },
	}
}

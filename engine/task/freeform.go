package task

import (
	"regexp"
	"strconv"
	"strings"

	"farm/inventory/source"
	"farm/inventory/value"
)

type token struct{ space, text string }

const continuation = "\\\n"

// tokens splits "make -j4 chdir=/x 'a b'" at blanks outside quotes and templates, keeping
// the quotes and, with each token, the blanks before it. Where a line ends with a backslash
// that stands alone the next one is part of it, as Ansible shows the command.
func tokens(text string) (out []token) {
	var quote byte
	depth, start, space := 0, -1, 0
	for i := 0; i < len(text); i++ {
		c := text[i]
		blank := c == ' ' || c == '\t' || c == '\n'
		if start < 0 {
			if blank {
				continue
			}
			if strings.HasPrefix(text[i:], continuation) {
				i++
				continue
			}
			start = i
		}
		switch {
		case depth > 0:
			if strings.HasPrefix(text[i:], "}}") || strings.HasPrefix(text[i:], "%}") {
				depth--
				i++
			}
		case strings.HasPrefix(text[i:], "{{"), strings.HasPrefix(text[i:], "{%"):
			depth++
			i++
		case quote != 0:
			if c == '\\' && quote == '"' {
				i++
			} else if c == quote {
				quote = 0
			}
		case c == '\\':
			i++
		case c == '\'' || c == '"':
			quote = c
		case blank:
			out = append(out, token{gap(text[space:start]), text[start:i]})
			start, space = -1, i
		}
	}
	if start >= 0 {
		out = append(out, token{gap(text[space:start]), text[start:]})
	}
	return out
}

// gap is what stands between two words, its lines joined where they are continued.
func gap(space string) string {
	space = strings.ReplaceAll(space, " "+continuation+" ", " ")
	return strings.ReplaceAll(space, continuation, "")
}

// assignment splits k=v, where k may be a template; ok is false where t is something else.
func (t token) assignment() (k, v string, ok bool) {
	at, depth := -1, 0
	for i := 0; i < len(t.text) && at < 0; i++ {
		switch {
		case strings.HasPrefix(t.text[i:], "{{"):
			depth++
		case strings.HasPrefix(t.text[i:], "}}"):
			depth--
		case t.text[i] == '=' && depth == 0:
			at = i
		}
	}
	if at < 0 || !isName(t.text[:at]) && !value.IsTemplate(t.text[:at]) {
		return "", "", false
	}
	k, v = t.text[:at], t.text[at+1:]
	if n := len(v); n >= 2 && (v[0] == '"' || v[0] == '\'') && v[n-1] == v[0] {
		v = v[1 : n-1]
	}
	return k, v, true
}

// splitFree takes the k=v arguments out of text for which take says yes; the rest keeps
// its spacing.
func splitFree(text string, pos source.Pos, take func(key string) bool) (args *value.Dict, rest string) {
	args = value.NewDict()
	args.SetPos(pos)
	var b strings.Builder
	for _, t := range tokens(text) {
		if k, v, ok := t.assignment(); ok && take(k) {
			args.Set(k, templated(unescaped(v), pos))
			args.SetKeyPos(k, pos)
			continue
		}
		b.WriteString(t.space + t.text)
	}
	rest = strings.TrimSpace(b.String())
	if rest != "" { // the newlines of a block of YAML stay, as in Ansible
		end := strings.TrimRight(text, " \t\r\n")
		rest += strings.Repeat("\n", strings.Count(text[len(end):], "\n"))
	}
	return args, rest
}

// escapes are what Ansible replaces in the values of k=v.
var escapes = regexp.MustCompile(`\\(?:U[0-9a-fA-F]{8}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|[\\'"abfnrtv])`)

// unescaped is the value of k=v with its escapes replaced: \n is a newline. Other backslashes stay.
func unescaped(v string) string {
	return escapes.ReplaceAllStringFunc(v, func(esc string) string {
		if i := strings.IndexByte("abfnrtv", esc[1]); i >= 0 {
			return "\a\b\f\n\r\t\v"[i : i+1]
		}
		if n, err := strconv.ParseUint(esc[2:], 16, 32); err == nil && len(esc) > 2 {
			return string(rune(n))
		}
		return esc[1:]
	})
}

// templated is text as a value of a file.
func templated(text string, pos source.Pos) any {
	if value.IsTemplate(text) {
		return value.Template{Text: text, Pos: pos}
	}
	return text
}

// textOf is the text of a scalar as written.
func textOf(v any) (string, bool) {
	switch t := v.(type) {
	case string:
		return t, true
	case value.Template:
		return t.Text, true
	case int64, value.Big, float64, bool:
		return value.Text(t), true
	}
	return "", false
}

func isName(s string) bool {
	return s != "" && (s[0] < '0' || s[0] > '9') &&
		strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == ""
}

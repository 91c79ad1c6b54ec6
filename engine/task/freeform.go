package task

import (
	"strings"

	"farm/inventory/source"
	"farm/inventory/value"
)

type token struct{ space, text string }

// tokens splits "make -j4 chdir=/x 'a b'" at blanks outside quotes and templates, keeping
// the quotes and, with each token, the blanks before it.
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
			out = append(out, token{text[space:start], text[start:i]})
			start, space = -1, i
		}
	}
	if start >= 0 {
		out = append(out, token{text[space:start], text[start:]})
	}
	return out
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
			args.Set(k, templated(v, pos))
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

package expr

import (
	"maps"
	"slices"
	"strings"
)

// inlineWords splits "key name=value 'a b'" at blanks outside quotes, keeping the quotes.
func inlineWords(s string) []string {
	var words []string
	var b strings.Builder
	var quote rune
	escaped, open := false, false
	for _, r := range s {
		blank := r == ' ' || r == '\t' || r == '\n'
		switch {
		case escaped:
			escaped = false
		case r == '\\':
			escaped = true
		case quote != 0:
			if r == quote {
				quote = 0
			}
		case r == '"' || r == '\'':
			quote = r
		case blank:
			if open {
				words = append(words, b.String())
				b.Reset()
			}
			open = false
			continue
		}
		open = true
		b.WriteRune(r)
	}
	if open {
		words = append(words, b.String())
	}
	return words
}

// unquoted is s without one pair of quotes around it.
func unquoted(s string) string {
	if n := len(s); n >= 2 && (s[0] == '"' || s[0] == '\'') && s[n-1] == s[0] && s[max(n-2, 1)] != '\\' {
		return s[1 : n-1]
	}
	return s
}

// options are a lookup's named arguments by name, each with what it is without one. Undefined ones
// and others are refused.
func (c *call) options(def map[string]any) map[string]any {
	c.open = true
	opts := map[string]any{}
	for name, v := range def {
		opts[name] = v
	}
	for _, name := range slices.Sorted(maps.Keys(c.named)) {
		if name == "wantlist" || name == "errors" {
			continue
		}
		allowed(c.name, name, def)
		opts[name] = c.value(-1, name, nil)
	}
	return opts
}

func allowed(lookup, name string, opts map[string]any) {
	if _, ok := opts[name]; !ok {
		throwHint(suggest(name, keysOf(opts)), "%s is not a valid option of the lookup %s", name, lookup)
	}
}

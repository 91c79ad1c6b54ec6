package modules

import (
	"errors"
	"regexp"
	"strings"
)

// splitWords cuts a command line into words as a POSIX shell would, without expanding
// anything: quotes and backslashes are taken off.
func splitWords(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	open, quoteChar := false, byte(0)
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case quoteChar == '\'' && c != '\'', quoteChar == '"' && c != '"' && c != '\\':
			word.WriteByte(c)
		case c == '\\':
			i++
			if i == len(line) {
				return nil, errors.New("the command ends with a backslash")
			}
			if quoteChar == '"' && line[i] != '"' && line[i] != '\\' {
				word.WriteByte('\\')
			}
			word.WriteByte(line[i])
			open = true
		case quoteChar != 0: // its end
			quoteChar = 0
		case c == '\'' || c == '"':
			quoteChar, open = c, true
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			if open {
				words = append(words, word.String())
				word.Reset()
				open = false
			}
		default:
			word.WriteByte(c)
			open = true
		}
	}
	if quoteChar != 0 {
		return nil, errors.New("the command has a quote without its pair")
	}
	if open {
		words = append(words, word.String())
	}
	return words, nil
}

var (
	variable = regexp.MustCompile(`\$(\{[A-Za-z_][A-Za-z0-9_]*\}|[A-Za-z_][A-Za-z0-9_]*)`)
	homeWord = regexp.MustCompile(`^~[A-Za-z0-9_.-]*(/|$)`)
)

// expands reports whether a word has a variable or a home folder in it.
func expands(word string) bool { return variable.MatchString(word) || homeWord.MatchString(word) }

// expandWord writes a word for a shell so that variables and a leading ~ are replaced and
// nothing else; a variable that is not set stays as it is written.
func expandWord(word string) string {
	var b strings.Builder
	if home := homeWord.FindString(word); home != "" {
		home = strings.TrimSuffix(home, "/")
		b.WriteString(home)
		word = word[len(home):]
		if strings.HasPrefix(word, "/") {
			b.WriteString("/")
			word = word[1:]
		}
		if word == "" {
			return b.String()
		}
	}
	at := 0
	for _, m := range variable.FindAllStringIndex(word, -1) {
		if m[0] > at {
			b.WriteString(quote(word[at:m[0]]))
		}
		name := strings.Trim(word[m[0]+1:m[1]], "{}")
		b.WriteString(`"${` + name + `-\$` + name + `}"`)
		at = m[1]
	}
	if at < len(word) || b.Len() == 0 {
		b.WriteString(quote(word[at:]))
	}
	return b.String()
}

// keyValues reads "a=1 b='x y'" into pairs; ok is false where a word is no pair.
func keyValues(line string) (pairs [][2]string, ok bool) {
	words, err := splitWords(line)
	if err != nil {
		return nil, false
	}
	for _, w := range words {
		k, v, pair := strings.Cut(w, "=")
		if !pair {
			return nil, false
		}
		pairs = append(pairs, [2]string{k, v})
	}
	return pairs, true
}

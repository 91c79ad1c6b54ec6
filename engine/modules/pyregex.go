package modules

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/dlclark/regexp2"
)

// regexTime bounds one match: a pattern can need exponential time.
const regexTime = 10 * time.Second

// regex is a regular expression with Python's syntax. Named groups are numbered among the
// others in the order they open, as in Python; the engine below would number them last.
type regex struct {
	*regexp2.Regexp
	names map[string]int
}

// pattern compiles a regular expression.
func pattern(text string, options regexp2.RegexOptions) (*regex, error) {
	names := map[string]int{}
	plain, err := unnamed(text, names)
	if err != nil {
		return nil, fmt.Errorf("the regular expression %q: %w", text, err)
	}
	re, err := regexp2.Compile(plain, options)
	if err != nil {
		return nil, fmt.Errorf("the regular expression %q: %w", text, err)
	}
	re.MatchTimeout = regexTime
	return &regex{re, names}, nil
}

// unnamed takes the names off a pattern's groups and fills names with their numbers.
func unnamed(text string, names map[string]int) (string, error) {
	var b strings.Builder
	groups, class := 0, false
	for i := 0; i < len(text); i++ {
		rest := text[i:]
		switch {
		case strings.HasPrefix(rest, `\Z`) && !class:
			b.WriteString(`\z`)
			i++
		case rest[0] == '\\' && len(rest) > 1:
			b.WriteString(rest[:2])
			i++
		case class:
			class = rest[0] != ']'
			b.WriteByte(rest[0])
		case rest[0] == '[':
			class = true
			n := 1
			for _, c := range "^]" { // a ] right at the start is one of the set
				if n < len(rest) && rest[n] == byte(c) {
					n++
				}
			}
			b.WriteString(rest[:n])
			i += n - 1
		case strings.HasPrefix(rest, "(?P<"):
			end := strings.IndexByte(rest, '>')
			if end < 0 {
				return "", fmt.Errorf("the name of a group is not closed")
			}
			groups++
			names[rest[4:end]] = groups
			b.WriteByte('(')
			i += end
		case strings.HasPrefix(rest, "(?P="):
			end := strings.IndexByte(rest, ')')
			if end < 0 || names[rest[4:end]] == 0 {
				return "", fmt.Errorf("(?P= names no group before it")
			}
			b.WriteString(`(?:\` + strconv.Itoa(names[rest[4:end]]) + ")")
			i += end
		default:
			if rest[0] == '(' && !strings.HasPrefix(rest, "(?") {
				groups++
			}
			b.WriteByte(rest[0])
		}
	}
	return b.String(), nil
}

// expand puts a match's groups into a replacement, written as for Python's re.sub: \1,
// \g<1>, \g<name>, \n, \t.
func (re *regex) expand(repl string, m *regexp2.Match) (string, error) {
	var b strings.Builder
	group := func(id string) error {
		n, named := re.names[id]
		if !named {
			var err error
			if n, err = strconv.Atoi(id); err != nil {
				n = -1
			}
		}
		g := m.GroupByNumber(n)
		if n < 0 || g == nil {
			return fmt.Errorf("the replacement %q names the group %s, which is none", repl, id)
		}
		b.WriteString(g.String())
		return nil
	}
	for i := 0; i < len(repl); i++ {
		if repl[i] != '\\' || i+1 == len(repl) {
			b.WriteByte(repl[i])
			continue
		}
		i++
		var err error
		switch c := repl[i]; {
		case c >= '0' && c <= '9':
			end := i + 1
			if end < len(repl) && repl[end] >= '0' && repl[end] <= '9' && c != '0' {
				end++
			}
			err = group(repl[i:end])
			i = end - 1
		case c == 'g' && i+1 < len(repl) && repl[i+1] == '<':
			end := strings.IndexByte(repl[i:], '>')
			if end < 0 {
				return "", fmt.Errorf("the replacement %q has a \\g< without its >", repl)
			}
			err = group(repl[i+2 : i+end])
			i += end
		case strings.IndexByte("nrt\\", c) >= 0:
			b.WriteByte("\n\r\t\\"[strings.IndexByte("nrt\\", c)])
		default:
			b.WriteString(repl[i-1 : i+1])
		}
		if err != nil {
			return "", err
		}
	}
	return b.String(), nil
}

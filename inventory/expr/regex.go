package expr

import (
	"strings"
	"time"

	"github.com/dlclark/regexp2"
)

// regexTime bounds one match: a pattern can need exponential time.
const regexTime = time.Second

// regex compiles a pattern in the syntax of Python's re module, which regexp2 takes
// except for the spelling of named groups and \Z.
func regex(pattern string, ignoreCase, multiline bool) *regexp2.Regexp {
	var opts regexp2.RegexOptions
	if ignoreCase {
		opts |= regexp2.IgnoreCase
	}
	if multiline {
		opts |= regexp2.Multiline
	}
	var b strings.Builder
	for i := 0; i < len(pattern); i++ {
		rest := pattern[i:]
		switch {
		case strings.HasPrefix(rest, `\Z`):
			b.WriteString(`\z`)
			i++
		case rest[0] == '\\' && len(rest) > 1:
			b.WriteString(rest[:2])
			i++
		case strings.HasPrefix(rest, "(?P<"):
			b.WriteString("(?<")
			i += 3
		case strings.HasPrefix(rest, "(?P="):
			end := strings.IndexByte(rest, ')')
			if end < 0 {
				throw("the regular expression %q has an open group", pattern)
			}
			b.WriteString(`\k<` + rest[4:end] + ">")
			i += end
		default:
			b.WriteByte(rest[0])
		}
	}
	re, err := regexp2.Compile(b.String(), opts)
	if err != nil {
		throw("the regular expression %q: %s", pattern, err)
	}
	re.MatchTimeout = regexTime
	return re
}

// matches finds all matches of re, at most limit; 0 = all.
func (m *machine) matches(re *regexp2.Regexp, s string, limit int64) []*regexp2.Match {
	var found []*regexp2.Match
	match, err := re.FindStringMatch(s)
	for match != nil && err == nil {
		m.run.step(1)
		found = append(found, match)
		if limit > 0 && int64(len(found)) == limit {
			return found
		}
		match, err = re.FindNextMatch(match)
	}
	if err != nil {
		throw("the regular expression %q: %s", re.String(), err)
	}
	return found
}

// expand puts a match's groups into a replacement: \1, \g<1>, \g<name> and Python's escapes.
func expand(with string, match *regexp2.Match) string {
	var b strings.Builder
	for i := 0; i < len(with); i++ {
		if with[i] != '\\' || i+1 == len(with) {
			b.WriteByte(with[i])
			continue
		}
		i++
		switch c := with[i]; {
		case c >= '0' && c <= '9':
			end := i + 1
			if end < len(with) && with[end] >= '0' && with[end] <= '9' {
				end++
			}
			b.WriteString(group(match, with[i:end]))
			i = end - 1
		case c == 'g' && i+1 < len(with) && with[i+1] == '<':
			end := strings.IndexByte(with[i:], '>')
			if end < 0 {
				throw("a group of the replacement %q is never closed", with)
			}
			b.WriteString(group(match, with[i+2:i+end]))
			i += end
		case strings.IndexByte("abfnrtv\\", c) >= 0:
			b.WriteString(unescape(with[i-1 : i+1]))
		default:
			b.WriteString(with[i-1 : i+1])
		}
	}
	return b.String()
}

func group(match *regexp2.Match, id string) string {
	g := match.GroupByName(id)
	if g == nil {
		throw("no group %q in the regular expression", id)
	}
	return g.String()
}

// groupValue is a group as Python gives it: nothing if it took no part.
func groupValue(g *regexp2.Group) any {
	if g == nil || len(g.Captures) == 0 {
		return nil
	}
	return g.String()
}

func regexReplace(c *call) any {
	s := c.text()
	pattern, with := c.str(0, "pattern", ""), c.str(1, "replacement", "")
	ignore, multi := c.bool(2, "ignorecase", false), c.bool(3, "multiline", false)
	limit := c.int(4, "count", 0)
	re := regex(pattern, ignore, multi)
	runes := []rune(s)
	var b strings.Builder
	last := 0
	for _, match := range c.m.matches(re, s, limit) {
		b.WriteString(string(runes[last:match.Index]))
		b.WriteString(expand(with, match))
		last = match.Index + match.Length
		bounded(b.String())
	}
	b.WriteString(string(runes[last:]))
	return bounded(b.String())
}

// regexSearch gives the match's text, nothing if there is none, or the groups asked for.
func regexSearch(c *call) any {
	s, pattern := c.text(), text(c.need(0, "regex"))
	var wanted []any
	if len(c.args) > 1 {
		wanted = c.args[1:]
	}
	re := regex(pattern, c.bool(-1, "ignorecase", false), c.bool(-1, "multiline", false))
	found := c.m.matches(re, s, 1)
	switch {
	case len(found) == 0:
		return nil
	case wanted == nil:
		return found[0].String()
	}
	groups := []any{}
	for _, w := range wanted {
		id := strings.TrimPrefix(text(w), `\`)
		if rest, ok := strings.CutPrefix(id, "g<"); ok {
			id = strings.TrimSuffix(rest, ">")
		}
		g := found[0].GroupByName(id)
		if g == nil {
			throw("no group %q in the regular expression", id)
		}
		groups = append(groups, groupValue(g))
	}
	return groups
}

func regexFindall(c *call) any {
	s, pattern := c.text(), text(c.need(0, "regex"))
	re := regex(pattern, c.bool(2, "ignorecase", false), c.bool(1, "multiline", false))
	out := []any{}
	for _, match := range c.m.matches(re, s, 0) {
		groups := match.Groups()
		switch len(groups) {
		case 1:
			out = append(out, match.String())
		case 2:
			out = append(out, groups[1].String())
		default:
			var t tuple
			for _, g := range groups[1:] {
				t = append(t, g.String())
			}
			out = append(out, t)
		}
	}
	return out
}

func regexEscape(c *call) any {
	special := `()[]{}?*+-|^$\.&~# ` + "\t\n\r\v\f"
	if c.str(0, "re_type", "python") != "python" {
		special = `[].^$*\`
	}
	var b strings.Builder
	for _, r := range c.text() {
		if strings.ContainsRune(special, r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// regexTest is the tests match, search and regex.
func regexTest(defaultKind string) function {
	return func(c *call) any {
		s, pattern := c.text(), text(c.need(0, "pattern"))
		re := regex(pattern, c.bool(1, "ignorecase", false), c.bool(2, "multiline", false))
		kind := c.str(3, "match_type", defaultKind)
		found := c.m.matches(re, s, 1)
		if len(found) == 0 {
			return false
		}
		switch kind {
		case "match":
			return found[0].Index == 0
		case "fullmatch":
			return found[0].Index == 0 && found[0].Length == len([]rune(s))
		}
		return true
	}
}

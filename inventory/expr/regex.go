package expr

import (
	"strings"
	"time"

	"farm/inventory/regex"
)

// regexTime bounds one match: a pattern can need exponential time.
const regexTime = time.Second

// compile compiles a pattern in the syntax of Python's re module.
func (m *machine) compile(pattern string, ignoreCase, multiline bool) *regex.Regex {
	var opts regex.Options
	if ignoreCase {
		opts |= regex.IgnoreCase
	}
	if multiline {
		opts |= regex.Multiline
	}
	re, err := regex.Compile(pattern, opts)
	if err != nil {
		throw("%s", err)
	}
	re.MatchTimeout = regexTime
	return re
}

// matches finds all matches of re, at most limit; 0 = all.
func (m *machine) matches(re *regex.Regex, s string, limit int64) []*regex.Match {
	var found []*regex.Match
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

func regexReplace(c *call) any {
	s := c.text()
	pattern, with := c.str(0, "pattern", ""), c.str(1, "replacement", "")
	ignore, multi := c.bool(2, "ignorecase", false), c.bool(3, "multiline", false)
	re := c.m.compile(pattern, ignore, multi)
	repl, err := re.Template(with)
	if err != nil {
		throw("%s", err)
	}
	runes := []rune(s)
	var b strings.Builder
	last := 0
	for _, match := range c.m.matches(re, s, 0) {
		b.WriteString(string(runes[last:match.Index]))
		b.WriteString(repl.Expand(match))
		last = match.Index + match.Length
		if b.Len() > maxText {
			bounded(b.String())
		}
	}
	b.WriteString(string(runes[last:]))
	return bounded(b.String())
}

// regexSearch gives the match's text, nothing if there is none, or the groups asked for.
func regexSearch(c *call) any {
	s, pattern := c.text(), text(c.need(0, "regex"))
	var wanted []string
	for _, a := range c.args[min(1, len(c.args)):] {
		wanted = append(wanted, groupID(text(a)))
	}
	re := c.m.compile(pattern, c.bool(-1, "ignorecase", false), c.bool(-1, "multiline", false))
	found := c.m.matches(re, s, 1)
	switch {
	case len(found) == 0:
		return nil
	case wanted == nil:
		return found[0].String()
	}
	groups := []any{}
	for _, id := range wanted {
		n, err := re.Number(id)
		if err != nil {
			throw("%s", err)
		}
		var v any // nothing, if the group took no part
		if g, ok := re.Group(found[0], n); ok {
			v = g
		}
		groups = append(groups, v)
	}
	return groups
}

// groupID reads \1 or \g<name>.
func groupID(s string) string {
	if rest, ok := strings.CutPrefix(s, `\g<`); ok {
		if end := strings.LastIndexByte(rest, '>'); end > 0 && !strings.ContainsAny(rest[:end], " \t\n") {
			return rest[:end]
		}
	} else if rest, ok := strings.CutPrefix(s, `\`); ok {
		if digits := rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789"))]; digits != "" {
			return strings.TrimLeft(digits[:len(digits)-1], "0") + digits[len(digits)-1:]
		}
	}
	throwHint(`write \\1 or \\g<name>`, "regex_search has no group %q", s)
	return ""
}

func regexFindall(c *call) any {
	s, pattern := c.text(), text(c.need(0, "regex"))
	re := c.m.compile(pattern, c.bool(2, "ignorecase", false), c.bool(1, "multiline", false))
	out := []any{}
	for _, match := range c.m.matches(re, s, 0) {
		switch re.Groups() {
		case 0:
			out = append(out, match.String())
		case 1:
			g, _ := re.Group(match, 1)
			out = append(out, g)
		default:
			var t tuple
			for n := range re.Groups() {
				g, _ := re.Group(match, n+1)
				t = append(t, g)
			}
			out = append(out, t)
		}
	}
	return out
}

func regexEscape(c *call) any {
	special := `()[]{}?*+-|^$\.&~# ` + "\t\n\r\v\f"
	switch kind := c.str(0, "re_type", "python"); kind {
	case "python":
	case "posix_basic":
		special = `[].^$*\`
	case "posix_extended":
		throw("Regex type (%s) not yet implemented", kind)
	default:
		throwHint("python or posix_basic", "Invalid regex type (%s)", kind)
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
		ignore, multi := c.bool(1, "ignorecase", false), c.bool(2, "multiline", false)
		kind := c.str(3, "match_type", defaultKind)
		re := c.m.compile(pattern, ignore, multi)
		if kind == "fullmatch" {
			re = c.m.compile(whole(pattern), ignore, multi)
		}
		found := c.m.matches(re, s, 1)
		// The first match begins as far to the left as any.
		return len(found) > 0 && (kind != "match" && kind != "fullmatch" || found[0].Index == 0)
	}
}

// whole is a pattern that matches what pattern matches, up to the end of the text. Flags at
// the start, "(?i)", must stay there.
func whole(pattern string) string {
	flags := ""
	if end := strings.IndexByte(pattern, ')'); strings.HasPrefix(pattern, "(?") && end > 0 && strings.Trim(pattern[2:end], "aimsux") == "" {
		flags, pattern = pattern[:end+1], pattern[end+1:]
	}
	return flags + "(?:" + pattern + `)\Z`
}

// Package regex matches regular expressions in the syntax of Python's re module
// (https://docs.python.org/3.11/library/re.html), look-around and back references
// included. Matching is bounded in time.
package regex

import (
	"fmt"
	"strings"
	"time"

	"github.com/dlclark/regexp2"
)

// MaxTime bounds one match, unless a Regex's MatchTimeout is set to something else: a
// pattern can need exponential time.
const MaxTime = 10 * time.Second

// Options are the flags of re.compile, which (?ims) in the pattern adds to.
type Options = regexp2.RegexOptions

const (
	IgnoreCase Options = regexp2.IgnoreCase // re.I
	Multiline  Options = regexp2.Multiline  // re.M
	DotAll     Options = regexp2.Singleline // re.S
)

// Match is one match; positions count characters.
type Match = regexp2.Match

// Regex is a compiled pattern. Its groups are numbered from 1 in the order in which they
// open, named ones too. Safe for concurrent use.
type Regex struct {
	*regexp2.Regexp
	names  map[string]int
	groups int
	text   string
}

// Compile compiles a pattern; the error quotes it.
func Compile(pattern string, options Options) (*Regex, error) {
	t := &translator{s: pattern, names: map[string]int{}}
	plain, err := t.translate()
	if err != nil {
		return nil, fmt.Errorf("the regular expression %q: %w", pattern, err)
	}
	re, err := regexp2.Compile(plain, options)
	if err != nil {
		why := strings.TrimPrefix(err.Error(), "error parsing regexp: ")
		if strings.Contains(why, "missing argument to repetition operator") {
			why = "nothing to repeat"
		}
		return nil, fmt.Errorf("the regular expression %q: %s", pattern, why)
	}
	re.MatchTimeout = MaxTime
	return &Regex{Regexp: re, names: t.names, groups: t.groups, text: pattern}, nil
}

// String is the pattern as it was written.
func (re *Regex) String() string { return re.text }

// Groups is the number of groups, without the whole match.
func (re *Regex) Groups() int { return re.groups }

// Number is the number of a group by its name or decimal number, 0 for the whole match.
func (re *Regex) Number(id string) (int, error) {
	if n, ok := re.names[id]; ok {
		return n, nil
	}
	n := 0
	for _, c := range id {
		if c < '0' || c > '9' || n > re.groups {
			n = re.groups + 1
			break
		}
		n = n*10 + int(c-'0')
	}
	if id == "" || n > re.groups {
		return 0, fmt.Errorf("the regular expression %q has no group %q", re.text, id)
	}
	return n, nil
}

// Group is the text of group n of m; ok is false if it took no part in the match.
func (re *Regex) Group(m *Match, n int) (text string, ok bool) {
	g := m.GroupByNumber(n)
	if g == nil || len(g.Captures) == 0 {
		return "", false
	}
	return g.String(), true
}

package inventory

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"farm/inventory/regex"
)

// ErrPattern is wrapped by the error for a host pattern that cannot be read.
var ErrPattern = errors.New("bad host pattern")

// universe is what a host pattern selects from.
type universe struct {
	names  [][]string       // of every item: the names it answers to
	groups map[string][]int // items of each group, in order
}

// sel is the items that pattern selects, in the order of the pattern's terms.
func (u *universe) sel(pattern string) ([]int, error) {
	var add, and, not []string
	for _, term := range splitPattern(pattern) {
		switch term[0] {
		case '&':
			and = append(and, term[1:])
		case '!':
			not = append(not, term[1:])
		default:
			add = append(add, term)
		}
	}
	if len(add) == 0 {
		add = []string{"all"}
	}
	var out []int
	have := map[int]bool{}
	for _, term := range add {
		items, err := u.term(term)
		if err != nil {
			return nil, err
		}
		for _, i := range items {
			if !have[i] {
				have[i] = true
				out = append(out, i)
			}
		}
	}
	for i, term := range append(and, not...) {
		items, err := u.term(term)
		if err != nil {
			return nil, err
		}
		in := map[int]bool{}
		for _, i := range items {
			in[i] = true
		}
		var kept []int
		for _, item := range out {
			if in[item] == (i < len(and)) {
				kept = append(kept, item)
			}
		}
		out = kept
	}
	return out, nil
}

// splitPattern splits at commas, else at colons, outside brackets and regular expressions' colons.
func splitPattern(pattern string) []string {
	sep := byte(':')
	if strings.Contains(pattern, ",") {
		sep = ','
	}
	var terms []string
	depth, start := 0, 0
	cut := func(end int) {
		if term := strings.TrimSpace(pattern[start:end]); term != "" && term != "!" && term != "&" {
			terms = append(terms, term)
		}
		start = end + 1
	}
	for i := range len(pattern) {
		switch c := pattern[i]; {
		case c == '[' || c == '(':
			depth++
		case c == ']' || c == ')':
			depth--
		case c == sep && depth <= 0:
			cut(i)
		}
	}
	cut(len(pattern))
	return terms
}

var subscript = regexp.MustCompile(`^(.+)\[(-?\d+)(?:([:-])(-?\d*))?\]$`)

// term resolves one term: groups of that name, else (and for globs) items.
func (u *universe) term(term string) ([]int, error) {
	var m []string
	if !strings.HasPrefix(term, "~") {
		if m = subscript.FindStringSubmatch(term); m != nil {
			term = m[1]
		}
	}
	match, err := matcher(term)
	if err != nil {
		return nil, err
	}
	var items []int
	seen := map[int]bool{}
	put := func(i int) {
		if !seen[i] {
			seen[i] = true
			items = append(items, i)
		}
	}
	inGroup := false
	if list, ok := u.groups[term]; ok {
		inGroup = true
		for _, i := range list {
			put(i)
		}
	} else if isGlob(term) {
		var names []string
		for name := range u.groups {
			if match(name) {
				names = append(names, name)
			}
		}
		sort.Strings(names)
		for _, name := range names {
			for _, i := range u.groups[name] {
				put(i)
			}
		}
	}
	if !inGroup || isGlob(term) {
		for i, names := range u.names {
			for _, name := range names {
				if match(name) {
					put(i)
					break
				}
			}
		}
	}
	if isGlob(term) {
		sort.Ints(items)
	}
	return slice(items, m), nil
}

func isGlob(term string) bool {
	return strings.HasPrefix(term, "~") || strings.ContainsAny(term, "*?[")
}

func slice(items []int, m []string) []int {
	if m == nil {
		return items
	}
	at := func(text string, none int) int {
		n, err := strconv.Atoi(text)
		if err != nil {
			return none
		}
		if n < 0 {
			n += len(items)
		}
		return n
	}
	first := at(m[2], 0)
	last := first
	if m[3] != "" {
		last = at(m[4], len(items)-1)
	}
	first, last = max(first, 0), min(last, len(items)-1)
	if first > last {
		return nil
	}
	return items[first : last+1]
}

// matcher compiles a term: "~REGEX" matches from a name's start, else a shell glob matches a whole name.
func matcher(term string) (func(string) bool, error) {
	if rx, ok := strings.CutPrefix(term, "~"); ok {
		re, err := regex.Compile("^(?:"+rx+")", 0)
		if err != nil {
			_, err = regex.Compile(rx, 0) // as the user has it
			return nil, fmt.Errorf("%w %q: %w", ErrPattern, term, cmp.Or(err, errors.New("its parentheses do not match")))
		}
		return func(name string) bool {
			found, err := re.MatchString(name)
			return found && err == nil
		}, nil
	}
	if term == "all" {
		return func(string) bool { return true }, nil
	}
	if !isGlob(term) {
		return func(name string) bool { return name == term }, nil
	}
	re, err := regexp.Compile(regex.Glob(term))
	if err != nil {
		return nil, fmt.Errorf("%w %q: %w", ErrPattern, term, err)
	}
	return re.MatchString, nil
}

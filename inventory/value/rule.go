package value

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"path"
	"regexp"
	"strconv"
	"strings"

	"farm/inventory/source"
)

// Rule says what is wrong with a value and what would be right: `is "10Q"`, `a size such
// as 10G`. What is "" where nothing is.
type Rule func(v any) (what, hint string)

// Rules is a table of rules by path: keys joined by dots, with "[]" after a key whose
// value is a list, or one item in its place: "disks[].size".
type Rules []struct {
	Path string
	Rule Rule
}

// Check applies rules to d. What is not there, null, empty, omitted or not evaluated yet is
// not judged.
func (rules Rules) Check(d *Dict) error {
	var errs []error
	for _, r := range rules {
		errs = judge(d, r.Path, "", r.Rule, errs)
	}
	return source.Join(errs...)
}

// judge applies a rule to what d has at path; at is where d stands in the value it is part of.
func judge(d *Dict, path, at string, rule Rule, errs []error) []error {
	key, rest, deeper := strings.Cut(path, ".")
	key, each := strings.CutSuffix(key, "[]")
	v, ok := d.Get(key)
	if !ok {
		return errs
	}
	if !each {
		return below(v, rest, deeper, at+key, d.ValPos(key), rule, errs)
	}
	list, isList := v.([]any)
	if !isList {
		return below(v, rest, deeper, at+key, d.ValPos(key), rule, errs)
	}
	for i, item := range list {
		errs = below(item, rest, deeper, at+key+"["+strconv.Itoa(i)+"]", d.ItemPos(key, i), rule, errs)
	}
	return errs
}

func below(v any, rest string, deeper bool, name string, pos source.Pos, rule Rule, errs []error) []error {
	switch t := v.(type) {
	case nil, Omit, Template:
		return errs
	case string:
		if t == "" {
			return errs
		}
	case *Dict:
		if deeper {
			return judge(t, rest, name+".", rule, errs)
		}
	}
	if deeper {
		return errs // a wrong type, which decoding tells
	}
	what, hint := rule(v)
	if what == "" {
		return errs
	}
	return append(errs, &source.Error{Pos: pos, What: name + " " + what, Hint: hint})
}

// show is a value as a complaint quotes it.
func show(v any) string {
	switch t := v.(type) {
	case string:
		if len(t) > 80 {
			t = t[:80] + "..."
		}
		return strconv.Quote(t)
	case int64, float64, bool:
		return Text(t)
	}
	return Kind(v)
}

// OneOf takes one of words.
func OneOf(words ...string) Rule {
	return func(v any) (string, string) {
		text := Text(v)
		for _, w := range words {
			if w == text {
				return "", ""
			}
		}
		what := "is " + show(v)
		if b, ok := v.(bool); ok { // YAML 1.1 takes no, off, yes, on for booleans
			for _, w := range words {
				if same, err := ParseBool(w); err == nil && same == b {
					return what, "write " + strconv.Quote(w) + " in quotes"
				}
			}
		}
		if hint := source.DidYouMean(text, words); hint != "" {
			return what, hint
		}
		return what, "one of " + strings.Join(words, ", ")
	}
}

// Whole takes whole numbers from least to most; note, such as "in MiB", may be "".
func Whole(least, most int64, note string) Rule {
	return func(v any) (string, string) {
		hint := fmt.Sprintf("a whole number from %d to %d", least, most)
		if most == math.MaxInt64 {
			hint = fmt.Sprintf("a whole number from %d", least)
		}
		if note != "" {
			hint += ", " + note
		}
		n, err := ParseInt(v)
		if err == nil && n >= least && n <= most {
			return "", ""
		}
		return "is " + show(v), hint
	}
}

// Above0 takes numbers over 0.
func Above0(v any) (string, string) {
	f, err := strconv.ParseFloat(Text(v), 64)
	if err == nil && f > 0 && !math.IsInf(f, 0) {
		return "", ""
	}
	return "is " + show(v), "a number above 0"
}

// Time takes times above 0, as ParseDuration reads them.
func Time(v any) (string, string) {
	if d, err := ParseDuration(v); err == nil && d > 0 {
		return "", ""
	}
	return "is " + show(v), `a time above 0 such as "90s", "30m" or a number of seconds`
}

// Flag takes booleans.
func Flag(v any) (string, string) {
	if _, err := ParseBool(v); err == nil {
		return "", ""
	}
	return "is " + show(v), "true or false"
}

// Scalar takes text, numbers and booleans.
func Scalar(v any) (string, string) {
	switch v.(type) {
	case string, int64, float64, bool:
		return "", ""
	}
	return "is " + Kind(v) + ", not text", ""
}

// size is as qemu-img reads it: bytes, or with K, M, G or T.
var size = regexp.MustCompile(`(?i)^\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([kmgt]?)(?:i?b)?\s*$`)

// maxSize is 64 TiB, more than any image format that is used here can hold.
const maxSize = 64 << 40

// Size takes sizes of disks: bytes, or with K, M, G or T, over 0 and at most 64 TiB.
func Size(v any) (string, string) {
	const hint = "a size such as 10G or 512M"
	m := size.FindStringSubmatch(Text(v))
	if m == nil {
		return "is " + show(v), hint
	}
	f, _ := strconv.ParseFloat(m[1], 64) // digits, as the expression says
	if m[2] != "" {
		f = math.Ldexp(f, 10*(1+strings.Index("kmgt", strings.ToLower(m[2]))))
	}
	if f < 1 || f > maxSize {
		return "is " + show(v) + ", not between 1 byte and 64 TiB", hint
	}
	return "", ""
}

// Matching takes text that re matches; hint says what that is.
func Matching(re *regexp.Regexp, hint string) Rule {
	return func(v any) (string, string) {
		if what, _ := Scalar(v); what != "" {
			return what, hint
		}
		if re.MatchString(Text(v)) {
			return "", ""
		}
		return "is " + show(v), hint
	}
}

// Absolute takes absolute paths.
func Absolute(v any) (string, string) {
	text := Text(v)
	if path.IsAbs(text) && !strings.Contains(text, "\x00") {
		return "", ""
	}
	return "is " + show(v), "an absolute path"
}

// MAC takes addresses of network cards that one card can have.
func MAC(v any) (string, string) {
	const hint = "six pairs of hex digits such as 52:54:00:12:34:56"
	hw, err := net.ParseMAC(Text(v))
	switch {
	case err != nil || len(hw) != 6:
		return "is " + show(v), hint
	case hw[0]&1 != 0:
		return "is " + show(v) + ", the address of a group of cards", "the second digit of a card's is even, as in 52:54:00:12:34:56"
	}
	return "", ""
}

// IP takes IPv4 and IPv6 addresses.
func IP(v any) (string, string) {
	if _, err := netip.ParseAddr(Text(v)); err == nil {
		return "", ""
	}
	return "is " + show(v), "an IP address such as 192.168.122.10"
}

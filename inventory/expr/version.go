package expr

import (
	"regexp"
	"strings"
)

// versionTest compares versions as Ansible's test does: numbers as numbers, letters
// after them, part by part; or by the rules of another scheme.
func versionTest(c *call) any {
	other := text(c.need(0, "version"))
	op := c.str(1, "operator", "eq")
	strict, kind := c.value(2, "strict", nil), c.str(3, "version_type", "")
	mine := c.text()
	switch {
	case mine == "":
		throw("Input version value cannot be empty")
	case other == "":
		throw("Version parameter to compare against cannot be empty")
	case strict != nil && kind != "":
		throw("strict and version_type exclude each other")
	case truth(strict):
		kind = "strict"
	}
	var r int
	switch kind {
	case "", "loose":
		r = orderParts(versionParts(mine), versionParts(other))
	case "strict":
		r = strictVersion(mine).order(strictVersion(other))
	case "semver", "semantic":
		r = orderSemantic(mine, other)
	case "pep440":
		r = pep440(mine).order(pep440(other))
	default:
		throwHint("loose, strict, semver or pep440", "unknown version_type %q", kind)
	}
	switch op {
	case "==", "=", "eq":
		return r == 0
	case "!=", "<>", "ne":
		return r != 0
	case "<", "lt":
		return r < 0
	case "<=", "le":
		return r <= 0
	case ">", "gt":
		return r > 0
	case ">=", "ge":
		return r >= 0
	}
	throwHint("==, !=, <, <=, > or >=", "unknown operator %q of version", op)
	return nil
}

// versionParts splits into runs of digits and runs of lower-case letters; dots and
// blanks between them are dropped, anything else is a part of its own.
func versionParts(s string) []string {
	class := func(b byte) int {
		switch {
		case b >= '0' && b <= '9':
			return 1
		case b >= 'a' && b <= 'z':
			return 2
		}
		return 3
	}
	var parts []string
	for i := 0; i < len(s); {
		j := i + 1
		for j < len(s) && s[j] != '.' && class(s[j]) == class(s[i]) {
			j++
		}
		if s[i] != '.' {
			parts = append(parts, s[i:j])
			i = j
		} else {
			i++
		}
	}
	return parts
}

func orderParts(a, b []string) int {
	for i := range min(len(a), len(b)) {
		if c := orderPart(a[i], b[i]); c != 0 {
			return c
		}
	}
	return len(a) - len(b)
}

// orderPart orders a number before letters: Python refuses to compare the two, but a
// condition that fails on "1.0" and "1.rc" helps nobody.
func orderPart(a, b string) int {
	isNumber := func(s string) bool { return s[0] >= '0' && s[0] <= '9' }
	switch {
	case isNumber(a) && isNumber(b):
		a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
		if len(a) != len(b) {
			return len(a) - len(b)
		}
	case isNumber(a):
		return -1
	case isNumber(b):
		return 1
	}
	return strings.Compare(a, b)
}

var semantic = regexp.MustCompile(`^(\d+\.\d+\.\d+)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?$`)

// orderSemantic follows https://semver.org/#spec-item-11: a pre-release comes first.
func orderSemantic(a, b string) int {
	split := func(s string) (core, pre string) {
		g := semantic.FindStringSubmatch(s)
		if g == nil {
			throwHint("such as 1.2.3 or 1.2.3-rc.1", "%q is no semantic version", s)
		}
		return g[1], g[2]
	}
	ac, ap := split(a)
	bc, bp := split(b)
	if c := orderParts(versionParts(ac), versionParts(bc)); c != 0 {
		return c
	}
	switch {
	case ap == bp:
		return 0
	case ap == "":
		return 1
	case bp == "":
		return -1
	}
	return orderParts(strings.Split(ap, "."), strings.Split(bp, "."))
}

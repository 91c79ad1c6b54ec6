package inventory

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// maxRange bounds how many hosts one pattern may name.
const maxRange = 100_000

var (
	portSuffix = regexp.MustCompile(`^(.*):(\d{1,5})$`)
	rangePart  = regexp.MustCompile(`\[([^\[\]]*:[^\[\]]*)\]`)
	ipv6       = regexp.MustCompile(`^[0-9a-fA-F:.]+$`)
)

// hostNames expands "web[01:10].lan:22" to its names and the port, 0 if there is none.
func hostNames(pattern string) (names []string, port int, err error) {
	rest := pattern
	if m := portSuffix.FindStringSubmatch(rest); m != nil && (!strings.Contains(rangePart.ReplaceAllString(m[1], ""), ":") || strings.HasSuffix(m[1], "]")) {
		rest = m[1]
		port, _ = strconv.Atoi(m[2])
	}
	if strings.HasPrefix(rest, "[") && strings.HasSuffix(rest, "]") && ipv6.MatchString(rest[1:len(rest)-1]) && strings.Count(rest, ":") > 1 {
		return []string{rest[1 : len(rest)-1]}, port, nil
	}
	names, err = expandRange(rest)
	return names, port, err
}

// expandRange expands the first [start:end] or [start:end:step] and those after it.
func expandRange(s string) ([]string, error) {
	loc := rangePart.FindStringSubmatchIndex(s)
	if loc == nil {
		return []string{s}, nil
	}
	items, err := rangeItems(s[loc[2]:loc[3]])
	if err != nil {
		return nil, fmt.Errorf("host range %q: %w", s, err)
	}
	tails, err := expandRange(s[loc[1]:])
	if err != nil {
		return nil, err
	}
	if len(items)*len(tails) > maxRange {
		return nil, fmt.Errorf("host range %q has %d hosts, over the limit of %d", s, len(items)*len(tails), maxRange)
	}
	out := make([]string, 0, len(items)*len(tails))
	for _, item := range items {
		for _, tail := range tails {
			out = append(out, s[:loc[0]]+item+tail)
		}
	}
	return out, nil
}

func rangeItems(spec string) ([]string, error) {
	parts := strings.Split(spec, ":")
	if len(parts) > 3 || parts[1] == "" {
		return nil, fmt.Errorf("write [start:end] or [start:end:step]")
	}
	first, last, step := parts[0], parts[1], 1
	if first == "" {
		first = "0"
	}
	if len(parts) == 3 {
		n, err := strconv.Atoi(parts[2])
		if err != nil || n < 1 {
			return nil, fmt.Errorf("step %q is no number above 0", parts[2])
		}
		step = n
	}
	a, errA := strconv.Atoi(first)
	b, errB := strconv.Atoi(last)
	format := func(i int) string { return strconv.Itoa(i) }
	switch {
	case errA == nil && errB == nil:
		if len(first) > 1 && first[0] == '0' {
			if len(first) != len(last) {
				return nil, fmt.Errorf("%q and %q differ in length", first, last)
			}
			format = func(i int) string { return fmt.Sprintf("%0*d", len(first), i) }
		}
	case len(first) == 1 && len(last) == 1 && errA != nil && errB != nil:
		a, b = int(first[0]), int(last[0])
		format = func(i int) string { return string(rune(i)) }
	default:
		return nil, fmt.Errorf("%q to %q is no range of numbers or letters", first, last)
	}
	if b < a {
		return nil, fmt.Errorf("%q is before %q", last, first)
	}
	if (b-a)/step >= maxRange {
		return nil, fmt.Errorf("over the limit of %d hosts", maxRange)
	}
	var out []string
	for i := a; i <= b; i += step {
		out = append(out, format(i))
	}
	return out, nil
}

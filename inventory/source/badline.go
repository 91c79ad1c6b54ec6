package source

import (
	"bytes"
	"io"
	"sort"

	"gopkg.in/yaml.v3"
)

// firstBadLine is the first line (from 1) after which the text has the complaint. The
// parser reads no further than it must, so that line is the last it asked for, except where
// the complaint is about the end of something that began before.
func firstBadLine(text []byte, what string) int {
	r := &lineReader{rest: text}
	if complaint(r) != what {
		return 1
	}
	starts := r.starts
	bad := func(line int) bool {
		end := len(text)
		if line < len(starts) {
			end = starts[line]
		}
		return complaint(bytes.NewReader(text[:end])) == what
	}
	// Steps back that grow find a line before the complaint; a parse costs as much as what it reads.
	high, low := len(starts), 0
	for step := 1; high > 1; step *= 4 {
		if low = max(high-step, 1); !bad(low) {
			break
		}
		high, low = low, 0
	}
	return low + 1 + sort.Search(high-low-1, func(i int) bool { return bad(low + 1 + i) })
}

// complaint is what the parser says about the documents in r; "" if nothing.
func complaint(r io.Reader) string {
	dec := yaml.NewDecoder(r)
	for {
		if _, err := decode(dec); err != nil {
			if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
				return m[2]
			}
			return ""
		}
	}
}

// lineReader gives one line at a time, at most, and notes where each begins.
type lineReader struct {
	rest   []byte
	starts []int
	at     int
	inside bool // of a line
}

func (r *lineReader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	if !r.inside {
		r.starts = append(r.starts, r.at)
	}
	n := bytes.IndexByte(r.rest, '\n') + 1
	r.inside = n == 0 || n > len(p)
	if n == 0 {
		n = len(r.rest)
	}
	n = copy(p, r.rest[:n])
	r.rest, r.at = r.rest[n:], r.at+n
	return n, nil
}

package runner

import (
	"slices"
	"strings"
)

// Stream returns a function that masks text that comes in pieces. It returns what can be
// shown so far: what may be the beginning of a secret is kept back until more comes, or last
// is set. The function is for one goroutine.
func (m *Mask) Stream() func(piece string, last bool) string {
	if m == nil {
		return func(piece string, _ bool) string { return piece }
	}
	return (&stream{mask: m}).next
}

// stream is a text that is masked as it comes.
type stream struct {
	mask *Mask
	held string // what came and was not given out yet; shorter than the longest secret
	done int    // as much of held belongs to a secret that was masked already
}

func (s *stream) next(piece string, last bool) string {
	s.mask.mu.RLock()
	defer s.mask.mu.RUnlock()
	text := s.held + piece
	end := len(text)
	if !last {
		end = begun(text, s.mask.secrets)
	}
	var out strings.Builder
	at := 0 // up to here text is given out
	for _, f := range spans(text, s.done, s.mask.secrets) {
		if f.from >= end {
			break
		}
		out.WriteString(text[at:f.from])
		if f.from > 0 || s.done == 0 {
			out.WriteString(masked)
		}
		at = f.to
	}
	if at < end {
		out.WriteString(text[at:end])
		at = end
	}
	s.held, s.done = text[end:], max(max(at, s.done)-end, 0)
	return out.String()
}

// span is a part of a text, in bytes.
type span struct{ from, to int }

// spans finds the secrets in text, in order; those that overlap become one. The first done
// bytes are known to belong to one.
func spans(text string, done int, secrets []string) []span {
	var found []span
	if done > 0 {
		found = append(found, span{0, done})
	}
	for _, s := range secrets {
		for from := 0; ; {
			i := strings.Index(text[from:], s)
			if i < 0 {
				break
			}
			found = append(found, span{from + i, from + i + len(s)})
			from += i + 1
		}
	}
	if len(found) < 2 {
		return found
	}
	slices.SortFunc(found, func(a, b span) int {
		if a.from != b.from {
			return a.from - b.from
		}
		return b.to - a.to
	})
	merged := found[:1]
	for _, f := range found[1:] {
		if last := &merged[len(merged)-1]; f.from < last.to {
			last.to = max(last.to, f.to)
		} else {
			merged = append(merged, f)
		}
	}
	return merged
}

// begun is where in text the first secret may begin that goes on after its end; len(text)
// if none does.
func begun(text string, secrets []string) int {
	first := len(text)
	if first == 0 {
		return 0
	}
	end := text[first-1]
	for _, s := range secrets {
		for n := min(len(s)-1, len(text)); n > len(text)-first; n-- {
			if s[n-1] == end && strings.HasSuffix(text, s[:n]) {
				first = len(text) - n
				break
			}
		}
	}
	return first
}

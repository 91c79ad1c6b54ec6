package source

import (
	"fmt"
	"strings"
)

// Nearest returns the candidate that word was most likely meant to be, or "" where none
// is close. Case does not count.
func Nearest(word string, candidates []string) string {
	low := strings.ToLower(word)
	best, least := "", mistypes(len(word))+1
	for _, c := range candidates {
		to := strings.ToLower(c)
		d := Distance(low, to)
		if d >= len(word) || len(word) < 3 && prefix(low, to) == 0 {
			continue // nothing in common
		}
		// Beginnings are rarely mistyped: "vcpu" is vcpus, not cpu.
		if d < least || d == least && best != "" && prefix(low, to) > prefix(low, strings.ToLower(best)) {
			best, least = c, d
		}
	}
	return best
}

// mistypes is how many letters of a word of n may be wrong for another to be meant: any
// two short words are near each other.
func mistypes(n int) int {
	switch {
	case n < 5:
		return 1
	case n < 8:
		return 2
	case n < 15:
		return 3
	}
	return 4
}

// prefix is how many bytes a and b begin with in common.
func prefix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// DidYouMean is the hint for an unknown word: the nearest candidate as a question, or the
// shortest that begins with it; "" where there is none.
func DidYouMean(word string, candidates []string) string {
	best := Nearest(word, candidates)
	if best == "" && len(word) > 2 {
		for _, c := range candidates {
			if strings.HasPrefix(strings.ToLower(c), strings.ToLower(word)) && (best == "" || len(c) < len(best)) {
				best = c
			}
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("did you mean %q?", best)
}

// Distance is the number of insertions, deletions, substitutions and swaps of
// neighbours that turn a into b (optimal string alignment).
func Distance(a, b string) int {
	prev2, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(row[j-1]+1, prev[j]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], prev2[j-2]+1)
			}
		}
		prev2, prev, row = prev, row, prev2
	}
	return prev[len(b)]
}

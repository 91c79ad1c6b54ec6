// Package target compares what a benchmark measured with what it is meant to be.
package target

import (
	"cmp"
	"fmt"
	"os"
	"slices"
)

// Met prints a line that tells whether a target is met, and returns that; format and args
// say what was measured and what the target is.
func Met(ok bool, format string, args ...any) bool {
	word := "PASS"
	if !ok {
		word = "over"
	}
	fmt.Printf(word+"  "+format+"\n", args...)
	return ok
}

// Exit ends the program with 0 if all targets are met, 1 if one is missed, and 2, with err
// on standard error, if there was nothing to be measured. Name is the program's.
func Exit(name string, met bool, err error) {
	switch {
	case err != nil:
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(2)
	case !met:
		os.Exit(1)
	}
	os.Exit(0)
}

// Median is the middle one of list, the larger of two; list must not be empty and stays as
// it is.
func Median[T cmp.Ordered](list []T) T {
	return slices.Sorted(slices.Values(list))[len(list)/2]
}

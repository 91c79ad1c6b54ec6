package target

import (
	"slices"
	"testing"
)

func TestMedianIsTheMiddleOne(t *testing.T) {
	for want, list := range map[int][]int{1: {1}, 2: {2, 1}, 3: {9, 1, 3}, 5: {5, 1, 9, 2}} {
		was := slices.Clone(list)
		if got := Median(list); got != want {
			t.Errorf("%v: %d, want %d", was, got, want)
		}
		if !slices.Equal(list, was) {
			t.Errorf("%v became %v", was, list)
		}
	}
}

package main

import (
	"math"
	"testing"
)

// TestFailureRateIsWilsons holds the interval against published values: R. G. Newcombe, Stat. Med. 17 (1998), table I,
// method 3, and those of the ends.
func TestFailureRateIsWilsons(t *testing.T) {
	for _, c := range []struct {
		failures, n int
		low, high   float64
	}{
		{81, 263, 0.2553, 0.3662},
		{15, 148, 0.0624, 0.1605},
		{0, 20, 0, 0.1611},
		{1, 29, 0.0061, 0.1718},
		{29, 29, 0.8830, 1},
	} {
		r := failureRate(c.failures, c.n)
		if math.Abs(r.Low-c.low) > 0.00006 || math.Abs(r.High-c.high) > 0.00006 || r.Rate != float64(c.failures)/float64(c.n) {
			t.Errorf("%d of %d: %+v, want %g to %g", c.failures, c.n, r, c.low, c.high)
		}
	}
	if got := failureRate(1, 7).String(); got != "14.3 % (95 % interval 2.6 % to 51.3 %)" {
		t.Error(got)
	}
}

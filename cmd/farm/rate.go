package main

import (
	"fmt"
	"math"
)

// rate is how often something fails, with the interval in which its true rate lies with 95 % certainty.
type rate struct {
	Rate float64 `json:"rate"` // from 0 to 1, as the others
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// failureRate is the rate of failures among n tries, of which there is one at least. The interval is Wilson's, which holds for
// few tries and for rates near 0 and 1 too: E. B. Wilson, J. Am. Stat. Assoc. 22 (1927), 209-212.
func failureRate(failures, n int) rate {
	const z = 1.959963984540054 // 97.5 % of a normal distribution lie below
	p, m := float64(failures)/float64(n), float64(n)
	middle := (p + z*z/(2*m)) / (1 + z*z/m)
	half := z / (1 + z*z/m) * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	r := rate{Rate: p, Low: max(0, middle-half), High: min(1, middle+half)}
	if failures == 0 {
		r.Low = 0 // which rounding may miss
	}
	if failures == n {
		r.High = 1
	}
	return r
}

func (r rate) String() string {
	return fmt.Sprintf("%.1f %% (95 %% interval %.1f %% to %.1f %%)", 100*r.Rate, 100*r.Low, 100*r.High)
}

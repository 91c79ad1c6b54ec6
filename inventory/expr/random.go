package expr

import (
	"crypto/sha512"
	"fmt"
	"math/big"
	"math/bits"
	"math/rand/v2"
	"strconv"
	"strings"
)

// twister is the Mersenne Twister MT19937 as Python's random.Random drives it, so that
// seeded values are the same as Ansible's (Matsumoto and Nishimura,
// http://www.math.sci.hiroshima-u.ac.jp/m-mat/MT/emt.html).
type twister struct {
	state [624]uint32
	i     int
}

// fresh is the state before a key is mixed in, the same for every seed.
var fresh = func() (state [624]uint32) {
	state[0] = 19650218
	for i := 1; i < len(state); i++ {
		state[i] = 1812433253*(state[i-1]^state[i-1]>>30) + uint32(i)
	}
	return state
}()

// newTwister seeds as random.Random(seed) does: text by its bytes followed by their
// SHA-512, a whole number by its magnitude.
func newTwister(seed any) *twister {
	n := new(big.Int)
	switch t := seed.(type) {
	case int64:
		n.SetInt64(t)
		n.Abs(n)
	case string:
		sum := sha512.Sum512([]byte(t))
		n.SetBytes(append([]byte(t), sum[:]...))
	case float64:
		return newTwister(int64(floatHash(t)))
	case bool:
		if t {
			n.SetInt64(1)
		}
	default:
		throw("%s cannot be a seed", kindOf(seed))
	}
	b := n.Bytes()
	key := make([]uint32, (len(b)+3)/4) // the lowest word first
	for i, c := range b {
		at := len(b) - 1 - i
		key[at/4] |= uint32(c) << (at % 4 * 8)
	}
	if len(key) == 0 {
		key = []uint32{0}
	}
	t := &twister{}
	t.seedKey(key)
	return t
}

// floatHash is Python's hash of a whole float; others are rare as seeds and refused.
func floatHash(f float64) float64 {
	if f != float64(int64(f)) {
		throwHint("use text or a whole number", "a fraction cannot be a seed")
	}
	return f
}

func (t *twister) seedKey(key []uint32) {
	t.state = fresh
	i, j := 1, 0
	for range max(624, len(key)) {
		t.state[i] = (t.state[i] ^ (t.state[i-1]^t.state[i-1]>>30)*1664525) + key[j] + uint32(j)
		if i++; i == 624 {
			t.state[0], i = t.state[623], 1
		}
		if j++; j == len(key) {
			j = 0
		}
	}
	for range 623 {
		t.state[i] = (t.state[i] ^ (t.state[i-1]^t.state[i-1]>>30)*1566083941) - uint32(i)
		if i++; i == 624 {
			t.state[0], i = t.state[623], 1
		}
	}
	t.state[0] = 0x80000000
}

// uint32 makes each word of the next state when it is asked for: most seeds serve for
// a few numbers. A word needs only later ones of the old state and earlier ones of the new.
func (t *twister) uint32() uint32 {
	k := t.i
	y := t.state[k]&0x80000000 | t.state[(k+1)%624]&0x7fffffff
	y = t.state[(k+397)%624] ^ y>>1 ^ y&1*0x9908b0df
	t.state[k], t.i = y, (k+1)%624
	y ^= y >> 11
	y ^= y << 7 & 0x9d2c5680
	y ^= y << 15 & 0xefc60000
	return y ^ y>>18
}

// bits returns k random bits, 0 < k <= 64, the low word first.
func (t *twister) bits(k int) uint64 {
	if k <= 32 {
		return uint64(t.uint32() >> (32 - k))
	}
	low := uint64(t.uint32())
	return low | uint64(t.uint32()>>(64-k))<<32
}

// below is a number from 0 up to n, which it excludes; n > 0.
func (t *twister) below(n uint64) uint64 {
	k := bits.Len64(n)
	for {
		if r := t.bits(k); r < n {
			return r
		}
	}
}

// randomSource gives the numbers for an optional seed.
func randomSource(seed any, seeded bool) func(n uint64) uint64 {
	if !seeded || seed == nil {
		return rand.Uint64N
	}
	return newTwister(seed).below
}

// randomFilter is random: an item of a list, or a number up to the input, excluded.
func randomFilter(c *call) any {
	start, hasStart := c.get(0, "start")
	step, hasStep := c.get(1, "step")
	seed, seeded := c.get(2, "seed")
	below := randomSource(seed, seeded)
	end, isInt := c.defined().(int64)
	if !isInt {
		list, ok := c.m.iterable(c.in)
		if !ok {
			throw("random can only be used on sequences and integers, not on %s", kindOf(c.in))
		}
		c.m.run.step(len(list))
		switch {
		case hasStart && start != nil || hasStep && step != nil:
			throw("start and step can only be used with integer values")
		case len(list) == 0:
			throw("random of an empty list")
		}
		return list[below(uint64(len(list)))]
	}
	low, by := int64(0), int64(1)
	if hasStart && start != nil {
		low = intArg(start, "start")
	}
	if hasStep && step != nil && truth(step) {
		by = intArg(step, "step")
	}
	width := end - low
	if by < 0 {
		width = -width
	}
	if width <= 0 {
		throw("random from %d to %d: the range is empty", low, end)
	}
	mag := max(by, -by)
	n := (width + mag - 1) / mag
	return low + by*int64(below(uint64(n)))
}

// shuffleFilter shuffles a copy of the list as random.Random.shuffle.
func shuffleFilter(c *call) any {
	in, ok := c.m.iterable(c.defined())
	if !ok {
		return c.in
	}
	list := append([]any{}, in...)
	c.m.run.step(len(list))
	seed, seeded := c.get(0, "seed")
	below := randomSource(seed, seeded)
	for i := len(list) - 1; i > 0; i-- {
		j := int(below(uint64(i + 1)))
		list[i], list[j] = list[j], list[i]
	}
	return list
}

// randomMAC fills a MAC address's prefix up with random bytes.
func randomMAC(c *call) any {
	value := strings.ToLower(c.text())
	seed, seeded := c.get(0, "seed")
	parts := strings.Split(value, ":")
	if len(parts) > 5 {
		throw("%q has 5 colons already; a prefix is needed", value)
	}
	for _, p := range parts {
		if _, err := strconv.ParseUint(p, 16, 8); err != nil || len(p) != 2 {
			throw("%q is no prefix of a MAC address", value)
		}
	}
	// Always ten digits, of which the first is not 0; the missing ones are taken from the left.
	const low, high = 0x1000000000, 0x10000000000
	v := fmt.Sprintf("%x", low+randomSource(seed, seeded)(high-low))[:2*(6-len(parts))]
	for i := 0; i < len(v); i += 2 {
		value += ":" + v[i:i+2]
	}
	return value
}

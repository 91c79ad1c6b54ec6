package value

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// MaxDigits is how long a whole number may be, in decimal digits: the bound of Python's
// int(), past which neither reads or prints one.
const MaxDigits = 4300

// Big is a whole number that does not fit an int64, in decimal: digits without leading
// zeros, after a minus sign if it is negative. Two of them are equal if they are == .
// Integer makes one.
type Big string

// Integer is i as a value: an int64 if it fits, else a Big.
func Integer(i *big.Int) any {
	if i.IsInt64() {
		return i.Int64()
	}
	return Big(i.String())
}

// Int is the number itself.
func (b Big) Int() *big.Int {
	i, _ := new(big.Int).SetString(string(b), 10)
	return i
}

// MarshalJSON writes the digits as a JSON number.
func (b Big) MarshalJSON() ([]byte, error) { return []byte(b), nil }

// ParseWhole reads a whole number in a base from 2 to 36, as int64 or Big; text has
// digits and at most one sign, no prefix.
func ParseWhole(text string, base int) (any, error) {
	if i, err := strconv.ParseInt(text, base, 64); err == nil {
		return i, nil
	}
	if len(text) > MaxDigits && base == 10 || len(text) > 4*MaxDigits {
		return nil, fmt.Errorf("a whole number of more than %d digits", MaxDigits)
	}
	i, ok := new(big.Int).SetString(text, base)
	if !ok {
		return nil, fmt.Errorf("%q is no whole number in base %d", text, base)
	}
	return Integer(i), nil
}

// FloatText prints a float as Python's repr: the shortest text that reads back as the
// same float, with a point or an exponent, so that it stays a float: 2.0, 1e-05, 1e+16, inf, nan.
func FloatText(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	}
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// keyText is a key as Python's json writes it.
func keyText(k any) string {
	switch t := k.(type) {
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(t)
	case float64:
		return FloatText(t)
	}
	return fmt.Sprint(k)
}

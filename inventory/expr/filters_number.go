package expr

import (
	"math"
	"math/big"
	"strconv"
	"strings"

	"farm/inventory/value"
)

func numberFilters() map[string]function {
	return map[string]function{
		"int": intFilter, "float": floatFilter, "abs": absFilter, "round": roundFilter,
		"sum": sumFilter, "max": extreme(1), "min": extreme(-1),
		"log": logFilter, "pow": powFilter, "root": rootFilter,
		"human_readable": humanReadable, "human_to_bytes": humanToBytes,
		"filesizeformat": fileSize,
	}
}

func intFilter(c *call) any {
	def := c.value(0, "default", int64(0))
	base := c.int(1, "base", 10)
	switch v := c.defined().(type) {
	case bool:
		return intArg(v, "")
	case int64, value.Big:
		return v
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return def
		}
		return truncate(v)
	case string:
		s := strings.ReplaceAll(strings.TrimSpace(v), "_", "")
		if base != 10 {
			low := strings.ToLower(s)
			for b, p := range map[int64]string{16: "0x", 8: "0o", 2: "0b"} {
				if base == b {
					low = strings.TrimPrefix(low, p)
				}
			}
			if base < 2 || base > 36 {
				throw("a base of %d", base)
			}
			if i, err := value.ParseWhole(low, int(base)); err == nil {
				return i
			}
		}
		if i, err := value.ParseWhole(s, 10); err == nil && base == 10 {
			return i
		}
		if f, err := strconv.ParseFloat(s, 64); err == nil && !math.IsNaN(f) {
			return truncate(f)
		}
	}
	return def
}

// truncate is a float without its fraction, as a whole number.
func truncate(f float64) any {
	i, _ := big.NewFloat(f).Int(nil)
	return value.Integer(i)
}

func floatFilter(c *call) any {
	def := c.value(0, "default", 0.0)
	v := c.defined()
	if n, ok := number(v); ok {
		return toFloat(n)
	}
	if s, ok := v.(string); ok {
		if f, err := strconv.ParseFloat(strings.TrimSpace(s), 64); err == nil {
			return f
		}
	}
	return def
}

// need number of the input.
func (c *call) number() any {
	n, ok := number(c.in)
	if !ok {
		throwHint("convert it with | int or | float", "%q of %s", c.name, kindOf(c.in))
	}
	return n
}

// numberArg is an argument that must be a number.
func (c *call) numberArg(i int, name string) any {
	n, ok := number(c.need(i, name))
	if !ok {
		throw("%q takes a number, not %s", c.name, kindOf(c.args[i]))
	}
	return n
}

func absFilter(c *call) any {
	n := c.number()
	if f, ok := n.(float64); ok {
		return math.Abs(f)
	}
	if toBig(n).Sign() < 0 {
		return negate(n)
	}
	return n
}

func roundFilter(c *call) any {
	places, method := c.int(0, "precision", 0), c.str(1, "method", "common")
	f := toFloat(c.number())
	if i := c.number(); !isFloat(i) && method == "common" {
		return roundWhole(i, places)
	}
	if method == "common" {
		if places >= 0 && places < 300 {
			r, _ := strconv.ParseFloat(strconv.FormatFloat(f, 'f', int(places), 64), 64)
			return r
		}
		p := math.Pow(10, float64(-places))
		return math.RoundToEven(f/p) * p
	}
	p := math.Pow(10, float64(places))
	switch method {
	case "ceil":
		return noSign(math.Ceil(f*p)) / p
	case "floor":
		return noSign(math.Floor(f*p)) / p
	}
	throw(`round takes "common", "ceil" or "floor", not %q`, method)
	return nil
}

// noSign makes 0 of -0: Python's floor and ceil give whole numbers.
func noSign(f float64) float64 {
	if f == 0 {
		return 0
	}
	return f
}

// roundWhole rounds a whole number to tens, hundreds, ..., halves to the even one.
func roundWhole(x any, places int64) any {
	if places >= 0 {
		return x
	}
	unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(min(-places, value.MaxDigits)), nil)
	i := toBig(x)
	floor, rest := new(big.Int).DivMod(i, unit, new(big.Int))
	switch c := rest.Lsh(rest, 1).Cmp(unit); {
	case c > 0, c == 0 && floor.Bit(0) == 1:
		floor.Add(floor, big.NewInt(1))
	}
	return wholeResult(floor.Mul(floor, unit))
}

func sumFilter(c *call) any {
	attr := c.value(0, "attribute", nil)
	total := c.value(1, "start", int64(0))
	for _, x := range c.items() {
		if attr != nil {
			x = c.m.path(x, attr)
		}
		total = c.m.operate("+", total, x)
	}
	return total
}

// extreme is max and min: the first of the largest or smallest items.
func extreme(direction int) function {
	return func(c *call) any {
		caseful, attr := c.bool(0, "case_sensitive", false), c.value(1, "attribute", nil)
		list := c.items()
		if len(list) == 0 {
			return &undefined{name: c.name + " of an empty list", keys: []string{}}
		}
		best := list[0]
		key := func(x any) any {
			if attr != nil {
				x = c.m.path(x, attr)
			}
			return foldKey(x, caseful)
		}
		for _, x := range list[1:] {
			if order(key(x), key(best))*direction > 0 {
				best = x
			}
		}
		return best
	}
}

// foldKey is what sorting compares: text without its case unless caseful.
func foldKey(x any, caseful bool) any {
	if s, ok := x.(string); ok && !caseful {
		return strings.ToLower(s)
	}
	if u, ok := x.(*undefined); ok {
		u.fail()
	}
	return x
}

// mathNumber is the input of a mathematical filter.
func (c *call) mathNumber() any {
	n, ok := number(c.defined())
	if !ok {
		throwHint("convert it with | int or | float", "%s can only be used on numbers, not on %s", c.name, kindOf(c.in))
	}
	return n
}

func logFilter(c *call) any {
	f := toFloat(c.mathNumber())
	base := math.E
	if b := c.value(0, "base", nil); b != nil {
		n, ok := number(b)
		if !ok {
			throw("the base of log is %s", kindOf(b))
		}
		base = toFloat(n)
	}
	if f <= 0 {
		throw("log of %s", value.FloatText(f))
	}
	if base == 10 {
		return math.Log10(f)
	}
	return math.Log(f) / math.Log(base)
}

func powFilter(c *call) any { return c.m.operate("**", c.mathNumber(), c.need(0, "y")) }

func rootFilter(c *call) any {
	f, base := toFloat(c.mathNumber()), c.int(0, "base", 2)
	if base == 2 {
		if f < 0 {
			throw("the square root of a negative number")
		}
		return math.Sqrt(f)
	}
	return math.Pow(f, 1/float64(base))
}

var sizeUnits = []string{"Y", "Z", "E", "P", "T", "G", "M", "K"}

// humanReadable prints bytes with the largest unit that fits: "1.00 KB".
func humanReadable(c *call) any {
	isBits, unit := c.bool(0, "isbits", false), c.value(1, "unit", nil)
	n, ok := number(c.in)
	if !ok {
		s, isText := c.in.(string)
		f, err := strconv.ParseFloat(s, 64)
		if !isText || err != nil {
			throw("human_readable() failed on bad input: %s", repr(c.defined()))
		}
		n = f
	}
	f := toFloat(n)
	base := "Bytes"
	if isBits {
		base = "bits"
	}
	limit := math.Pow(2, 80)
	for _, suffix := range sizeUnits {
		if unit == nil && f >= limit || unit != nil && strings.EqualFold(text(unit), suffix) {
			b := "B"
			if isBits {
				b = "b"
			}
			return strconv.FormatFloat(f/limit, 'f', 2, 64) + " " + suffix + b
		}
		limit /= 1024
	}
	return strconv.FormatFloat(f, 'f', 2, 64) + " " + base
}

// humanToBytes reads "10M", "1.5 GB" and the like.
func humanToBytes(c *call) any {
	def, isBits := c.value(0, "default_unit", nil), c.bool(1, "isbits", false)
	s := strings.TrimSpace(c.text())
	end := 0
	for end < len(s) && (s[end] >= '0' && s[end] <= '9' || s[end] == '.') {
		end++
	}
	n, ok := new(big.Rat).SetString(s[:end])
	if !ok || end == 0 {
		throw("%q is no size", s)
	}
	unit := strings.TrimSpace(s[end:])
	if unit == "" && def != nil {
		unit = text(def)
	}
	factor := int64(1)
	if unit != "" {
		i := strings.Index("BKMGTPE", strings.ToUpper(unit[:1]))
		rest := strings.TrimLeft(unit[1:], "i")
		if i < 0 || i > 0 && rest != "" && !strings.EqualFold(rest, "b") && !strings.EqualFold(rest, "bytes") {
			throwHint("units are B, K, M, G, T, P, E", "%q is no size", s)
		}
		if isBits && strings.HasSuffix(unit, "B") || !isBits && len(unit) > 1 && rest == "b" {
			throw("%q mixes bits and bytes", s)
		}
		factor = 1 << (10 * i)
	}
	f, _ := n.Mul(n, new(big.Rat).SetInt64(factor)).Float64()
	return truncate(math.RoundToEven(f))
}

func fileSize(c *call) any {
	binary := c.bool(0, "binary", false)
	f := toFloat(c.number())
	base, suffixes := 1000.0, []string{"kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"}
	if binary {
		base, suffixes = 1024, []string{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"}
	}
	switch {
	case f == 1:
		return "1 Byte"
	case f < base:
		return strconv.FormatFloat(f, 'f', 0, 64) + " Bytes"
	}
	unit := base
	for i, s := range suffixes {
		if f < unit*base || i == len(suffixes)-1 {
			return strconv.FormatFloat(f/unit, 'f', 1, 64) + " " + s
		}
		unit *= base
	}
	return nil
}

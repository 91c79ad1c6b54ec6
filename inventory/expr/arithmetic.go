package expr

import (
	"cmp"
	"math"
	"math/big"

	"farm/inventory/value"
)

// number is x as a number: int64, value.Big or float64, a boolean as 0 or 1.
func number(x any) (any, bool) {
	switch t := x.(type) {
	case int64, value.Big, float64:
		return x, true
	case bool:
		if t {
			return int64(1), true
		}
		return int64(0), true
	case *undefined:
		t.fail()
	}
	return nil, false
}

// toFloat is the float nearest to a number; a whole number past all floats is refused.
func toFloat(x any) float64 {
	switch t := x.(type) {
	case int64:
		return float64(t)
	case value.Big:
		f, _ := new(big.Float).SetInt(t.Int()).Float64()
		if math.IsInf(f, 0) {
			throw("a whole number too large for a float")
		}
		return f
	}
	return x.(float64)
}

// toBig is a whole number as *big.Int.
func toBig(x any) *big.Int {
	if b, ok := x.(value.Big); ok {
		return b.Int()
	}
	return big.NewInt(x.(int64))
}

func isFloat(x any) bool { _, ok := x.(float64); return ok }

func negate(x any) any {
	n, ok := number(x)
	if !ok {
		throw("%s has no sign", kindOf(x))
	}
	if f, ok := n.(float64); ok {
		return -f
	}
	return wholeResult(new(big.Int).Neg(toBig(n)))
}

// wholeResult bounds a computed whole number.
func wholeResult(i *big.Int) any {
	if i.BitLen() > maxBits {
		tooBig()
	}
	return value.Integer(i)
}

// maxBits is the length of a whole number of value.MaxDigits digits.
const maxBits = value.MaxDigits * 3322 / 1000

func tooBig() { throw("a whole number of more than %d digits", value.MaxDigits) }

// arithmetic applies an operator to two numbers.
func arithmetic(op string, a, b any) any {
	if isFloat(a) || isFloat(b) {
		return floats(op, toFloat(a), toFloat(b))
	}
	i, iok := a.(int64)
	j, jok := b.(int64)
	if iok && jok {
		if v, ok := integers(op, i, j); ok {
			return v
		}
	}
	return bigs(op, toBig(a), toBig(b))
}

// integers is the quick way for results of 64 bits; false where it cannot tell.
func integers(op string, a, b int64) (any, bool) {
	switch op {
	case "+":
		c := a + b
		return c, (c > a) == (b > 0)
	case "-":
		c := a - b
		return c, (c < a) == (b > 0)
	case "*":
		if a == 0 || b == 0 {
			return int64(0), true
		}
		c := a * b
		return c, c/b == a && !(a == -1 && b == math.MinInt64) && !(b == -1 && a == math.MinInt64)
	}
	if b == 0 || a == math.MinInt64 {
		return nil, false
	}
	switch op {
	case "//":
		q, _ := divide(a, b)
		return q, true
	case "%":
		_, r := divide(a, b)
		return r, true
	}
	return nil, false
}

// divide rounds down, as Python does.
func divide(a, b int64) (q, r int64) {
	if b == 0 {
		throw("division by zero")
	}
	if q, r = a/b, a%b; r != 0 && (r < 0) != (b < 0) {
		q, r = q-1, r+b
	}
	return q, r
}

func bigs(op string, a, b *big.Int) any {
	switch op {
	case "+":
		return wholeResult(new(big.Int).Add(a, b))
	case "-":
		return wholeResult(new(big.Int).Sub(a, b))
	case "*":
		if a.BitLen()+b.BitLen() > maxBits+1 {
			tooBig()
		}
		return wholeResult(new(big.Int).Mul(a, b))
	case "**":
		return power(a, b)
	}
	if b.Sign() == 0 {
		throw("division by zero")
	}
	if op == "/" {
		f, _ := new(big.Rat).SetFrac(a, b).Float64()
		if a.Sign() == 0 && b.Sign() < 0 {
			return math.Copysign(0, -1)
		}
		if math.IsInf(f, 0) {
			throw("the quotient is too large for a float")
		}
		return f
	}
	q, r := new(big.Int).QuoRem(a, b, new(big.Int))
	if r.Sign() != 0 && r.Sign() != b.Sign() {
		q.Sub(q, big.NewInt(1))
		r.Add(r, b)
	}
	if op == "//" {
		return wholeResult(q)
	}
	return wholeResult(r)
}

func power(a, b *big.Int) any {
	if b.Sign() < 0 {
		return floats("**", toFloat(value.Integer(a)), toFloat(value.Integer(b)))
	}
	if a.BitLen() <= 1 && b.BitLen() > 1 { // of 0, 1 and -1 only the parity counts
		b = big.NewInt(2 + int64(b.Bit(0)))
	}
	if a.BitLen() > 1 && (!b.IsInt64() || b.Int64() > maxBits || int64(a.BitLen()-1)*b.Int64() > maxBits) {
		tooBig()
	}
	return wholeResult(new(big.Int).Exp(a, b, nil))
}

func floats(op string, a, b float64) any {
	switch op {
	case "+":
		return a + b
	case "-":
		return a - b
	case "*":
		return a * b
	case "**":
		return floatPower(a, b)
	}
	if b == 0 {
		throw("division by zero")
	}
	if op == "/" {
		return a / b
	}
	quotient, rest := floorDivide(a, b)
	if op == "//" {
		return quotient
	}
	return rest
}

// floatPower refuses what Python refuses: a result past all floats, a root of a negative number.
func floatPower(a, b float64) any {
	f := math.Pow(a, b)
	switch {
	case a == 0 && b < 0:
		throw("division by zero")
	case a < 0 && b != math.Trunc(b) && !math.IsInf(a, 0):
		throw("a negative number to the power of a fraction")
	case math.IsInf(f, 0) && !math.IsInf(a, 0) && !math.IsInf(b, 0):
		throw("the power is too large for a float")
	}
	return f
}

// floorDivide is Python's divmod of floats: the rest has the sign of b.
func floorDivide(a, b float64) (quotient, rest float64) {
	rest = math.Mod(a, b)
	div := (a - rest) / b
	if rest != 0 {
		if (b < 0) != (rest < 0) {
			rest += b
			div--
		}
	} else {
		rest = math.Copysign(0, b)
	}
	if div == 0 {
		return math.Copysign(0, a/b), rest
	}
	quotient = math.Floor(div)
	if div-quotient > 0.5 {
		quotient++
	}
	return quotient, rest
}

// compareNumbers is exact, also between a float and a whole number that floats do not
// hold. unordered is true if one is not a number (nan).
func compareNumbers(a, b any) (c int, unordered bool) {
	i, iok := a.(int64)
	j, jok := b.(int64)
	if iok && jok {
		return cmp.Compare(i, j), false
	}
	f, fok := a.(float64)
	g, gok := b.(float64)
	switch {
	case fok && math.IsNaN(f) || gok && math.IsNaN(g):
		return 0, true
	case fok && gok:
		return cmp.Compare(f, g), false
	case fok && math.IsInf(f, 0):
		return int(math.Copysign(1, f)), false
	case gok && math.IsInf(g, 0):
		return -int(math.Copysign(1, g)), false
	}
	return exact(a).Cmp(exact(b)), false
}

func exact(x any) *big.Rat {
	if f, ok := x.(float64); ok {
		return new(big.Rat).SetFloat64(f)
	}
	return new(big.Rat).SetInt(toBig(x))
}

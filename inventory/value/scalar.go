package value

import (
	"encoding/base64"
	"fmt"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"farm/inventory/source"
)

// scalar is the value of a scalar node: by its tag if it has one, else text if it is
// quoted, else what YAML 1.1 makes of it. Text that is not unsafe may be a Template.
func scalar(f *source.File, n *yaml.Node, unsafe bool) (any, error) {
	const quoted = yaml.DoubleQuotedStyle | yaml.SingleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle
	v, err := any(n.Value), error(nil)
	switch {
	case n.Tag == "!vault" || n.Tag == "!vault-encrypted":
		return nil, &source.Error{Pos: f.Pos(n), What: "encrypted values are not supported", Hint: "decrypt it and pass it with -e @FILE"}
	case n.Tag == "!unsafe":
		return n.Value, nil
	case n.Style&yaml.TaggedStyle != 0 || strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!"):
		v, err = tagged(n.Tag, n.Value)
	case n.Style&quoted == 0:
		v, err = plain(n.Value)
	}
	if err != nil {
		return nil, &source.Error{Pos: f.Pos(n), Err: err}
	}
	if s, ok := v.(string); ok && !unsafe && IsTemplate(s) {
		return Template{Text: s, Pos: f.Pos(n)}, nil
	}
	return v, nil
}

// PyYAML's resolution of plain scalars, which is YAML 1.1's with these exceptions: y and
// n are text, an exponent needs a sign, and so does base 60 need no leading zero.
var (
	boolWord  = map[string]bool{"yes": true, "on": true, "true": true, "no": false, "off": false, "false": false}
	whole     = regexp.MustCompile(`^[-+]?(0b[01_]+|0[0-7_]+|0|[1-9][0-9_]*|0x[0-9a-fA-F_]+|[1-9][0-9_]*(:[0-5]?[0-9])+)$`)
	float     = regexp.MustCompile(`^([-+]?[0-9][0-9_]*\.[0-9_]*([eE][-+][0-9]+)?|\.[0-9][0-9_]*([eE][-+][0-9]+)?|[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$`)
	timestamp = regexp.MustCompile(`^(\d{4})-(\d\d?)-(\d\d?)(?:(?:[Tt]|[ \t]+)(\d\d?):(\d\d):(\d\d)(?:\.(\d*))?(?:[ \t]*(?:(Z)|([-+])(\d\d?)(?::(\d\d))?))?)?$`)
	date      = regexp.MustCompile(`^\d{4}-\d\d-\d\d$`)
)

// plain resolves an unquoted scalar.
func plain(text string) (any, error) {
	if text == "" {
		return nil, nil
	}
	switch c := text[0]; {
	case c == '~' || c == 'n' || c == 'N':
		if isNull(text) {
			return nil, nil
		}
	}
	low := strings.ToLower(text)
	if b, ok := boolWord[low]; ok && (text == low || text == strings.ToUpper(text) || text == strings.ToUpper(low[:1])+low[1:]) {
		return b, nil
	}
	if strings.IndexByte("-+.0123456789", text[0]) < 0 {
		return text, nil
	}
	switch {
	case float.MatchString(text):
		return floatOf(text)
	case whole.MatchString(text):
		return wholeOf(text)
	case date.MatchString(text) || timestamp.MatchString(text) && strings.ContainsAny(text, "Tt \t"):
		return timeOf(text)
	}
	return text, nil
}

func isNull(text string) bool {
	return text == "~" || text == "null" || text == "Null" || text == "NULL"
}

// tagged is the value of a scalar with an explicit tag.
func tagged(tag, text string) (any, error) {
	switch tag {
	case "!!str":
		return text, nil
	case "!!null":
		return nil, nil
	case "!!int":
		return wholeOf(text)
	case "!!float":
		return floatOf(text)
	case "!!bool":
		if b, ok := boolWord[strings.ToLower(text)]; ok {
			return b, nil
		}
		return nil, fmt.Errorf("%q is no !!bool: yes, no, on, off, true or false", text)
	case "!!timestamp":
		return timeOf(text)
	case "!!binary":
		return binary(text)
	case "!!set", "!!omap", "!!pairs", "!!map", "!!seq":
		return nil, fmt.Errorf("the tag %s is not for text", tag)
	}
	if strings.HasPrefix(tag, "!!") {
		return nil, fmt.Errorf("the tag %s is not supported", tag)
	}
	return nil, fmt.Errorf("unknown tag %s", tag)
}

// wholeOf reads a whole number: decimal, octal after 0, binary after 0b, hexadecimal
// after 0x, or base 60 with colons.
func wholeOf(text string) (any, error) {
	sign, digits := signed(text)
	base := 10
	switch {
	case strings.HasPrefix(digits, "0b"):
		base, digits = 2, digits[2:]
	case strings.HasPrefix(digits, "0x"):
		base, digits = 16, digits[2:]
	case len(digits) > 1 && digits[0] == '0':
		base = 8
	case strings.Contains(digits, ":"):
		return sixties(sign, digits)
	}
	if strings.HasPrefix(digits, "-") || strings.HasPrefix(digits, "+") {
		digits = "" // the sign was there already
	}
	v, err := ParseWhole(sign+digits, base)
	if err != nil {
		return nil, fmt.Errorf("%q is no !!int", text)
	}
	return v, nil
}

func signed(text string) (sign, digits string) {
	digits = strings.ReplaceAll(text, "_", "")
	if strings.HasPrefix(digits, "-") {
		return "-", digits[1:]
	}
	return "", strings.TrimPrefix(digits, "+")
}

func sixties(sign, digits string) (any, error) {
	sum := new(big.Int)
	for part := range strings.SplitSeq(digits, ":") {
		i, err := strconv.ParseInt(part, 10, 64)
		if err != nil || sum.BitLen() > 4*MaxDigits {
			return nil, fmt.Errorf("%q is no !!int", sign+digits)
		}
		sum.Add(sum.Mul(sum, big.NewInt(60)), big.NewInt(i))
	}
	if sign != "" {
		sum.Neg(sum)
	}
	return Integer(sum), nil
}

// floatOf reads a number as float64: decimal, base 60 with colons, .inf or .nan.
func floatOf(text string) (any, error) {
	sign, digits := signed(strings.ToLower(text))
	sum := 0.0
	switch digits {
	case ".inf", "inf", "infinity":
		sum = math.Inf(1)
	case ".nan", "nan":
		sum = math.NaN()
	default:
		// The last part weighs 1, and the sum starts from there: the order decides the last bit.
		parts := strings.Split(digits, ":")
		base := 1.0
		for i := len(parts) - 1; i >= 0; i-- {
			f, err := strconv.ParseFloat(parts[i], 64)
			if err != nil && !math.IsInf(f, 0) || strings.ContainsAny(parts[i], "xp_") {
				return nil, fmt.Errorf("%q is no !!float", text)
			}
			sum += f * base
			base *= 60
		}
	}
	if sign != "" {
		sum = -sum
	}
	return sum, nil
}

// timeOf is a date or a time as text, in the form in which Python's datetime prints
// it: 2001-12-14 or 2001-12-14 21:59:43.100000-05:00.
func timeOf(text string) (any, error) {
	m := timestamp.FindStringSubmatch(text)
	if m == nil {
		return nil, fmt.Errorf("%q is no !!timestamp", text)
	}
	n := func(i int) int { v, _ := strconv.Atoi(m[i]); return v }
	zone := time.UTC
	if m[9] != "" {
		secs := n(10)*3600 + n(11)*60
		if m[9] == "-" {
			secs = -secs
		}
		zone = time.FixedZone("", secs)
	}
	micros, _ := strconv.Atoi((m[7] + "000000")[:6])
	t := time.Date(n(1), time.Month(n(2)), n(3), n(4), n(5), n(6), micros*1000, zone)
	if n(1) == 0 || int(t.Month()) != n(2) || t.Day() != n(3) || t.Hour() != n(4) || t.Minute() != n(5) || t.Second() != n(6) || n(10) > 23 {
		return nil, fmt.Errorf("there is no time %s", text)
	}
	layout := "2006-01-02"
	if m[4] != "" {
		layout += " 15:04:05"
	}
	if micros > 0 {
		layout += ".000000"
	}
	if m[8] != "" || m[9] != "" {
		layout += "-07:00"
	}
	return t.Format(layout), nil
}

// binary is the text that base64 stands for.
func binary(text string) (any, error) {
	b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return nil, fmt.Errorf("!!binary: %w", err)
	}
	if !utf8.Valid(b) {
		return nil, fmt.Errorf("!!binary: the bytes are not text in UTF-8")
	}
	return string(b), nil
}

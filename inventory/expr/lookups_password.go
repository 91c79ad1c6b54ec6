package expr

import (
	"crypto/rand"
	"maps"
	"math/big"
	"strings"

	"farm/inventory/value"
)

// characters are the classes that the lookup password knows by Python's names.
var characters = map[string]string{
	"ascii_letters":   "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
	"ascii_lowercase": "abcdefghijklmnopqrstuvwxyz",
	"ascii_uppercase": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
	"digits":          "0123456789", "hexdigits": "0123456789abcdefABCDEF", "octdigits": "01234567",
	"punctuation": "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
}

// passwordLookup makes a password that is kept nowhere, as that of the file /dev/null is. Another
// file would be written on this machine.
func passwordLookup(c *call) any {
	c.open = true
	var out []any
	for _, arg := range c.args {
		words := strings.Fields(value.Text(arg))
		if len(words) == 0 || words[0] != "/dev/null" {
			return refused(c)
		}
		length, chars := 20, characters["ascii_letters"]+characters["digits"]+".,:-_"
		given := map[string]any{}
		for _, word := range words[1:] {
			k, v, ok := strings.Cut(word, "=")
			if !ok {
				throw("the lookup password takes length=N and chars=CLASS,CLASS after the file, not %q", word)
			}
			given[k] = v
		}
		maps.Copy(given, c.named)
		for k, v := range given {
			switch k {
			case "length":
				n, err := value.ParseInt(v)
				if err != nil || n < 1 || n > 4096 {
					throw("the lookup password: length %q is no number from 1 to 4096", value.Text(v))
				}
				length = int(n)
			case "chars":
				chars = charactersOf(v)
			default:
				throw("the lookup password: %q is not known for /dev/null (length, chars)", k)
			}
		}
		out = append(out, randomText(length, chars))
	}
	return out
}

// charactersOf are those of a list of classes; what is no class stands for itself.
func charactersOf(v any) string {
	list, ok := v.([]any)
	if !ok {
		text := value.Text(v)
		comma := strings.Contains(text, ",,")
		for part := range strings.SplitSeq(strings.ReplaceAll(text, ",,", ","), ",") {
			list = append(list, part)
		}
		if comma {
			list = append(list, ",")
		}
	}
	var b strings.Builder
	for _, one := range list {
		name := value.Text(one)
		if class, known := characters[name]; known {
			name = class
		}
		b.WriteString(name)
	}
	if b.Len() == 0 {
		throw("the lookup password: chars is empty")
	}
	return b.String()
}

func randomText(n int, chars string) string {
	from := []rune(chars)
	var b strings.Builder
	for range n {
		i, err := rand.Int(rand.Reader, big.NewInt(int64(len(from))))
		if err != nil {
			throw("random numbers: %v", err)
		}
		b.WriteRune(from[i.Int64()])
	}
	return b.String()
}

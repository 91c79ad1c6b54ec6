package inventory

import (
	"fmt"
	"strings"

	"farm/inventory/source"
	"farm/inventory/value"
)

// ReadExtra reads the variables of the command line alone: files first, then -e, later wins.
func ReadExtra(o Options) (*value.Dict, error) {
	out := value.NewDict()
	var errs []error
	for _, path := range o.Vars {
		d, err := readDict(path)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		lay(out, d)
	}
	for _, text := range o.Extra {
		d, err := ParseExtra(text)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		lay(out, d)
	}
	return out, source.Join(errs...)
}

// ParseExtra reads one -e argument: "k=v k2='v 2'", "@FILE", or a mapping as YAML or
// JSON. Values of k=v are text.
func ParseExtra(text string) (*value.Dict, error) {
	at := source.Pos{File: "-e"}
	trimmed := strings.TrimSpace(text)
	switch {
	case trimmed == "@":
		return nil, &source.Error{Pos: at, What: `"@" names no file`, Hint: "such as @vars.yaml"}
	case strings.HasPrefix(trimmed, "@"):
		return readDict(trimmed[1:])
	case strings.HasPrefix(trimmed, "{") || strings.HasPrefix(trimmed, "["):
		f, err := source.Parse("-e", []byte(text))
		if err != nil {
			return nil, err
		}
		return toDict(f)
	}
	words, err := shellWords(text)
	if err != nil {
		return nil, &source.Error{Pos: at, What: fmt.Sprintf("%q: %s", text, err)}
	}
	d := value.NewDict()
	for _, word := range words {
		name, v, ok := strings.Cut(word, "=")
		if !ok || name == "" {
			return nil, &source.Error{Pos: at, What: fmt.Sprintf("%q is no NAME=VALUE", word), Hint: "or @FILE, or a mapping in JSON"}
		}
		if value.IsTemplate(v) {
			d.Set(name, value.Template{Text: v, Pos: at})
		} else {
			d.Set(name, v)
		}
		d.SetKeyPos(name, at)
	}
	return d, nil
}

// shellWords splits text at white space outside quotes and {{ }}, and removes the quotes.
func shellWords(text string) ([]string, error) {
	var words []string
	var word strings.Builder
	quote, inWord, depth := rune(0), false, 0
	runes := []rune(text)
	for i := 0; i < len(runes); i++ {
		c := runes[i]
		switch {
		case quote != 0 && c == quote && depth == 0:
			quote = 0
		case c == '\\' && quote != '\'' && depth == 0 && i+1 < len(runes):
			i++
			word.WriteRune(runes[i])
			inWord = true
		case quote == 0 && depth == 0 && (c == '\'' || c == '"'):
			quote, inWord = c, true
		case quote == 0 && depth == 0 && (c == ' ' || c == '\t' || c == '\n'):
			if inWord {
				words = append(words, word.String())
				word.Reset()
				inWord = false
			}
		default:
			if i+1 < len(runes) && c == '{' && runes[i+1] == '{' {
				depth++
			}
			if i > 0 && c == '}' && runes[i-1] == '}' && depth > 0 {
				depth--
			}
			word.WriteRune(c)
			inWord = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("the quote %c is not closed", quote)
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}

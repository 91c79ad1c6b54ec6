package modules

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"farm/inventory/value"
)

// exclusive checks mutually_exclusive, of options within options.
func (c *specCheck) exclusive(rules, given *value.Dict, path []string) {
	var bad []string
	for _, set := range sets(rules, "mutually_exclusive") {
		if present(given, set) > 1 {
			bad = append(bad, strings.Join(set, "|"))
		}
	}
	if len(bad) > 0 {
		c.fail(path, "parameters are mutually exclusive: %s", strings.Join(bad, ", "))
	}
}

// together checks the other rules about which options go with which. Of each kind the first that does not hold is told.
func (c *specCheck) together(rules, given *value.Dict, path []string) {
	for _, set := range sets(rules, "required_together") {
		if n := present(given, set); n > 0 && n < len(set) {
			c.fail(path, "parameters are required together: %s", strings.Join(set, ", "))
			break
		}
	}
	for _, set := range sets(rules, "required_one_of") {
		if present(given, set) == 0 {
			c.fail(path, "one of the following is required: %s", strings.Join(set, ", "))
			break
		}
	}
	conditions, _ := rules.Get("required_if")
	list, _ := conditions.([]any)
	for _, item := range list {
		if missing, rule := lacking(item, given); len(missing) > 0 {
			c.fail(path, "%s of the following are missing: %s", rule, strings.Join(missing, ", "))
			break
		}
	}
	by, _ := rules.Get("required_by")
	for k, v := range specOf(by).All() {
		if x, _ := given.Get(k); x == nil {
			continue
		}
		var missing []string
		for _, name := range wordsOf(v) {
			if x, _ := given.Get(name); x == nil {
				missing = append(missing, name)
			}
		}
		if len(missing) > 0 {
			c.fail(path, "missing parameter(s) required by '%s': %s", value.Text(k), strings.Join(missing, ", "))
			break
		}
	}
}

// lacking is what a rule [OPTION, VALUE, [OPTIONS...], ANY] misses; with ANY one of them is enough.
func lacking(item any, given *value.Dict) (missing []string, rule string) {
	r, ok := item.([]any)
	if !ok || len(r) < 3 {
		return nil, ""
	}
	x, has := given.Get(r[0])
	if !has || !equal(x, r[1]) {
		return nil, ""
	}
	needs := wordsOf(r[2])
	for _, name := range needs {
		if !given.Has(name) {
			missing = append(missing, name)
		}
	}
	how := "all"
	if len(r) == 4 && r[3] == true {
		if how = "any"; len(missing) < len(needs) {
			return nil, ""
		}
	}
	return missing, value.Text(r[0]) + " is " + value.Text(r[1]) + " but " + how
}

// sets are the lists of names under key.
func sets(rules *value.Dict, key string) (all [][]string) {
	v, _ := rules.Get(key)
	list, _ := v.([]any)
	for _, one := range list {
		all = append(all, wordsOf(one))
	}
	return all
}

func wordsOf(v any) []string {
	if list, ok := v.([]any); ok {
		return texts(list)
	}
	return []string{value.Text(v)}
}

func present(given *value.Dict, names []string) (n int) {
	for _, name := range names {
		if given.Has(name) {
			n++
		}
	}
	return n
}

var (
	errNoNumber = errors.New("it is no number")
	sizeText    = regexp.MustCompile(`^\s*[0-9]*\.?[0-9]*\s*([A-Za-z]+)?\s*$`)
)

// specValue gives v a type of an argument specification.
func specValue(kind string, v any) (any, error) {
	text, isText := v.(string)
	switch kind {
	case "str", "path":
		return value.Text(v), nil
	case "raw":
		return v, nil
	case "bool":
		if n, ok := v.(float64); ok && n == float64(int64(n)) {
			v = int64(n)
		}
		return value.ParseBool(v)
	case "int":
		switch x := v.(type) {
		case int64, bool:
			return x, nil
		case string:
			if n, err := strconv.ParseInt(strings.ReplaceAll(strings.TrimSpace(x), "_", ""), 10, 64); err == nil {
				return n, nil
			}
		}
		return nil, errNoNumber
	case "float":
		switch x := v.(type) {
		case float64:
			return x, nil
		case int64, bool:
			n, _ := worth(x)
			return n, nil
		case string:
			if f, err := strconv.ParseFloat(strings.TrimSpace(x), 64); err == nil {
				return f, nil
			}
		}
		return nil, errNoNumber
	case "list":
		return specList(v)
	case "dict":
		return specDict(v)
	case "json", "jsonarg":
		if isText {
			return strings.TrimSpace(text), nil
		}
		switch v.(type) {
		case []any, *value.Dict:
			b, err := json.Marshal(v)
			return string(b), err
		}
		return nil, errors.New("it is no text, list or mapping")
	case "bytes", "bits":
		if _, isMap := v.(*value.Dict); isMap || !sizeText.MatchString(value.Text(v)) {
			return nil, errors.New("it is no size, such as 10M")
		}
		return v, nil
	}
	return nil, fmt.Errorf("there is no type %q", kind)
}

// specList is a list, what stands between commas, or a number alone.
func specList(v any) (any, error) {
	switch x := v.(type) {
	case []any:
		return x, nil
	case string:
		return value.From(strings.Split(x, ",")), nil
	case int64, float64, bool:
		return []any{value.Text(x)}, nil
	}
	return nil, errors.New("it is no list")
}

// specDict is a mapping, JSON of one, or KEY=VALUE pairs.
func specDict(v any) (any, error) {
	text, ok := v.(string)
	if d, isDict := v.(*value.Dict); isDict || !ok {
		if isDict {
			return d, nil
		}
		return nil, errors.New("it is no mapping")
	}
	if strings.HasPrefix(text, "{") {
		d, err := value.FromJSON([]byte(text))
		if _, isDict := d.(*value.Dict); err != nil || !isDict {
			return nil, errors.New("it is no mapping in JSON")
		}
		return d, nil
	}
	pairs, ok := keyValues(strings.ReplaceAll(text, ",", " "))
	if !ok || len(pairs) == 0 {
		return nil, errors.New("it is neither JSON nor KEY=VALUE")
	}
	d := value.NewDict()
	for _, p := range pairs {
		d.Set(p[0], p[1])
	}
	return d, nil
}

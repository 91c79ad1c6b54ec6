package value

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"farm/inventory/source"
)

// FromNode turns a YAML node into a value, with YAML 1.1's booleans (yes, off) and
// octal numbers (0644) as Ansible has them, and with text that holds Jinja2 as a
// Template. Duplicate keys and tags other than the standard ones are errors. f must
// come from source.Parse, which bounds aliases and depth.
func FromNode(f *source.File, n *yaml.Node) (any, error) {
	if n == nil {
		return nil, nil
	}
	switch n.Kind {
	case yaml.DocumentNode:
		return FromNode(f, n.Content[0])
	case yaml.AliasNode:
		return FromNode(f, n.Alias)
	case yaml.SequenceNode:
		list := make([]any, 0, len(n.Content))
		var errs []error
		for _, item := range n.Content {
			v, err := FromNode(f, item)
			list, errs = append(list, v), append(errs, err)
		}
		return list, source.Join(errs...)
	case yaml.MappingNode:
		return dictFromNode(f, n)
	}
	return scalar(f, n)
}

func dictFromNode(f *source.File, n *yaml.Node) (any, error) {
	d := NewDict()
	d.SetPos(f.Pos(n))
	var errs []error
	var merged *Dict
	for i := 0; i+1 < len(n.Content); i += 2 {
		kn, vn := n.Content[i], n.Content[i+1]
		v, err := FromNode(f, vn)
		errs = append(errs, err)
		if kn.Tag == "!!merge" {
			m, err := mergeKey(f, vn, v)
			errs = append(errs, err)
			merged = Merge(m, merged)
			continue
		}
		k, err := FromNode(f, kn)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		switch t := k.(type) {
		case Template:
			k = t.Text
		case nil:
			k = "null"
		case *Dict, []any:
			errs = append(errs, &source.Error{Pos: f.Pos(kn), What: "a mapping or list cannot be a key", Hint: `quote it if it is a template: "{{ ... }}"`})
			continue
		}
		if d.Has(k) {
			errs = append(errs, &source.Error{Pos: f.Pos(kn), What: fmt.Sprintf("duplicate key %q", fmt.Sprint(k)), Hint: "first given at line " + strconv.Itoa(d.KeyPos(k).Line)})
			continue
		}
		d.Set(k, v)
		d.SetKeyPos(k, f.Pos(kn))
	}
	if merged.Len() > 0 {
		for k, v := range merged.All() {
			if !d.Has(k) {
				d.Set(k, v)
			}
		}
	}
	return d, source.Join(errs...)
}

// mergeKey is the value of "<<": a mapping or a list of them, the first winning.
func mergeKey(f *source.File, n *yaml.Node, v any) (*Dict, error) {
	switch t := v.(type) {
	case *Dict:
		return t, nil
	case []any:
		out := NewDict()
		for i := len(t) - 1; i >= 0; i-- {
			d, ok := t[i].(*Dict)
			if !ok {
				return nil, source.Errorf(f.Pos(n), "<< takes a mapping or a list of mappings")
			}
			for k, v := range d.All() {
				out.Set(k, v)
			}
		}
		return out, nil
	}
	return nil, source.Errorf(f.Pos(n), "<< takes a mapping or a list of mappings")
}

var (
	boolWord = map[string]bool{"yes": true, "on": true, "true": true, "no": false, "off": false, "false": false}
	octal    = regexp.MustCompile(`^[-+]?0o?[0-7_]+$`)
	decimal  = regexp.MustCompile(`^[-+]?(0|[1-9][0-9_]*)$`)
	based    = regexp.MustCompile(`^[-+]?0(b[01_]+|x[0-9a-fA-F_]+)$`)
	float    = regexp.MustCompile(`^[-+]?([0-9][0-9_]*\.[0-9_]*([eE][-+][0-9]+)?|\.[0-9][0-9_]*([eE][-+][0-9]+)?)$`)
)

func scalar(f *source.File, n *yaml.Node) (any, error) {
	text := n.Value
	switch n.Tag {
	case "!!binary", "!!set", "!!omap", "!!pairs":
		return nil, source.Errorf(f.Pos(n), "the tag %s is not supported", n.Tag)
	case "!unsafe":
		return text, nil
	case "!vault":
		return nil, &source.Error{Pos: f.Pos(n), What: "encrypted values are not supported", Hint: "decrypt it and pass it with -e @FILE"}
	}
	if strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!") {
		return nil, source.Errorf(f.Pos(n), "unknown tag %s", n.Tag)
	}
	if n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0 || n.Style&yaml.TaggedStyle != 0 && n.Tag == "!!str" {
		if IsTemplate(text) {
			return Template{Text: text, Pos: f.Pos(n)}, nil
		}
		return text, nil
	}
	if IsTemplate(text) {
		return Template{Text: text, Pos: f.Pos(n)}, nil
	}
	return plain(text), nil
}

// plain resolves an unquoted scalar by YAML 1.1's rules as PyYAML applies them
// (https://yaml.org/type/), without its base-60 numbers and dates, which stay text.
func plain(text string) any {
	switch text {
	case "", "~", "null", "Null", "NULL":
		return nil
	case ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF":
		return math.Inf(1)
	case "-.inf", "-.Inf", "-.INF":
		return math.Inf(-1)
	case ".nan", ".NaN", ".NAN":
		return math.NaN()
	}
	low := strings.ToLower(text)
	if b, ok := boolWord[low]; ok && (text == low || text == strings.ToUpper(text) || text == strings.ToUpper(low[:1])+low[1:]) {
		return b
	}
	digits := strings.ReplaceAll(text, "_", "")
	switch {
	case decimal.MatchString(text):
		if i, err := strconv.ParseInt(digits, 10, 64); err == nil {
			return i
		}
	case octal.MatchString(text):
		if i, err := strconv.ParseInt(strings.Replace(digits, "0o", "", 1), 8, 64); err == nil {
			return i
		}
	case based.MatchString(text):
		if i, err := strconv.ParseInt(digits, 0, 64); err == nil {
			return i
		}
	case float.MatchString(text):
		if x, err := strconv.ParseFloat(digits, 64); err == nil {
			return x
		}
	}
	return text
}

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
	c := converter{f: f, done: map[*yaml.Node]any{}}
	v := c.value(n)
	return v, source.Join(c.errs...)
}

// converter turns the nodes of one file into values. An anchored node is converted
// once and shared by its aliases.
type converter struct {
	f    *source.File
	done map[*yaml.Node]any
	errs []error
}

func (c *converter) fail(n *yaml.Node, what, hint string) {
	c.errs = append(c.errs, &source.Error{Pos: c.f.Pos(n), What: what, Hint: hint})
}

func (c *converter) value(n *yaml.Node) any {
	if n == nil {
		return nil
	}
	if n.Kind == yaml.AliasNode {
		return c.value(n.Alias)
	}
	if n.Anchor != "" {
		if v, ok := c.done[n]; ok {
			return v
		}
	}
	var v any
	switch n.Kind {
	case yaml.DocumentNode:
		return c.value(n.Content[0])
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, item := range n.Content {
			list[i] = c.value(item)
		}
		c.checkTag(n, "!!seq")
		v = list
	case yaml.MappingNode:
		c.checkTag(n, "!!map")
		v = c.dict(n)
	default:
		s, err := scalar(c.f, n)
		if err != nil {
			c.errs = append(c.errs, err)
		}
		v = s
	}
	if n.Anchor != "" {
		c.done[n] = v
	}
	return v
}

func (c *converter) checkTag(n *yaml.Node, want string) {
	if n.Tag != want && n.Tag != "" && n.Tag != "!unsafe" {
		c.fail(n, "the tag "+n.Tag+" is not supported", "")
	}
}

func (c *converter) dict(n *yaml.Node) *Dict {
	d := NewDict()
	d.SetPos(c.f.Pos(n))
	var merged *Dict
	for i := 0; i+1 < len(n.Content); i += 2 {
		kn, vn := n.Content[i], n.Content[i+1]
		v := c.value(vn)
		if kn.Tag == "!!merge" {
			m, err := mergeKey(c.f, vn, v)
			if err != nil {
				c.errs = append(c.errs, err)
			}
			merged = overlay(m, merged)
			continue
		}
		k := c.value(kn)
		switch t := k.(type) {
		case Template:
			k = t.Text
		case nil:
			k = "null"
		case *Dict, []any:
			c.fail(kn, "a mapping or list cannot be a key", `quote it if it is a template: "{{ ... }}"`)
			continue
		}
		if d.Has(k) {
			c.fail(kn, fmt.Sprintf("duplicate key %q", fmt.Sprint(k)), "first given at line "+strconv.Itoa(d.KeyPos(k).Line))
			continue
		}
		d.Set(k, v)
		d.entries[d.find(k)].at = c.place(kn, vn)
	}
	for k, v := range merged.All() {
		if !d.Has(k) {
			d.Set(k, v)
			d.CopyPos(k, merged)
		}
	}
	return d
}

// place is where a key and its value stand, and the items if that is a list.
func (c *converter) place(key, val *yaml.Node) *place {
	at := &place{key: c.f.Pos(key), val: spotOf(val)}
	if val.Kind == yaml.SequenceNode {
		at.items = make([]spot, len(val.Content))
		for i, item := range val.Content {
			at.items[i] = spotOf(item)
		}
	}
	return at
}

func spotOf(n *yaml.Node) spot { return spot{int32(n.Line), int32(n.Column)} }

// overlay returns low with high's keys laid over it, whole.
func overlay(low, high *Dict) *Dict {
	out := low.Copy()
	for k, v := range high.All() {
		out.Set(k, v)
		out.CopyPos(k, high)
	}
	return out
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
			out = overlay(out, d)
		}
		return out, nil
	}
	return nil, source.Errorf(f.Pos(n), "<< takes a mapping or a list of mappings")
}

var (
	boolWord = map[string]bool{"yes": true, "on": true, "true": true, "no": false, "off": false, "false": false}
	octal    = regexp.MustCompile(`^[-+]?0[0-7_]+$`)
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
		if i, err := strconv.ParseInt(digits, 8, 64); err == nil {
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

package value

import (
	"fmt"
	"strconv"

	"gopkg.in/yaml.v3"

	"farm/inventory/source"
)

// FromNode turns a YAML node into a value as PyYAML does for Ansible: YAML 1.1's
// booleans (yes, off), octal (0644) and base 60 numbers (1:30 is 90), its tags !!str, !!int,
// !!float, !!bool, !!null, !!binary, !!timestamp, !!omap and !!pairs, and merge keys. A date or
// time is text. Text that holds Jinja2 becomes a Template, except at or under !unsafe.
// Duplicate keys and other tags are errors. f must come from source.Parse, which bounds
// aliases and depth.
func FromNode(f *source.File, n *yaml.Node) (any, error) {
	c := converter{f: f, done: map[anchored]any{}}
	v := c.value(n)
	return v, source.Join(c.errs...)
}

// converter turns the nodes of one file into values. An anchored node is converted
// once and shared by its aliases.
type converter struct {
	f      *source.File
	done   map[anchored]any
	unsafe bool // under !unsafe: no text is a Template
	errs   []error
}

type anchored struct {
	n      *yaml.Node
	unsafe bool
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
	if n.Tag == "!unsafe" && !c.unsafe {
		c.unsafe = true
		defer func() { c.unsafe = false }()
	}
	id := anchored{n, c.unsafe}
	if n.Anchor != "" {
		if v, ok := c.done[id]; ok {
			return v
		}
	}
	v := c.node(n)
	if n.Anchor != "" {
		c.done[id] = v
	}
	return v
}

func (c *converter) node(n *yaml.Node) any {
	switch n.Kind {
	case yaml.DocumentNode:
		return c.value(n.Content[0])
	case yaml.SequenceNode:
		if n.Tag == "!!omap" || n.Tag == "!!pairs" {
			return c.pairs(n)
		}
		c.checkTag(n, "!!seq")
		list := make([]any, len(n.Content))
		for i, item := range n.Content {
			list[i] = c.value(item)
		}
		return list
	case yaml.MappingNode:
		c.checkTag(n, "!!map")
		return c.dict(n)
	}
	v, err := scalar(c.f, n, c.unsafe)
	if err != nil {
		c.errs = append(c.errs, err)
	}
	return v
}

func (c *converter) checkTag(n *yaml.Node, want string) {
	if n.Tag != want && n.Tag != "" && n.Tag != "!unsafe" {
		c.fail(n, "the tag "+n.Tag+" is not supported here", "")
	}
}

// pairs is the list of key and value of a list of mappings with one key each.
func (c *converter) pairs(n *yaml.Node) any {
	list := make([]any, 0, len(n.Content))
	for _, item := range n.Content {
		if item.Kind == yaml.AliasNode {
			item = item.Alias
		}
		if item.Kind != yaml.MappingNode || len(item.Content) != 2 {
			c.fail(item, n.Tag+" is a list of mappings with one key each", "")
			continue
		}
		list = append(list, []any{c.value(item.Content[0]), c.value(item.Content[1])})
	}
	return list
}

// dict has the merged keys first, as PyYAML has it, overridden by the mapping's own;
// among several merges the last wins.
func (c *converter) dict(n *yaml.Node) *Dict {
	var merged *Dict
	own := NewDict()
	own.SetPos(c.f.Pos(n))
	for i := 0; i+1 < len(n.Content); i += 2 {
		kn, vn := n.Content[i], n.Content[i+1]
		v := c.value(vn)
		if kn.Tag == "!!merge" {
			m, err := mergeKey(c.f, vn, v)
			if err != nil {
				c.errs = append(c.errs, err)
			}
			merged = overlay(merged, m)
			continue
		}
		k := c.value(kn)
		switch t := k.(type) {
		case Template:
			k = t.Text
		case *Dict, []any:
			c.fail(kn, "a mapping or list cannot be a key", `quote it if it is a template: "{{ ... }}"`)
			continue
		}
		if own.Has(k) {
			c.fail(kn, fmt.Sprintf("duplicate key %q", keyText(k)), "first given at line "+strconv.Itoa(own.KeyPos(k).Line))
			continue
		}
		own.Set(k, v)
		own.entries[own.find(normal(k))].at = c.place(kn, vn)
	}
	if merged == nil {
		return own
	}
	all := overlay(merged, own)
	all.SetPos(own.Pos())
	return all
}

// place is where the key, its value and, of a list, the items stand.
func (c *converter) place(kn, vn *yaml.Node) *place {
	at := &place{key: c.f.Pos(kn), val: spot{int32(vn.Line), int32(vn.Column)}}
	if vn.Kind == yaml.SequenceNode {
		for _, item := range vn.Content {
			at.items = append(at.items, spot{int32(item.Line), int32(item.Column)})
		}
	}
	return at
}

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

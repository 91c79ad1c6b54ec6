package expr

import (
	"strings"

	"farm/inventory/value"
)

// subelementsLookup pairs the elements of a list, or the values of a mapping, with the items of the
// list that is at a path of keys in each. An element that says skipped: true is passed over.
func subelementsLookup(c *call) any {
	const wants = "subelements lookup expects a list of two or three items, first a dict or a list, second a string pointing to the subkey"
	if n := len(c.args); n < 2 || n > 3 {
		throw("%s, not %d", wants, n)
	}
	path, ok := c.args[1].(string)
	if !ok {
		throw("%s, not %s", wants, kindOf(c.args[1]))
	}
	skip := false
	if len(c.args) == 3 {
		flags, ok := c.args[2].(*value.Dict)
		if !ok {
			throw("the optional third item must be a dict with flags [skip_missing], not %s", kindOf(c.args[2]))
		}
		v, _ := flags.Get("skip_missing")
		skip = truth(v)
	}
	keys, out := strings.Split(path, "."), []any{}
	for _, x := range c.m.elements(c.args[0]) {
		if !isMapping(x) {
			throw("subelements lookup expects a dictionary, got %s", repr(x))
		}
		if leftOut(x) {
			continue
		}
		for _, item := range c.m.subItems(x, keys, skip, skip) {
			out = append(out, tuple{without(x, keys), item})
		}
	}
	return out
}

// elements are those of a list, or the values of a mapping that was not left out itself; anything
// else is one element.
func (m *machine) elements(x any) []any {
	if _, ok := x.(string); ok || isUndefined(x) {
		return []any{x}
	}
	list, ok := m.iterable(x)
	switch {
	case !ok:
		return []any{x}
	case !isMapping(x):
		return list
	case leftOut(x):
		return nil
	}
	for i, k := range list {
		list[i] = m.index(x, k)
	}
	return list
}

// leftOut reports whether an element says that it was skipped, as results do.
func leftOut(x any) bool {
	d, _ := x.(*value.Dict)
	v, ok := d.Get("skipped")
	return ok && v != false
}

// subItems is the list at the path of keys in x; none where a key is missing or what should have it
// is no mapping, and that may be.
func (m *machine) subItems(x any, keys []string, mayMiss, mayBeOther bool) []any {
	for i, key := range keys {
		d, ok := x.(*value.Dict)
		switch {
		case !ok && mayBeOther:
			return nil
		case !ok:
			throw("the key %s should point to a dictionary, got %s", keys[max(i-1, 0)], repr(x))
		}
		next, ok := d.Get(key)
		switch {
		case !ok && mayMiss:
			return nil
		case !ok:
			throwHint("skip_missing passes over such elements", "could not find '%s' key in iterated item %s", key, repr(x))
		}
		x = m.plain(next)
	}
	switch t := x.(type) {
	case []any:
		return t
	case tuple:
		return t
	}
	throw("the key %s should point to a list, got %s", keys[len(keys)-1], repr(x))
	return nil
}

// without is a mapping without what is at the path of keys.
func without(x any, keys []string) any {
	d, ok := x.(*value.Dict)
	if !ok {
		return x
	}
	d = d.Copy()
	if len(keys) == 1 {
		d.Delete(keys[0])
	} else if sub, ok := d.Get(keys[0]); ok {
		d.Set(keys[0], without(sub, keys[1:]))
	}
	return d
}

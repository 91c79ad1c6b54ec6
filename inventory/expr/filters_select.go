package expr

import (
	"slices"
	"strings"

	"farm/inventory/source"
	"farm/inventory/value"
)

func selectFilters() map[string]function {
	return map[string]function{
		"select": selecting(true, false), "reject": selecting(false, false),
		"selectattr": selecting(true, true), "rejectattr": selecting(false, true),
		"map": mapFilter, "groupby": groupBy, "extract": extractFilter,
	}
}

// selecting is select, reject, selectattr and rejectattr.
func selecting(keep, byAttr bool) function {
	return func(c *call) any {
		c.open = true
		args := c.args
		var attr any
		if byAttr {
			attr = c.need(0, "attribute")
			args = args[1:]
		}
		test := func(x any) bool { return truth(x) }
		if len(args) > 0 {
			id := text(args[0])
			f, ok := c.m.vars.e.test(id)
			if !ok {
				throwHint(suggest(id, keysOf(c.m.vars.e.tests)), "unknown test %q", id)
			}
			test = func(x any) bool { return truth(c.m.call(f, id, x, args[1:], c.named, c.order)) }
		}
		out := []any{}
		if !truth(c.in) { // none and false are as good as an empty list
			return out
		}
		for _, x := range c.items() {
			v := x
			if byAttr {
				v = c.m.path(x, attr)
			}
			if test(v) == keep {
				out = append(out, x)
			}
		}
		return out
	}
}

// mapFilter applies a filter to each item, or takes an attribute of each.
func mapFilter(c *call) any {
	c.open = true
	if !truth(c.in) {
		return []any{}
	}
	list := c.items()
	out := make([]any, 0, len(list))
	if attr, ok := c.named["attribute"]; ok && len(c.args) == 0 {
		def, hasDefault := c.named["default"]
		for _, x := range list {
			v := c.m.path(x, attr)
			if isUndefined(v) && hasDefault {
				v = def
			}
			out = append(out, v)
		}
		return out
	}
	if len(c.args) == 0 {
		throw("map takes a filter's name or attribute=")
	}
	id := text(c.args[0])
	f, ok := c.m.vars.e.filter(id)
	if !ok {
		throwHint(suggest(id, keysOf(c.m.vars.e.filters)), "unknown filter %q", id)
	}
	for _, x := range list {
		out = append(out, c.m.call(f, id, x, c.args[1:], c.named, c.order))
	}
	return out
}

// groupBy gives (key, items) sorted by key; the pairs also answer to grouper and list.
func groupBy(c *call) any {
	attr := c.need(0, "attribute")
	def, hasDefault := c.get(1, "default")
	caseful := c.bool(2, "case_sensitive", false)
	key := func(x any) any {
		v := c.m.path(x, attr)
		if isUndefined(v) && hasDefault {
			v = def
		}
		return v
	}
	list := slices.Clone(c.items())
	slices.SortStableFunc(list, func(a, b any) int { return order(foldKey(key(a), caseful), foldKey(key(b), caseful)) })
	out := []any{}
	for i := 0; i < len(list); {
		k := key(list[i])
		var group []any
		for ; i < len(list) && equal(foldKey(key(list[i]), caseful), foldKey(k, caseful)); i++ {
			group = append(group, list[i])
		}
		out = append(out, tuple{k, group})
	}
	return out
}

// extractFilter is container[item], and further keys below that.
func extractFilter(c *call) any {
	more := c.value(1, "morekeys", nil)
	container, ok := c.get(0, "container")
	if !ok {
		throw("%q needs an argument: container", c.name)
	}
	x := c.m.index(container, c.defined())
	switch t := more.(type) {
	case nil:
	case []any:
		for _, k := range t {
			x = c.m.index(x, k)
		}
	default:
		x = c.m.index(x, t)
	}
	return x
}

func dictFilters() map[string]function {
	return map[string]function{
		"combine": combineFilter, "dict2items": dictToItems, "items2dict": itemsToDict,
		"dictsort": dictSort, "rekey_on_member": rekey, "items": func(c *call) any { return pairs(c.m.dict(c.in)) },
		"subelements": subelements, "dict": func(c *call) any {
			d := value.NewDict()
			for _, p := range c.items() {
				kv := c.m.items(p)
				if len(kv) != 2 {
					throw("dict of a list takes pairs")
				}
				d.Set(dictKey(kv[0]), kv[1])
			}
			return d
		},
	}
}

// combineFilter merges mappings, or lists of them, the later over the earlier.
func combineFilter(c *call) any {
	c.open = true
	recursive, how := c.bool(-1, "recursive", false), c.str(-1, "list_merge", "replace")
	for name := range c.named {
		if !slices.Contains(c.known, name) {
			throwHint(source.DidYouMean(name, c.known), "'recursive' and 'list_merge' are the only valid keyword arguments")
		}
	}
	if !slices.Contains([]string{"replace", "keep", "append", "prepend", "append_rp", "prepend_rp"}, how) {
		throwHint("replace, keep, append, prepend, append_rp or prepend_rp", "unknown list_merge %q", how)
	}
	var all []any
	for _, x := range append([]any{c.defined()}, c.args...) {
		switch t := x.(type) {
		case nil:
		case []any:
			all = append(all, t...)
		case tuple:
			all = append(all, t...)
		case *undefined:
			t.fail()
		default:
			all = append(all, x)
		}
	}
	switch len(all) {
	case 0:
		return value.NewDict()
	case 1:
		return all[0]
	}
	var out *value.Dict
	for _, x := range all {
		if !isMapping(x) {
			if u, ok := x.(*undefined); ok {
				u.fail()
			}
			throw("failed to combine variables, expected dicts but got %s", kindOf(x))
		}
		if out == nil {
			out = c.m.dict(x)
		} else {
			out = combine(out, c.m.dict(x), recursive, how, 0)
		}
	}
	return out
}

func combine(low, high *value.Dict, recursive bool, how string, depth int) *value.Dict {
	if depth > 500 {
		throw("mappings nested more than 500 deep")
	}
	if low.Len() == 0 || equal(low, high) {
		return high
	}
	out := low.Copy()
	for k, v := range high.All() {
		old, had := out.Get(k)
		if ld, ok := old.(*value.Dict); had && ok && recursive {
			if hd, ok := v.(*value.Dict); ok {
				out.Set(k, combine(ld, hd, recursive, how, depth+1))
				continue
			}
		}
		if ll, ok := old.([]any); had && ok {
			if hl, ok := v.([]any); ok {
				out.Set(k, mergeLists(ll, hl, how))
				continue
			}
		}
		out.Set(k, v)
	}
	return out
}

func mergeLists(low, high []any, how string) []any {
	without := func(list, drop []any) []any {
		gone := setOf(drop)
		var kept []any
		for _, x := range list {
			if !gone.has(x) {
				kept = append(kept, x)
			}
		}
		return kept
	}
	switch how {
	case "keep":
		return low
	case "append":
		return append(slices.Clone(low), high...)
	case "prepend":
		return append(slices.Clone(high), low...)
	case "append_rp":
		return append(without(low, high), high...)
	case "prepend_rp":
		return append(slices.Clone(high), without(low, high)...)
	}
	return high
}

func dictToItems(c *call) any {
	kn, vn := c.str(0, "key_name", "key"), c.str(1, "value_name", "value")
	out := []any{}
	if in := c.defined(); !isMapping(in) {
		throw("dict2items requires a dictionary, got %s instead", kindOf(in))
	}
	for k, v := range c.m.dict(c.in).All() {
		out = append(out, value.NewDict(kn, k, vn, v))
	}
	return out
}

func itemsToDict(c *call) any {
	kn, vn := c.str(0, "key_name", "key"), c.str(1, "value_name", "value")
	list, ok := c.defined().([]any)
	if pairs, isTuple := c.in.(tuple); isTuple {
		list, ok = pairs, true
	}
	if !ok {
		throw("items2dict requires a list, got %s instead", kindOf(c.in))
	}
	d := value.NewDict()
	for _, item := range list {
		if !isMapping(item) {
			throw("items2dict requires a list of dictionaries, got %s in it", kindOf(item))
		}
		k, v := c.m.index(item, kn), c.m.index(item, vn)
		if missing(k) || missing(v) {
			throw("items2dict requires each dictionary in the list to contain the keys '%s' and '%s', got %s instead", kn, vn, repr(item))
		}
		d.Set(dictKey(k), v)
	}
	return d
}

// missing says whether x is undefined otherwise than by an inline if.
func missing(x any) bool { u, ok := x.(*undefined); return ok && !u.soft }

func dictSort(c *call) any {
	caseful, by, reverse := c.bool(0, "case_sensitive", false), c.str(1, "by", "key"), c.bool(2, "reverse", false)
	at := int64(0)
	if by == "value" {
		at = 1
	}
	list := pairs(c.m.dict(c.in))
	c.m.sortBy(list, at, caseful, reverse)
	return list
}

// subelements pairs each item with each entry of a list inside it.
func subelements(c *call) any {
	path, skip := c.need(0, "subelements"), c.bool(1, "skip_missing", false)
	in := c.defined()
	list, ok := in.([]any)
	if !ok && !isMapping(in) {
		throw("obj must be a list of dicts or a nested dict")
	}
	if !ok {
		d := c.m.dict(in)
		for k := range d.All() {
			list = append(list, c.m.index(d, k))
		}
	}
	var keys []string
	switch t := path.(type) {
	case string:
		keys = strings.Split(t, ".")
	case []any:
		for _, k := range t {
			keys = append(keys, text(k))
		}
	default:
		throw("subelements must be a list or a string")
	}
	out := []any{}
	for _, x := range list {
		for _, sub := range c.m.subItems(x, keys, skip, false) {
			out = append(out, tuple{x, sub})
		}
	}
	return out
}

// rekey makes a mapping of mappings, each found by what it has at a key.
func rekey(c *call) any {
	key, how := c.need(0, "key"), c.str(1, "duplicates", "error")
	if how != "error" && how != "overwrite" {
		throwHint("error or overwrite", "duplicates parameter to rekey_on_member has unknown value: %s", how)
	}
	in := c.defined()
	var list []any
	switch t := in.(type) {
	case []any:
		list = t
	case tuple:
		list = t
	default:
		if !isMapping(in) {
			throw("Type is not a valid list, set, or dict")
		}
		for k := range c.m.dict(in).All() {
			list = append(list, c.m.index(in, k))
		}
	}
	out := value.NewDict()
	for _, item := range list {
		if !isMapping(item) {
			throw("List item is not a valid dict")
		}
		k := c.m.index(item, key)
		if missing(k) {
			throw("Key %s was not found", text(key))
		}
		if k = dictKey(k); out.Has(k) && how == "error" {
			throw("Key %s is not unique, cannot correctly turn into dict", text(k))
		}
		out.Set(k, item)
	}
	return out
}

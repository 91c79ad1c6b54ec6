package expr

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"farm/inventory/source"
	"farm/inventory/value"
)

// method calls x.name(args) as Python would. A method that changes a list or mapping
// works on variables of the template itself: the variable gets a changed copy, since
// values are shared.
func (m *machine) method(a *attribute, x any, name string, list []any, named map[string]any, order []string) any {
	var known []string
	tab := m.vars.e.tables
	switch t := x.(type) {
	case *undefined:
		t.fail()
	case string:
		if f, ok := tab.stringMethods[name]; ok {
			return m.call(f, name, x, list, named, order)
		}
		known = keysOf(tab.stringMethods)
	case []any:
		if f, ok := tab.listMethods[name]; ok {
			return m.call(f, name, x, list, named, order)
		}
		if f, ok := tab.listChanges[name]; ok {
			out, changed := f(m, slices.Clone(t), list, named)
			m.rebind(a.x, changed)
			return out
		}
		known = append(keysOf(tab.listMethods), keysOf(tab.listChanges)...)
	case tuple:
		if f, ok := tab.listMethods[name]; ok {
			return m.call(f, name, []any(t), list, named, order)
		}
		known = keysOf(tab.listMethods)
	case *value.Dict, Lazy, *namespace:
		if _, lazy := x.(Lazy); !lazy {
			switch v := m.attr(x, name).(type) {
			case *macro, builtin:
				return m.apply(v, list, named, order)
			}
		}
		if f, ok := tab.dictMethods[name]; ok {
			return m.call(f, name, x, list, named, order)
		}
		if f, ok := tab.dictChanges[name]; ok {
			d := m.dict(x).Copy()
			out := f(m, d, list, named, order)
			if ns, ok := x.(*namespace); ok {
				ns.d = d
			} else {
				m.rebind(a.x, d)
			}
			return out
		}
		known = append(keysOf(tab.dictMethods), keysOf(tab.dictChanges)...)
	case int64:
		if name == "bit_length" {
			n := int64(0)
			for u := uint64(max(t, -t)); u > 0; u >>= 1 {
				n++
			}
			return n
		}
	case float64:
		if name == "is_integer" {
			return t == float64(int64(t))
		}
	case moment:
		return t.method(name, list)
	case span:
		if name == "total_seconds" {
			return t.seconds()
		}
	case *cycler:
		return t.method(name)
	case *loop:
		return m.apply(t.attr(name), list, named, order)
	}
	throwHint(source.DidYouMean(name, known), "%s has no method %q", kindOf(x), name)
	return nil
}

func keysOf[V any](table map[string]V) []string {
	names := make([]string, 0, len(table))
	for n := range table {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// rebind stores a changed copy where x was read from, if that is the template's own.
func (m *machine) rebind(x expression, v any) {
	switch n := x.(type) {
	case *name:
		if f := m.frame.holder(n.id); f != nil {
			f.names[n.id] = v
			return
		}
	case *attribute:
		if ns, ok := m.eval(n.x).(*namespace); ok {
			ns.d.Set(n.name, v)
			return
		}
		if d, ok := m.eval(n.x).(*value.Dict); ok {
			c := d.Copy()
			c.Set(n.name, v)
			m.rebind(n.x, c)
			return
		}
	case *subscript:
		key := m.eval(n.key)
		switch t := m.eval(n.x).(type) {
		case *value.Dict:
			c := t.Copy()
			c.Set(dictKey(key), v)
			m.rebind(n.x, c)
			return
		case []any:
			if i, ok := key.(int64); ok && i >= 0 && i < int64(len(t)) {
				c := slices.Clone(t)
				c[i] = v
				m.rebind(n.x, c)
				return
			}
		}
	}
	throwHint("copy it with {% set %} first, or use + and combine()", "only what a template has set itself can be changed")
}

func trimSet(c *call) string {
	if v := c.value(0, "chars", nil); v != nil {
		return text(v)
	}
	return " \t\n\r\v\f"
}

func affix(c *call, has func(s, a string) bool) any {
	s := c.text()
	if t, ok := c.need(0, "prefix").(tuple); ok {
		for _, a := range t {
			if has(s, text(a)) {
				return true
			}
		}
		return false
	}
	return has(s, text(c.args[0]))
}

// runeIndex turns a byte index into one of characters.
func runeIndex(s string, i int) any {
	if i < 0 {
		return int64(-1)
	}
	return int64(utf8.RuneCountInString(s[:i]))
}

func allOf(ok func(r rune) bool) function {
	return func(c *call) any {
		s := c.text()
		for _, r := range s {
			if !ok(r) {
				return false
			}
		}
		return s != ""
	}
}

func partition(c *call, index func(s, sep string) int, missing func(s string) tuple) any {
	s, sep := c.text(), text(c.need(0, "sep"))
	i := index(s, sep)
	if i < 0 {
		return missing(s)
	}
	return tuple{s[:i], sep, s[i+len(sep):]}
}

func stringMethods() map[string]function {
	return map[string]function{
		"split":      func(c *call) any { return splitText(c, false) },
		"rsplit":     func(c *call) any { return splitText(c, true) },
		"splitlines": func(c *call) any { return splitLines(c.text(), c.bool(0, "keepends", false)) },
		"strip":      func(c *call) any { return strings.Trim(c.text(), trimSet(c)) },
		"lstrip":     func(c *call) any { return strings.TrimLeft(c.text(), trimSet(c)) },
		"rstrip":     func(c *call) any { return strings.TrimRight(c.text(), trimSet(c)) },
		"upper":      func(c *call) any { return strings.ToUpper(c.text()) },
		"lower":      func(c *call) any { return strings.ToLower(c.text()) },
		"casefold":   func(c *call) any { return strings.ToLower(c.text()) },
		"capitalize": func(c *call) any { return capitalize(c.text()) },
		"title":      func(c *call) any { return pythonTitle(c.text()) },
		"swapcase": func(c *call) any {
			return strings.Map(func(r rune) rune {
				if unicode.IsUpper(r) {
					return unicode.ToLower(r)
				}
				return unicode.ToUpper(r)
			}, c.text())
		},
		"startswith":   func(c *call) any { return affix(c, strings.HasPrefix) },
		"endswith":     func(c *call) any { return affix(c, strings.HasSuffix) },
		"removeprefix": func(c *call) any { return strings.TrimPrefix(c.text(), text(c.need(0, "prefix"))) },
		"removesuffix": func(c *call) any { return strings.TrimSuffix(c.text(), text(c.need(0, "suffix"))) },
		"replace": func(c *call) any {
			return replaceText(c.text(), text(c.need(0, "old")), text(c.need(1, "new")), c.int(2, "count", -1))
		},
		"find":  func(c *call) any { s := c.text(); return runeIndex(s, strings.Index(s, text(c.need(0, "sub")))) },
		"rfind": func(c *call) any { s := c.text(); return runeIndex(s, strings.LastIndex(s, text(c.need(0, "sub")))) },
		"index": func(c *call) any {
			s, sub := c.text(), text(c.need(0, "sub"))
			i := strings.Index(s, sub)
			if i < 0 {
				throw("%q is not in the text", sub)
			}
			return runeIndex(s, i)
		},
		"count": func(c *call) any { return int64(strings.Count(c.text(), text(c.need(0, "sub")))) },
		"join": func(c *call) any {
			var parts []string
			for _, x := range c.m.items(c.need(0, "iterable")) {
				s, ok := x.(string)
				if !ok {
					throwHint("convert them with | map('string')", "join of %s", kindOf(x))
				}
				parts = append(parts, s)
			}
			return bounded(strings.Join(parts, c.text()))
		},
		"isdigit":   allOf(unicode.IsDigit),
		"isnumeric": allOf(unicode.IsNumber),
		"isdecimal": allOf(unicode.IsDigit),
		"isalpha":   allOf(unicode.IsLetter),
		"isalnum":   allOf(func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }),
		"isspace":   allOf(unicode.IsSpace),
		"isupper":   func(c *call) any { s := c.text(); return strings.ToUpper(s) == s && strings.ToLower(s) != s },
		"islower":   func(c *call) any { s := c.text(); return strings.ToLower(s) == s && strings.ToUpper(s) != s },
		"zfill": func(c *call) any {
			s, sign := c.text(), ""
			if strings.HasPrefix(s, "-") || strings.HasPrefix(s, "+") {
				sign, s = s[:1], s[1:]
			}
			return sign + pad(s, int(c.int(0, "width", 0))-len(sign), "0", true, false)
		},
		"ljust":  func(c *call) any { return pad(c.text(), int(c.int(0, "width", 0)), c.str(1, "fill", " "), false, true) },
		"rjust":  func(c *call) any { return pad(c.text(), int(c.int(0, "width", 0)), c.str(1, "fill", " "), true, false) },
		"center": func(c *call) any { return pad(c.text(), int(c.int(0, "width", 0)), c.str(1, "fill", " "), true, true) },
		"partition": func(c *call) any {
			return partition(c, strings.Index, func(s string) tuple { return tuple{s, "", ""} })
		},
		"rpartition": func(c *call) any {
			return partition(c, strings.LastIndex, func(s string) tuple { return tuple{"", "", s} })
		},
		"format": func(c *call) any { c.open = true; return braceFormat(c.m, c.text(), c.args, c.named) },
		"expandtabs": func(c *call) any {
			return strings.ReplaceAll(c.text(), "\t", strings.Repeat(" ", int(min(64, c.int(0, "tabsize", 8)))))
		},
		"encode": func(c *call) any { c.str(0, "encoding", ""); return c.text() },
		"decode": func(c *call) any { c.str(0, "encoding", ""); return c.text() },
	}
}

// pad fills s up to width characters.
func pad(s string, width int, fill string, left, right bool) string {
	missing := width - utf8.RuneCountInString(s)
	if missing <= 0 || fill == "" {
		return s
	}
	if missing > 1<<20 {
		throw("a width of more than %d", 1<<20)
	}
	l, r := missing, missing
	switch {
	case left && right:
		l = missing/2 + missing&width&1
		r = missing - l
	case left:
		r = 0
	default:
		l = 0
	}
	return strings.Repeat(fill, l) + s + strings.Repeat(fill, r)
}

func replaceText(s, old, with string, n int64) string {
	if len(with) > 0 && strings.Count(s, old) > maxText/len(with) {
		throw("text of more than %d bytes", maxText)
	}
	return bounded(strings.Replace(s, old, with, int(n)))
}

// splitText is Python's split and rsplit, also the filter split.
func splitText(c *call, fromRight bool) any {
	s := c.text()
	sep := c.value(0, "sep", nil)
	limit := int(c.int(1, "maxsplit", -1))
	var parts []string
	switch {
	case sep == nil && limit < 0:
		parts = strings.Fields(s)
	case sep == nil:
		parts = splitBlanks(s, limit, fromRight)
	case text(sep) == "":
		throw("split at empty text")
	case fromRight && limit >= 0:
		for ; limit > 0; limit-- {
			i := strings.LastIndex(s, text(sep))
			if i < 0 {
				break
			}
			parts = append([]string{s[i+len(text(sep)):]}, parts...)
			s = s[:i]
		}
		parts = append([]string{s}, parts...)
	case limit >= 0:
		parts = strings.SplitN(s, text(sep), limit+1)
	default:
		parts = strings.Split(s, text(sep))
	}
	c.m.size(len(parts))
	return stringList(parts)
}

func splitBlanks(s string, limit int, fromRight bool) []string {
	var parts []string
	if fromRight {
		for s = strings.TrimRight(s, " \t\r\n"); s != "" && limit > 0; limit-- {
			i := strings.LastIndexAny(s, " \t\r\n")
			if i < 0 {
				break
			}
			parts = append([]string{s[i+1:]}, parts...)
			s = strings.TrimRight(s[:i], " \t\r\n")
		}
		if s != "" {
			parts = append([]string{s}, parts...)
		}
		return parts
	}
	for s = strings.TrimLeft(s, " \t\r\n"); s != "" && limit > 0; limit-- {
		i := strings.IndexAny(s, " \t\r\n")
		if i < 0 {
			break
		}
		parts = append(parts, s[:i])
		s = strings.TrimLeft(s[i:], " \t\r\n")
	}
	if s != "" {
		parts = append(parts, s)
	}
	return parts
}

func splitLines(s string, keep bool) any {
	var lines []any
	for s != "" {
		i := strings.IndexAny(s, "\r\n")
		if i < 0 {
			lines = append(lines, s)
			break
		}
		end := i + 1
		if s[i] == '\r' && end < len(s) && s[end] == '\n' {
			end++
		}
		if keep {
			lines = append(lines, s[:end])
		} else {
			lines = append(lines, s[:i])
		}
		s = s[end:]
	}
	if lines == nil {
		return []any{}
	}
	return lines
}

func listMethods() map[string]function {
	return map[string]function{
		"index": func(c *call) any {
			x := c.need(0, "x")
			for i, item := range c.items() {
				if equal(item, x) {
					return int64(i)
				}
			}
			throw("%s is not in the list", repr(x))
			return nil
		},
		"count": func(c *call) any {
			x, n := c.need(0, "x"), int64(0)
			for _, item := range c.items() {
				if equal(item, x) {
					n++
				}
			}
			return n
		},
		"copy": func(c *call) any { return c.in },
	}
}

// listChanges get a copy of the list and return the method's value and the changed list.
type listChange = func(m *machine, list, args []any, named map[string]any) (any, []any)

func listChanges() map[string]listChange {
	return map[string]listChange{
		"append": func(m *machine, list, args []any, _ map[string]any) (any, []any) {
			m.run.step(len(list))
			return nil, append(list, args...)
		},
		"extend": func(m *machine, list, args []any, _ map[string]any) (any, []any) {
			for _, a := range args {
				list = append(list, m.items(a)...)
			}
			m.size(len(list))
			return nil, list
		},
		"insert": func(m *machine, list, args []any, _ map[string]any) (any, []any) {
			if len(args) != 2 {
				throw("insert takes a place and an item")
			}
			i := intArg(args[0], "place")
			if i < 0 {
				i += int64(len(list))
			}
			return nil, slices.Insert(list, int(min(max(i, 0), int64(len(list)))), args[1])
		},
		"pop": func(m *machine, list, args []any, _ map[string]any) (any, []any) {
			i := int64(-1)
			if len(args) > 0 {
				i = intArg(args[0], "place")
			}
			if i < 0 {
				i += int64(len(list))
			}
			if i < 0 || i >= int64(len(list)) {
				throw("pop from a list of %d items", len(list))
			}
			return list[i], slices.Delete(list, int(i), int(i)+1)
		},
		"remove": func(m *machine, list, args []any, _ map[string]any) (any, []any) {
			for i, item := range list {
				if len(args) == 1 && equal(item, args[0]) {
					return nil, slices.Delete(list, i, i+1)
				}
			}
			throw("what is to be removed is not in the list")
			return nil, nil
		},
		"clear": func(*machine, []any, []any, map[string]any) (any, []any) { return nil, []any{} },
		"reverse": func(_ *machine, list, _ []any, _ map[string]any) (any, []any) {
			slices.Reverse(list)
			return nil, list
		},
		"sort": func(_ *machine, list, _ []any, named map[string]any) (any, []any) {
			slices.SortStableFunc(list, order)
			if truth(named["reverse"]) {
				slices.Reverse(list)
			}
			return nil, list
		},
	}
}

func dictMethods() map[string]function {
	return map[string]function{
		"get": func(c *call) any {
			key := c.need(0, "key")
			def, _ := c.get(1, "default")
			if v := c.m.index(c.in, key); !isUndefined(v) {
				return v
			}
			return def
		},
		"keys": func(c *call) any { return c.items() },
		"values": func(c *call) any {
			list := []any{}
			for _, v := range c.m.dict(c.in).All() {
				list = append(list, v)
			}
			return list
		},
		"items":   func(c *call) any { return pairs(c.m.dict(c.in)) },
		"copy":    func(c *call) any { return c.m.dict(c.in) },
		"has_key": func(c *call) any { return c.m.contains(c.in, c.need(0, "key")) },
	}
}

func pairs(d *value.Dict) []any {
	list := make([]any, 0, d.Len())
	for k, v := range d.All() {
		list = append(list, tuple{k, v})
	}
	return list
}

// dictChanges change a copy of the mapping and return the method's value.
type dictChange = func(m *machine, d *value.Dict, args []any, named map[string]any, order []string) any

func dictChanges() map[string]dictChange {
	return map[string]dictChange{
		"update": func(m *machine, d *value.Dict, args []any, named map[string]any, order []string) any {
			for _, a := range args {
				if list, ok := a.([]any); ok {
					for _, p := range list {
						kv := m.items(p)
						if len(kv) != 2 {
							throw("update takes a mapping or pairs")
						}
						d.Set(dictKey(kv[0]), kv[1])
					}
					continue
				}
				for k, v := range m.dict(a).All() {
					d.Set(k, v)
				}
			}
			for _, k := range order {
				d.Set(k, named[k])
			}
			return nil
		},
		"pop": func(m *machine, d *value.Dict, args []any, _ map[string]any, _ []string) any {
			if len(args) == 0 {
				throw("pop takes a key")
			}
			k := dictKey(args[0])
			if v, ok := d.Get(k); ok {
				d.Delete(k)
				return v
			}
			if len(args) > 1 {
				return args[1]
			}
			throw("no key %s", repr(k))
			return nil
		},
		"setdefault": func(m *machine, d *value.Dict, args []any, _ map[string]any, _ []string) any {
			if len(args) == 0 {
				throw("setdefault takes a key")
			}
			k := dictKey(args[0])
			if v, ok := d.Get(k); ok {
				return v
			}
			var v any
			if len(args) > 1 {
				v = args[1]
			}
			d.Set(k, v)
			return v
		},
		"clear": func(_ *machine, d *value.Dict, _ []any, _ map[string]any, _ []string) any {
			*d = *value.NewDict()
			return nil
		},
	}
}

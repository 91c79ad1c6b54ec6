package expr

import (
	"encoding/base64"
	"errors"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"farm/inventory/source"
	"farm/inventory/value"
)

func dataFilters() map[string]function {
	return map[string]function{
		"to_json": toJSON, "tojson": toJSON, "to_nice_json": toNiceJSON, "from_json": fromJSON,
		"to_yaml": toYAML(false), "to_nice_yaml": toYAML(true),
		"from_yaml": fromYAML, "from_yaml_all": fromYAMLAll,
		"pprint": func(c *call) any { return repr(c.defined()) },
		"b64encode": func(c *call) any {
			enc := c.str(0, "encoding", "utf-8")
			return base64.StdEncoding.EncodeToString(encoded(c.text(), enc))
		},
		"b64decode": func(c *call) any {
			enc := c.str(0, "encoding", "utf-8")
			s := strings.Join(strings.Fields(c.text()), "")
			b, err := base64.StdEncoding.DecodeString(s)
			if err != nil {
				at := base64.CorruptInputError(0)
				errors.As(err, &at)
				throw("b64decode: no base64 at byte %d", int64(at))
			}
			return decoded(b, enc)
		},
	}
}

// jsonWriter writes JSON as Python's json.dumps does by default.
type jsonWriter struct {
	b          strings.Builder
	m          *machine
	indent     int
	sort, utf8 bool
	item, key  string // separators
}

func (w *jsonWriter) newline(depth int) {
	if w.indent >= 0 {
		w.b.WriteString("\n" + strings.Repeat(" ", w.indent*depth))
	}
}

func (w *jsonWriter) write(x any, depth int) {
	if depth > 500 {
		throw("a value nested more than 500 deep")
	}
	if w.b.Len() > maxText {
		throw("text of more than %d bytes", maxText)
	}
	switch t := x.(type) {
	case nil:
		w.b.WriteString("null")
	case bool:
		w.b.WriteString(strings.ToLower(text(t)))
	case int64, value.Big:
		w.b.WriteString(text(t))
	case float64:
		s := value.FloatText(t)
		w.b.WriteString(strings.NewReplacer("inf", "Infinity", "nan", "NaN").Replace(s))
	case string:
		w.str(t)
	case []any:
		w.list(t, depth)
	case tuple:
		w.list(t, depth)
	case *value.Dict:
		w.dict(t, depth)
	case *namespace:
		w.dict(t.d, depth)
	case Lazy:
		w.dict(w.m.dict(t), depth)
	case *undefined:
		t.fail()
	default:
		w.str(text(x))
	}
}

func (w *jsonWriter) list(list []any, depth int) {
	if len(list) == 0 {
		w.b.WriteString("[]")
		return
	}
	w.b.WriteByte('[')
	for i, x := range list {
		if i > 0 {
			w.b.WriteString(w.item)
		}
		w.newline(depth + 1)
		w.write(x, depth+1)
	}
	w.newline(depth)
	w.b.WriteByte(']')
}

func (w *jsonWriter) dict(d *value.Dict, depth int) {
	if d.Len() == 0 {
		w.b.WriteString("{}")
		return
	}
	list := pairs(d)
	if w.sort {
		w.m.sortBy(list, int64(0), true, false)
	}
	w.b.WriteByte('{')
	for i, p := range list {
		if i > 0 {
			w.b.WriteString(w.item)
		}
		w.newline(depth + 1)
		kv := p.(tuple)
		switch k := kv[0].(type) {
		case bool:
			w.str(strings.ToLower(text(k)))
		default:
			w.str(text(k))
		}
		w.b.WriteString(w.key)
		w.write(kv[1], depth+1)
	}
	w.newline(depth)
	w.b.WriteByte('}')
}

func (w *jsonWriter) str(s string) {
	const hex = "0123456789abcdef"
	unit := func(u uint16) {
		w.b.WriteString(`\u` + string(hex[u>>12]) + string(hex[u>>8&15]) + string(hex[u>>4&15]) + string(hex[u&15]))
	}
	w.b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			w.b.WriteByte('\\')
			w.b.WriteRune(r)
		case r == '\n':
			w.b.WriteString(`\n`)
		case r == '\r':
			w.b.WriteString(`\r`)
		case r == '\t':
			w.b.WriteString(`\t`)
		case r == '\b':
			w.b.WriteString(`\b`)
		case r == '\f':
			w.b.WriteString(`\f`)
		case r < 0x20:
			unit(uint16(r))
		case r < utf8.RuneSelf || w.utf8:
			w.b.WriteRune(r)
		case r > 0xffff:
			a, b := utf16.EncodeRune(r)
			unit(uint16(a))
			unit(uint16(b))
		default:
			unit(uint16(r))
		}
	}
	w.b.WriteByte('"')
}

func toJSON(c *call) any { return dumpJSON(c, -1, false) }

func toNiceJSON(c *call) any { return dumpJSON(c, 4, true) }

func dumpJSON(c *call, indent int64, sorted bool) any {
	if i := c.value(0, "indent", nil); i != nil {
		indent = intArg(i, "indent")
	}
	sorted = c.bool(1, "sort_keys", sorted)
	w := &jsonWriter{m: c.m, indent: int(min(indent, 40)), sort: sorted, utf8: !c.bool(-1, "ensure_ascii", true), item: ", ", key: ": "}
	for _, ignored := range []string{"vault_to_text", "preprocess_unsafe"} {
		c.bool(-1, ignored, false)
	}
	if indent >= 0 {
		w.item = ","
	}
	if s := c.value(-1, "separators", nil); s != nil {
		pair := c.m.items(s)
		if len(pair) != 2 {
			throw("separators takes two texts")
		}
		w.item, w.key = text(pair[0]), text(pair[1])
	}
	w.write(c.defined(), 0)
	return bounded(w.b.String())
}

func fromJSON(c *call) any {
	v, err := value.FromJSON([]byte(c.text()))
	if err != nil {
		throw("from_json: %s", err)
	}
	return v
}

// fromYAML parses one document; what looks like a template in it stays text.
func fromYAML(c *call) any {
	if _, ok := c.defined().(string); !ok {
		return c.in
	}
	return parseYAML(c.text())
}

func parseYAML(s string) any {
	f, err := source.Parse("YAML text", []byte(s))
	if err != nil {
		throwErr(err)
	}
	v, err := value.FromNode(f, f.Root)
	if err != nil {
		throw("from_yaml: %s", err)
	}
	return untemplate(v)
}

// untemplate makes plain text of templates: only files of the user are evaluated.
func untemplate(x any) any {
	switch t := x.(type) {
	case value.Template:
		return t.Text
	case []any:
		for i := range t {
			t[i] = untemplate(t[i])
		}
	case *value.Dict:
		for k, v := range t.All() {
			t.Set(k, untemplate(v))
		}
	}
	return x
}

func fromYAMLAll(c *call) any {
	if _, ok := c.defined().(string); !ok {
		return c.in
	}
	out := []any{}
	for doc := range strings.SplitSeq("\n"+c.text(), "\n---") {
		if strings.TrimSpace(doc) != "" {
			out = append(out, parseYAML(doc))
		}
	}
	return out
}

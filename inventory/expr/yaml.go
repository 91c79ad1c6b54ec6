package expr

import (
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"

	"farm/inventory/source"
	"farm/inventory/value"
)

// yamlWriter writes YAML as PyYAML does for Ansible's filters: keys sorted; in to_yaml
// collections without further ones inside are in flow style. Long lines are not folded.
type yamlWriter struct {
	b      strings.Builder
	m      *machine
	indent int
	sort   bool
	flow   bool // leaves in flow style
	inside int  // of flow collections
}

func toYAML(nice bool) function {
	return func(c *call) any {
		w := &yamlWriter{m: c.m, indent: 2, sort: true, flow: !nice}
		if nice {
			w.indent = 4
		}
		w.indent = int(min(20, max(1, c.int(0, "indent", int64(w.indent)))))
		w.sort = c.bool(-1, "sort_keys", true)
		if f, ok := c.get(-1, "default_flow_style"); ok && f != nil {
			w.flow = truth(f)
		}
		for _, ignored := range []string{"width", "allow_unicode", "explicit_start", "default_style"} {
			c.value(-1, ignored, nil)
		}
		x := c.m.export(c.defined())
		switch {
		case w.leaf(x):
			w.inline(x)
			w.b.WriteByte('\n')
		default:
			w.block(x, 0, false)
		}
		return bounded(w.b.String())
	}
}

func isCollection(x any) bool {
	switch x.(type) {
	case []any, *value.Dict, Lazy:
		return true
	}
	return false
}

// leaf reports whether x is written in one line.
func (w *yamlWriter) leaf(x any) bool {
	switch t := x.(type) {
	case []any:
		if len(t) == 0 {
			return true
		}
		for _, y := range t {
			if isCollection(y) {
				return false
			}
		}
		return w.flow
	case *value.Dict:
		if t.Len() == 0 {
			return true
		}
		for _, y := range t.All() {
			if isCollection(y) {
				return false
			}
		}
		return w.flow
	case Lazy:
		return false
	}
	return true
}

func (w *yamlWriter) pairs(d *value.Dict) []any {
	list := pairs(d)
	if w.sort && sortable(d) {
		w.m.sortBy(list, int64(0), true, false)
	}
	return list
}

// sortable reports whether the keys have an order: all text, or all numbers.
func sortable(d *value.Dict) bool {
	texts, others := 0, 0
	for k := range d.All() {
		switch k.(type) {
		case string:
			texts++
		case nil:
			return d.Len() == 1
		default:
			others++
		}
	}
	return texts == 0 || others == 0
}

func (w *yamlWriter) inline(x any) {
	switch t := x.(type) {
	case []any:
		w.inside++
		defer func() { w.inside-- }()
		w.b.WriteByte('[')
		for i, y := range t {
			if i > 0 {
				w.b.WriteString(", ")
			}
			w.inline(y)
		}
		w.b.WriteByte(']')
	case *value.Dict:
		w.inside++
		defer func() { w.inside-- }()
		w.b.WriteByte('{')
		for i, p := range w.pairs(t) {
			if i > 0 {
				w.b.WriteString(", ")
			}
			kv := p.(tuple)
			w.inline(kv[0])
			w.b.WriteString(": ")
			w.inline(kv[1])
		}
		w.b.WriteByte('}')
	case nil:
		w.b.WriteString("null")
	case bool:
		w.b.WriteString(strings.ToLower(text(t)))
	case string:
		w.b.WriteString(scalarText(t, w.inside > 0))
	default:
		s := text(x)
		if isFloat(x) && !strings.Contains(s, ".") {
			s = strings.Replace(s, "e", ".0e", 1)
		}
		switch s {
		case "inf", "-inf", "nan":
			s = strings.Replace("."+s, ".-", "-.", 1)
		}
		w.b.WriteString(s)
	}
}

// block writes a collection over several lines; open says that the line has begun.
func (w *yamlWriter) block(x any, col int, open bool) {
	if col > 2000 {
		throw("a value nested too deep")
	}
	pad := func() {
		if !open {
			w.b.WriteString(strings.Repeat(" ", col))
		}
		open = false
	}
	switch t := x.(type) {
	case Lazy:
		w.block(w.m.export(w.m.dict(t)), col, open)
	case []any:
		for _, y := range t {
			pad()
			w.b.WriteByte('-')
			if w.leaf(y) {
				w.b.WriteByte(' ')
				w.inline(y)
				w.b.WriteByte('\n')
			} else {
				w.b.WriteString(strings.Repeat(" ", w.indent-1))
				w.block(y, col+w.indent, true)
			}
		}
	case *value.Dict:
		for _, p := range w.pairs(t) {
			kv := p.(tuple)
			pad()
			w.inline(kv[0])
			w.b.WriteByte(':')
			switch kv[1].(type) {
			case []any:
				if !w.leaf(kv[1]) {
					w.b.WriteByte('\n')
					w.block(kv[1], col, false)
					continue
				}
			case *value.Dict, Lazy:
				if !w.leaf(kv[1]) {
					w.b.WriteByte('\n')
					w.block(kv[1], col+w.indent, false)
					continue
				}
			}
			w.b.WriteByte(' ')
			w.inline(kv[1])
			w.b.WriteByte('\n')
		}
	}
}

// doubleQuoted is s in double quotes, with YAML's escapes for what they alone can hold.
func doubleQuoted(s string) string {
	const escaped = "\x00\a\b\t\n\v\f\r\x1b\"\\"
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch i := strings.IndexRune(escaped, r); {
		case i >= 0:
			b.WriteByte('\\')
			b.WriteByte("0abtnvfre\"\\"[i])
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&b, `\x%02X`, r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// scalarText is s plain if it reads back as the same text, else quoted; flow says that it
// stands in a flow collection.
func scalarText(s string, flow bool) string {
	for _, r := range s {
		if r < 0x20 || r == 0x7f || r > 0xffff {
			return doubleQuoted(s)
		}
	}
	brackets := ",[]{}"
	if !flow {
		brackets = "\n" // s has none
	}
	plain := s != "" && strings.TrimSpace(s) == s && strings.IndexByte("!&*-?|>@%`\"'#,[]{}=<:", s[0]) < 0 &&
		!strings.ContainsAny(s, brackets) && !strings.Contains(s, ": ") && !strings.Contains(s, " #") && !strings.HasSuffix(s, ":")
	if s != "" && (s[0] == '-' || s[0] == ':' || s[0] == '?') && len(s) > 1 && s[1] != ' ' {
		plain = !strings.ContainsAny(s, brackets+"#") && !strings.Contains(s, ": ") && !strings.HasPrefix(s, "---") && !strings.HasSuffix(s, ":")
	}
	if plain {
		// What reads as a number, a boolean or nothing needs quotes.
		v, err := value.FromNode(&source.File{}, &yaml.Node{Kind: yaml.ScalarNode, Value: s})
		_, same := v.(string)
		plain = err == nil && same && !(len(s) > 4 && s[4] == '-' && strings.Trim(s[:4], "0123456789") == "") // a date is text too
	}
	if plain {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}

package expr

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"farm/inventory/source"
	"farm/inventory/value"
)

// Inside an evaluation there are a few values more than package value has; export
// turns them into those or refuses them.
type (
	// tuple is Python's: it prints with parentheses and differs from a list.
	tuple []any

	// undefined stands for what does not exist; most uses of it fail.
	undefined struct {
		name string   // as written
		why  string   // what Jinja2 says of it; "" = of a variable that does not exist
		keys []string // what there would be instead; nil = the variables
		m    *machine // nil if keys are known
		err  error    // a variable that exists but needs something undefined
		in   *program // where it was met, and the offset there; nil = not known
		at   int
		// soft is the value of an inline if without an else: it prints as nothing, is
		// false, empty and equal to itself, and fails in all other uses.
		soft bool
	}

	// namespace is a mapping whose entries a template can set.
	namespace struct{ d *value.Dict }

	// builtin is a global function.
	builtin struct {
		name string
		f    function
	}

	// moment is a time, from now() or to_datetime.
	moment struct {
		t    time.Time
		zone bool // prints its offset
	}

	// span is the difference of two moments.
	span time.Duration
)

// fail throws the error about u, positioned where it arose if that is known.
func (u *undefined) fail() {
	if u.err != nil {
		throwErr(u.err)
	}
	keys := u.keys
	if u.m != nil {
		keys = u.m.names()
	}
	last := u.name
	if i := strings.LastIndexByte(last, '.'); i >= 0 && u.m == nil {
		last = last[i+1:]
	}
	f := &fault{at: -1, err: &UndefinedError{Name: u.name, Why: u.why}, hint: source.DidYouMean(last, keys)}
	if u.in != nil {
		f.at, f.in = u.at, u.in
	}
	panic(f)
}

// kindOf says in words what x is.
func kindOf(x any) string {
	switch x.(type) {
	case tuple:
		return "a tuple"
	case *undefined:
		return "something undefined"
	case *namespace:
		return "a namespace"
	case builtin, *macro:
		return "a function"
	case moment:
		return "a time"
	case span:
		return "a duration"
	case Lazy:
		return "a mapping"
	}
	return value.Kind(x)
}

// truth is Python's truth of a value.
func truth(x any) bool {
	switch t := x.(type) {
	case nil:
		return false
	case bool:
		return t
	case int64:
		return t != 0
	case float64:
		return t != 0
	case string:
		return t != ""
	case []any:
		return len(t) > 0
	case tuple:
		return len(t) > 0
	case *value.Dict:
		return t.Len() > 0
	case Lazy:
		return len(t.Keys()) > 0
	case span:
		return t != 0
	case *undefined:
		if !t.soft {
			t.fail()
		}
		return false
	}
	return true
}

func (m *machine) truth(x any) bool { return truth(x) }

// text is Python's str(): what {{ x }} prints, except that nothing prints as "None".
func text(x any) string {
	switch t := x.(type) {
	case string:
		return t
	case *undefined:
		if t.soft {
			return ""
		}
	}
	var b strings.Builder
	printValue(&b, x, 0)
	return b.String()
}

// repr is Python's repr().
func repr(x any) string {
	var b strings.Builder
	if s, ok := x.(string); ok {
		printString(&b, s)
	} else {
		printValue(&b, x, 0)
	}
	return b.String()
}

func printValue(b *strings.Builder, x any, depth int) {
	if depth > 500 {
		throw("a value nested more than 500 deep")
	}
	if b.Len() > maxText {
		throw("text of more than %d bytes", maxText)
	}
	switch t := x.(type) {
	case nil:
		b.WriteString("None")
	case bool:
		if t {
			b.WriteString("True")
		} else {
			b.WriteString("False")
		}
	case int64:
		b.WriteString(strconv.FormatInt(t, 10))
	case float64:
		b.WriteString(value.FloatText(t))
	case string:
		printString(b, t)
	case []any:
		printItems(b, "[", t, "]", depth)
	case tuple:
		if len(t) == 1 {
			printItems(b, "(", t, ",)", depth)
		} else {
			printItems(b, "(", t, ")", depth)
		}
	case *value.Dict:
		b.WriteByte('{')
		first := true
		for k, v := range t.All() {
			if !first {
				b.WriteString(", ")
			}
			first = false
			printValue(b, k, depth+1)
			b.WriteString(": ")
			printValue(b, v, depth+1)
		}
		b.WriteByte('}')
	case *namespace:
		printValue(b, t.d, depth)
	case Lazy:
		printValue(b, lazyDict(t), depth)
	case value.Template:
		printString(b, t.Text)
	case value.Omit:
		b.WriteString("__omit_place_holder__")
	case moment:
		b.WriteString(t.String())
	case span:
		b.WriteString(t.String())
	case *undefined:
		if !t.soft {
			t.fail()
		}
		b.WriteString("Undefined")
	case builtin:
		b.WriteString("<function " + t.name + ">")
	case *macro:
		b.WriteString("<Macro " + repr(t.node.name) + ">")
	default:
		b.WriteString(value.Text(x))
	}
}

func printItems(b *strings.Builder, open string, items []any, closing string, depth int) {
	b.WriteString(open)
	for i, item := range items {
		if i > 0 {
			b.WriteString(", ")
		}
		printValue(b, item, depth+1)
	}
	b.WriteString(closing)
}

// printString quotes as Python does: single quotes unless only those are inside.
func printString(b *strings.Builder, s string) {
	quote := '\''
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = '"'
	}
	b.WriteRune(quote)
	for _, r := range s {
		switch {
		case r == quote || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < 0x20 || r == 0x7f || r < 0x100 && !unicode.IsPrint(r):
			b.WriteString(`\x` + hex2(r))
		default:
			b.WriteRune(r)
		}
	}
	b.WriteRune(quote)
}

func hex2(r rune) string {
	return string("0123456789abcdef"[r>>4&15]) + string("0123456789abcdef"[r&15])
}

// wholeKeys are the keys of a Lazy that is read as a whole: of a host's variables without those that
// hold all hosts', or the host's own, once more.
func wholeKeys(l Lazy) []string {
	return slices.DeleteFunc(slices.Clone(l.Keys()), func(k string) bool { return k == "hostvars" || k == "vars" })
}

// lazyDict reads all of a Lazy.
func lazyDict(l Lazy) *value.Dict {
	d := value.NewDict()
	for _, k := range wholeKeys(l) {
		v, ok, err := l.Get(k)
		if err != nil {
			throwErr(err)
		}
		if ok {
			d.Set(k, v)
		}
	}
	return d
}

// dict is x as a mapping; anything else is refused.
func (m *machine) dict(x any) *value.Dict {
	switch t := x.(type) {
	case *value.Dict:
		return t
	case *namespace:
		return t.d
	case Lazy:
		keys := wholeKeys(t)
		m.run.step(len(keys))
		d := value.NewDict()
		for _, k := range keys {
			if v := m.attr(t, k); !isUndefined(v) {
				d.Set(k, v)
			}
		}
		return d
	case *undefined:
		t.fail()
	}
	throw("%s where a mapping is needed", kindOf(x))
	return nil
}

func isUndefined(x any) bool { _, ok := x.(*undefined); return ok }

// items iterates over x as Python does: items of a list, keys of a mapping, characters of text.
func (m *machine) items(x any) []any {
	list, ok := m.iterable(x)
	if !ok {
		throw("%s where a list is needed", kindOf(x))
	}
	m.run.step(len(list))
	return list
}

func (m *machine) iterable(x any) ([]any, bool) {
	switch t := x.(type) {
	case []any:
		return t, true
	case tuple:
		return t, true
	case *value.Dict:
		list := make([]any, 0, t.Len())
		for k := range t.All() {
			list = append(list, k)
		}
		return list, true
	case *namespace:
		return m.iterable(t.d)
	case Lazy:
		return stringList(t.Keys()), true
	case string:
		var list []any
		for _, r := range t {
			list = append(list, string(r))
		}
		return list, true
	case *undefined:
		if !t.soft {
			t.fail()
		}
		return nil, true
	}
	return nil, false
}

func stringList(ss []string) []any {
	list := make([]any, len(ss))
	for i, s := range ss {
		list[i] = s
	}
	return list
}

// dictKey is x as a key.
func dictKey(x any) any {
	switch t := x.(type) {
	case nil, string, int64, value.Big, bool, float64:
		return x
	case *undefined:
		t.fail()
	case tuple:
		return text(t)
	}
	throw("%s cannot be a key", kindOf(x))
	return nil
}

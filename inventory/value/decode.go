package value

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"farm/inventory/source"
)

// Decode fills the struct that into points to from d, strictly: an unknown key, a
// missing required one or a wrong type is an error at its place, all of them at once.
//
// Fields are named by their yaml tag: `yaml:"name"`, `yaml:"name,required"`,
// `yaml:"name|alias|alias"`, "-" for none; `yaml:",rest"` marks a *Dict field that takes unknown
// keys. An absent key leaves the field as it was, so defaults are set beforehand; so
// does Omit. Types: string (numbers and booleans as text), bool (also "yes", "no", ...),
// int, int64, float64, time.Duration ("90s", or a number of seconds), []string (a
// string is split at commas), []any, any, *Dict, []*Dict, map[string]string, structs, pointers to
// and slices of those. Values must be evaluated already: a Template is a wrong type,
// except for fields of type any, *Dict and []any.
func Decode(d *Dict, into any) error {
	rv := reflect.ValueOf(into).Elem()
	return source.Join(decodeStruct(d, rv)...)
}

// Field is one key that Decode accepts for a struct.
type Field struct {
	Name     string
	Aliases  []string
	Required bool
	Type     reflect.Type
	Index    int
}

// structs keeps what Fields found, which a type's tags alone decide.
var structs sync.Map // reflect.Type to []Field

// Fields lists the keys of a struct type in the order of its fields. The list is shared.
func Fields(t reflect.Type) []Field {
	if have, ok := structs.Load(t); ok {
		return have.([]Field)
	}
	fields := []Field{}
	for i := range t.NumField() {
		f := t.Field(i)
		tag, opts, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if tag == "" || tag == "-" {
			continue
		}
		names := strings.Split(tag, "|")
		fields = append(fields, Field{Name: names[0], Aliases: names[1:], Required: opts == "required", Type: f.Type, Index: i})
	}
	structs.Store(t, fields)
	return fields
}

func decodeStruct(d *Dict, rv reflect.Value) []error {
	var errs []error
	fields := Fields(rv.Type())
	matched := 0
	var missing []string
	for _, f := range fields {
		found := false
		for i := -1; i < len(f.Aliases); i++ {
			name := f.Name
			if i >= 0 {
				name = f.Aliases[i]
			}
			v, ok := d.Get(name)
			if !ok {
				continue
			}
			matched++
			if _, omit := v.(Omit); omit {
				continue
			}
			found = true
			errs = append(errs, decodeField(d, name, v, rv.Field(f.Index))...)
		}
		if f.Required && !found {
			missing = append(missing, f.Name)
		}
	}
	if matched == d.Len() {
		return append(lacking(d, missing, nil), errs...)
	}
	var unknown []string
	rest := restField(rv.Type())
	for k, v := range d.All() {
		switch {
		case isField(fields, k):
		case rest >= 0:
			extra, _ := rv.Field(rest).Interface().(*Dict)
			if extra == nil {
				extra = NewDict()
				extra.SetPos(d.Pos())
				rv.Field(rest).Set(reflect.ValueOf(extra))
			}
			extra.Set(k, v)
			extra.CopyPos(k, d)
		default:
			var known []string
			for _, f := range fields {
				known = append(known, f.Name)
			}
			errs = append(errs, UnknownKey(d, fmt.Sprint(k), known))
			unknown = append(unknown, source.Nearest(fmt.Sprint(k), known))
		}
	}
	return append(lacking(d, missing, unknown), errs...)
}

// lacking tells of keys that are missing in d, but not of those that an unknown key is meant to be.
func lacking(d *Dict, missing, meant []string) []error {
	var errs []error
	for _, name := range missing {
		if !slices.Contains(meant, name) {
			errs = append(errs, source.Errorf(d.Pos(), "%q is missing", name))
		}
	}
	return errs
}

func restField(t reflect.Type) int {
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("yaml") == ",rest" {
			return i
		}
	}
	return -1
}

func isField(fields []Field, key any) bool {
	name, ok := key.(string)
	if !ok || name == "" {
		return false
	}
	for i := range fields {
		if fields[i].Name == name || slices.Contains(fields[i].Aliases, name) {
			return true
		}
	}
	return false
}

// UnknownKey is the complaint about a key of d that is none of known.
func UnknownKey(d *Dict, key string, known []string) error {
	hint := source.DidYouMean(key, known)
	near := hint != ""
	if !near && len(known) > 0 && len(known) <= 25 {
		hint = "known: " + strings.Join(known, ", ")
	}
	return &source.Error{Pos: d.KeyPos(key), What: fmt.Sprintf("unknown key %q", key), Hint: hint, Foreign: !near}
}

var (
	dictType     = reflect.TypeFor[*Dict]()
	durationType = reflect.TypeFor[time.Duration]()
)

// decodeField decodes the value v of d at name.
func decodeField(d *Dict, name string, v any, rv reflect.Value) []error {
	if rv.Kind() == reflect.Slice {
		return decodeSlice(v, rv, name, func(i int) source.Pos { return d.ItemPos(name, i) })
	}
	return decodeValue(v, rv, name, d.ValPos(name))
}

func decodeValue(v any, rv reflect.Value, name string, pos source.Pos) []error {
	wrong := func(want string) []error {
		return []error{source.Errorf(pos, "%s is %s, not %s", name, Kind(v), want)}
	}
	if _, omit := v.(Omit); omit {
		return nil
	}
	t := rv.Type()
	switch {
	case t.Kind() == reflect.Interface && t.NumMethod() == 0:
		if v != nil {
			rv.Set(reflect.ValueOf(v))
		}
		return nil
	case t == dictType:
		if v == nil {
			return nil
		}
		d, ok := v.(*Dict)
		if !ok {
			return wrong("a mapping")
		}
		rv.Set(reflect.ValueOf(d))
		return nil
	case t == durationType:
		dur, err := ParseDuration(v)
		if err != nil {
			return wrong(`a time such as "90s" or a number of seconds`)
		}
		rv.SetInt(int64(dur))
		return nil
	}
	switch t.Kind() {
	case reflect.Pointer:
		if v == nil {
			return nil
		}
		p := reflect.New(t.Elem())
		errs := decodeValue(v, p.Elem(), name, pos)
		rv.Set(p)
		return errs
	case reflect.String:
		switch v.(type) {
		case nil:
			rv.SetString("")
		case string, int64, Big, float64, bool:
			rv.SetString(Text(v))
		default:
			return wrong("text")
		}
	case reflect.Bool:
		b, err := ParseBool(v)
		if err != nil {
			return wrong("true or false")
		}
		rv.SetBool(b)
	case reflect.Int, reflect.Int64:
		i, err := ParseInt(v)
		if _, big := v.(Big); err != nil && big {
			return wrong("one of at most 19 digits")
		}
		if err != nil {
			return wrong("a whole number")
		}
		rv.SetInt(i)
	case reflect.Float64:
		switch x := v.(type) {
		case float64:
			rv.SetFloat(x)
		case int64:
			rv.SetFloat(float64(x))
		default:
			f, err := strconv.ParseFloat(fmt.Sprint(v), 64)
			if err != nil {
				return wrong("a number")
			}
			rv.SetFloat(f)
		}
	case reflect.Slice:
		return decodeSlice(v, rv, name, func(int) source.Pos { return pos })
	case reflect.Map:
		d, ok := v.(*Dict)
		if !ok {
			return wrong("a mapping")
		}
		m := map[string]string{}
		for k, item := range d.All() {
			m[Text(k)] = Text(item)
		}
		rv.Set(reflect.ValueOf(m))
	case reflect.Struct:
		d, ok := v.(*Dict)
		if !ok {
			return wrong("a mapping")
		}
		return decodeStruct(d, rv)
	default:
		panic("value.Decode: a field of type " + t.String())
	}
	return nil
}

// decodeSlice decodes a list whose item i stands at pos(i), or one item in place of a list.
func decodeSlice(v any, rv reflect.Value, name string, pos func(i int) source.Pos) []error {
	list, ok := v.([]any)
	if !ok {
		switch one := v.(type) {
		case nil:
			return nil
		case string:
			if rv.Type().Elem().Kind() == reflect.String {
				for part := range strings.SplitSeq(one, ",") {
					if part = strings.TrimSpace(part); part != "" {
						list = append(list, part)
					}
				}
				break
			}
			list = []any{one}
		case *Dict:
			list = []any{one}
		default:
			list = []any{one}
		}
	}
	out := reflect.MakeSlice(rv.Type(), len(list), len(list))
	var errs []error
	for i, item := range list {
		at := pos(i)
		if d, ok := item.(*Dict); ok && !d.Pos().IsZero() {
			at = d.Pos()
		}
		errs = append(errs, decodeValue(item, out.Index(i), name+"["+strconv.Itoa(i)+"]", at)...)
	}
	rv.Set(out)
	return errs
}

// Kind says in words what v is: "a list", "text", "a mapping", "nothing", ...
func Kind(v any) string {
	switch v.(type) {
	case nil:
		return "nothing"
	case bool:
		return "a boolean"
	case int64, Big:
		return "a whole number"
	case float64:
		return "a number"
	case string:
		return "text"
	case Template:
		return "a template"
	case []any:
		return "a list"
	case *Dict:
		return "a mapping"
	case Omit:
		return "omitted"
	}
	return fmt.Sprintf("a %T", v)
}

// Text prints a scalar as Ansible puts it into an argument: True, False, 1.5; "" for
// nil. Lists and dicts are printed as JSON.
func Text(v any) string {
	switch t := v.(type) {
	case nil:
		return ""
	case string:
		return t
	case Template:
		return t.Text
	case bool:
		if t {
			return "True"
		}
		return "False"
	case int64:
		return strconv.FormatInt(t, 10)
	case float64:
		return FloatText(t)
	case Big:
		return string(t)
	}
	text, err := JSON(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}

// ParseBool reads Ansible's booleans: true, yes, on, y, t, 1 and their opposites, in any case.
func ParseBool(v any) (bool, error) {
	switch t := v.(type) {
	case bool:
		return t, nil
	case int64:
		if t == 0 || t == 1 {
			return t == 1, nil
		}
	case string:
		switch strings.ToLower(strings.TrimSpace(t)) {
		case "yes", "on", "true", "y", "t", "1", "1.0":
			return true, nil
		case "no", "off", "false", "n", "f", "0", "0.0":
			return false, nil
		}
	}
	return false, fmt.Errorf("%s is no boolean", Kind(v))
}

// ParseInt reads a whole number, also from text.
func ParseInt(v any) (int64, error) {
	switch t := v.(type) {
	case int64:
		return t, nil
	case float64:
		// Both bounds are floats; the upper one is the first past int64.
		if t == math.Trunc(t) && t >= math.MinInt64 && t < math.MaxInt64 {
			return int64(t), nil
		}
	case string:
		return strconv.ParseInt(strings.TrimSpace(t), 10, 64)
	}
	return 0, fmt.Errorf("%s is no whole number", Kind(v))
}

// ParseDuration reads "1h30m", "90s", or a number of seconds.
func ParseDuration(v any) (time.Duration, error) {
	switch t := v.(type) {
	case int64:
		return time.Duration(t) * time.Second, nil
	case float64:
		return time.Duration(t * float64(time.Second)), nil
	case string:
		if secs, err := strconv.ParseFloat(t, 64); err == nil {
			return time.Duration(secs * float64(time.Second)), nil
		}
		return time.ParseDuration(t)
	}
	return 0, fmt.Errorf("%s is no time", Kind(v))
}

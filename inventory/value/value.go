// Package value is the data that inventories, task files and templates share.
//
// A value is one of: nil, bool, int64, Big, float64, string, Template, []any, *Dict, or
// Omit. Nothing else may enter: From turns other Go values into these. Lists and
// dicts are shared freely and must not be changed once they have been handed on;
// code that edits one makes a copy first.
package value

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"reflect"
	"sort"
	"strings"
	"time"

	"farm/inventory/source"
)

// Template is text with Jinja2 in it, as it stood in a user's file. Only text from
// files becomes a Template: what a guest prints stays a string and is never evaluated.
type Template struct {
	Text string
	Pos  source.Pos // of the scalar's first character
}

// Omit is the value of the variable `omit`: an argument that has it counts as absent.
type Omit struct{}

// IsTemplate reports whether text has Jinja2 in it.
func IsTemplate(text string) bool {
	return strings.Contains(text, "{{") || strings.Contains(text, "{%") || strings.Contains(text, "{#")
}

// MarshalJSON writes the dict in its order; keys that are no strings are written as
// Python's json does (1 as "1", true as "true").
func (d *Dict) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	first := true
	for k, v := range d.All() {
		if _, omit := v.(Omit); omit {
			continue
		}
		if !first {
			b.WriteByte(',')
		}
		first = false
		name, err := json.Marshal(keyText(k))
		if err != nil {
			return nil, err
		}
		text, err := JSON(v)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(text)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// MarshalJSON writes the template's text.
func (t Template) MarshalJSON() ([]byte, error) { return JSON(t.Text) }

// JSON is v, a value, as JSON text. Floats stay floats (2.0), what is omitted is null, and the
// numbers that JSON does not have are Python's names for them, in quotes: "Infinity", "-Infinity", "NaN".
func JSON(v any) ([]byte, error) {
	switch t := v.(type) {
	case *Dict:
		return t.MarshalJSON()
	case Omit:
		return []byte("null"), nil
	case []any:
		return marshalList(t)
	case float64:
		switch {
		case math.IsNaN(t):
			v = "NaN"
		case math.IsInf(t, 1):
			v = "Infinity"
		case math.IsInf(t, -1):
			v = "-Infinity"
		default:
			return []byte(FloatText(t)), nil
		}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func marshalList(list []any) ([]byte, error) {
	if list == nil {
		return []byte("null"), nil
	}
	b := []byte{'['}
	for i, item := range list {
		text, err := JSON(item)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, text...)
	}
	return append(b, ']'), nil
}

// maxNesting bounds lists and mappings in each other: Python gives up near that too, and text from a guest must not end farm.
const maxNesting = 1000

// FromJSON parses JSON text into a value; numbers without a fraction or an exponent
// become int64 or Big, others float64. What is nested deeper than 1000 is an error.
func FromJSON(text []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	v, err := decodeJSON(dec, 0)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, errors.New("the JSON text ends before its value does")
	}
	if err != nil {
		return nil, err
	}
	if dec.More() {
		return nil, fmt.Errorf("more text after the JSON value at byte %d", dec.InputOffset())
	}
	return v, nil
}

func decodeJSON(dec *json.Decoder, depth int) (any, error) {
	if depth > maxNesting {
		return nil, fmt.Errorf("the JSON text is nested deeper than %d", maxNesting)
	}
	tok, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch t := tok.(type) {
	case json.Number:
		if !strings.ContainsAny(t.String(), ".eE") {
			return ParseWhole(t.String(), 10)
		}
		f, err := t.Float64()
		if math.IsInf(f, 0) {
			err = nil // as in Python
		}
		return f, err
	case json.Delim:
		if t == '[' {
			list := []any{}
			for dec.More() {
				v, err := decodeJSON(dec, depth+1)
				if err != nil {
					return nil, err
				}
				list = append(list, v)
			}
			_, err := dec.Token()
			return list, err
		}
		d := NewDict()
		for dec.More() {
			key, err := dec.Token()
			if err != nil {
				return nil, err
			}
			v, err := decodeJSON(dec, depth+1)
			if err != nil {
				return nil, err
			}
			d.Set(key, v)
		}
		_, err := dec.Token()
		return d, err
	}
	return tok, nil
}

// From turns a Go value into a value of this package: structs by their json tags
// (fields left out with "-"), maps sorted by key, times as RFC 3339, errors and
// Stringers as text. It panics on channels and functions.
func From(v any) any {
	switch t := v.(type) {
	case nil, bool, int64, Big, float64, string, Template, Omit, *Dict:
		return t
	case int:
		return int64(t)
	case *big.Int:
		return Integer(t)
	case []any:
		return fromSlice(reflect.ValueOf(t))
	case []byte:
		return string(t)
	case time.Time:
		return t.Format(time.RFC3339Nano)
	case error:
		return t.Error()
	}
	return fromReflect(reflect.ValueOf(v))
}

func fromReflect(rv reflect.Value) any {
	switch rv.Kind() {
	case reflect.Pointer, reflect.Interface:
		if rv.IsNil() {
			return nil
		}
		return From(rv.Elem().Interface())
	case reflect.Bool:
		return rv.Bool()
	case reflect.String:
		return rv.String()
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return rv.Int()
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return Integer(new(big.Int).SetUint64(rv.Uint()))
	case reflect.Float32, reflect.Float64:
		return rv.Float()
	case reflect.Slice, reflect.Array:
		return fromSlice(rv)
	case reflect.Map:
		return fromMap(rv)
	case reflect.Struct:
		return fromStruct(rv)
	}
	panic(fmt.Sprintf("value.From: no value for a %s", rv.Type()))
}

func fromSlice(rv reflect.Value) any {
	list := make([]any, rv.Len())
	for i := range list {
		list[i] = From(rv.Index(i).Interface())
	}
	return list
}

func fromMap(rv reflect.Value) any {
	d := NewDict()
	keys := rv.MapKeys()
	sort.Slice(keys, func(i, j int) bool { return fmt.Sprint(keys[i]) < fmt.Sprint(keys[j]) })
	for _, k := range keys {
		d.Set(From(k.Interface()), From(rv.MapIndex(k).Interface()))
	}
	return d
}

func fromStruct(rv reflect.Value) any {
	d := NewDict()
	for i := range rv.NumField() {
		f := rv.Type().Field(i)
		name, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || name == "-" || opts == "omitempty" && rv.Field(i).IsZero() {
			continue
		}
		if name == "" {
			name = f.Name
		}
		d.Set(name, From(rv.Field(i).Interface()))
	}
	return d
}

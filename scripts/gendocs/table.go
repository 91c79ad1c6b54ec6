package main

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"time"

	"farm/inventory/value"
)

// named has a comment speak of what users write instead of the Go name it begins with.
func named(text, goName, name string) string {
	if rest, ok := strings.CutPrefix(text, goName+" "); ok {
		return "`" + name + "` " + rest
	}
	return text
}

// mentions replaces the Go names of other fields, where they cannot be the first word
// of a sentence.
func mentions(text string, t reflect.Type, fields []value.Field) string {
	for _, f := range fields {
		goName := regexp.MustCompile(`([a-z,;] )` + t.Field(f.Index).Name + `\b`)
		text = goName.ReplaceAllString(text, "${1}`"+f.Name+"`")
	}
	return text
}

func codes(names []string) string { return "`" + strings.Join(names, "`, `") + "`" }

// marked is what Markdown would read in prose of a comment.
var marked = regexp.MustCompile(`[|<*_]`)

// cell is text in a table.
func cell(text string) string {
	parts := strings.Split(text, "`")
	for i := range parts {
		if i%2 == 0 {
			parts[i] = marked.ReplaceAllString(parts[i], `\$0`)
		} else {
			parts[i] = strings.ReplaceAll(parts[i], "|", `\|`)
		}
	}
	return strings.Join(parts, "`")
}

func kind(t reflect.Type) string {
	if t == reflect.TypeFor[time.Duration]() {
		return "time"
	}
	switch t.Kind() {
	case reflect.Pointer:
		if t.Elem() == reflect.TypeFor[value.Dict]() {
			return "mapping"
		}
		return kind(t.Elem())
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "yes or no"
	case reflect.Int, reflect.Int64, reflect.Float64:
		return "number"
	case reflect.Slice:
		return "list"
	case reflect.Map, reflect.Struct:
		return "mapping"
	}
	return "any"
}

// defaultOf is what a field holds before it is filled, "" for nothing.
func defaultOf(v reflect.Value) string {
	if v.IsZero() || v.Kind() == reflect.Slice && v.Len() == 0 {
		return ""
	}
	switch v.Kind() {
	case reflect.Bool:
		return "yes"
	case reflect.Pointer:
		return defaultOf(v.Elem())
	}
	return fmt.Sprint(v.Interface())
}

package main

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"time"

	"farm/inventory/value"
)

// subject is a module or callback on a page.
type subject struct {
	name    string
	aliases []string
	args    any // a fresh one with its defaults: pointer to a struct that value.Decode fills
	notes   []string
}

// section describes a subject: what it does, then a table of its arguments.
func section(s subject, all comments) (string, error) {
	v := reflect.ValueOf(s.args).Elem()
	of, ok := all[v.Type().Name()]
	if !ok || of.text == "" {
		return "", fmt.Errorf("%s: the type %s has no comment", s.name, v.Type())
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n## %s\n\n%s\n", s.name, named(of.text, v.Type().Name(), s.name))
	if len(s.aliases) > 0 {
		fmt.Fprintf(&b, "\nAlso %s.\n", codes(s.aliases))
	}
	for _, note := range s.notes {
		fmt.Fprintf(&b, "\n%s\n", note)
	}
	fields := value.Fields(v.Type())
	named := func(text, goName, name string) string { return mentions(named(text, goName, name), v.Type(), fields) }
	if len(fields) == 0 {
		return b.String(), nil
	}
	b.WriteString("\n| argument | type | default | meaning |\n|---|---|---|---|\n")
	for _, f := range fields {
		goName := v.Type().Field(f.Index).Name
		text := of.fields[goName]
		if text == "" {
			return "", fmt.Errorf("%s: the field %s.%s has no comment", s.name, v.Type(), goName)
		}
		fallback := defaultOf(v.Field(f.Index))
		if f.Required {
			fallback = "required"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", codes(append([]string{f.Name}, f.Aliases...)), kind(f.Type), fallback, cell(named(text, goName, f.Name)))
	}
	return b.String(), nil
}

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
		return "`yes`"
	case reflect.Pointer:
		return defaultOf(v.Elem())
	}
	return fmt.Sprintf("`%v`", v.Interface())
}

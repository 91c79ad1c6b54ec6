package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"farm/docs/reference"
	"farm/inventory/catalog"
)

// pages makes the pages, and reference.json, by file name, from the module at root.
func pages(root string) (map[string]string, error) {
	all, err := entries(root)
	if err != nil {
		return nil, err
	}
	text, err := encodeList(all)
	if err != nil {
		return nil, err
	}
	of := func(kind string) []reference.Entry {
		var list []reference.Entry
		for _, e := range all {
			if e.Kind == kind {
				list = append(list, e)
			}
		}
		return list
	}
	return map[string]string{
		"reference.json": text,
		"modules.md":     sections("Modules", "What tasks can do. Each name may also be written as `ansible.builtin.NAME`.", of(reference.Module)),
		"callbacks.md":   sections("Callbacks", "What prepares images, in a definition's `metadata.sources`. Relative paths are in the work folder of the preparation.", of(reference.Callback)),
		"keywords.md":    "# Keywords\n\nWhat may stand on plays, blocks and tasks beside the module.\n" + onTable("keyword", of(reference.Keyword)),
		"settings.md":    "# Settings\n\nVariables of inventories that steer farm itself. Every option of a command is told by `farm COMMAND --help`.\n" + onTable("variable", of(reference.Setting)),
		"expressions.md": expressions(of),
		"catalog.md":     catalogPage(),
	}, nil
}

// sections lists entries, each in a section of its own.
func sections(title, about string, list []reference.Entry) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n%s\n", title, about)
	for _, e := range list {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", e.Name, e.About)
		if len(e.Aliases) > 0 {
			fmt.Fprintf(&b, "\nAlso %s.\n", codes(e.Aliases))
		}
		for _, note := range e.Notes {
			fmt.Fprintf(&b, "\n%s\n", note)
		}
		if len(e.Arguments) > 0 {
			b.WriteString("\n| argument | type | default | meaning |\n|---|---|---|---|\n")
		}
		for _, a := range e.Arguments {
			fallback := a.Default
			if fallback != "" {
				fallback = "`" + fallback + "`"
			}
			if a.Required {
				fallback = "required"
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", codes(append([]string{a.Name}, a.Aliases...)), a.Type, fallback, cell(a.About))
		}
		if e.Example != "" {
			fmt.Fprintf(&b, "\n```text\n%s\n```\n", e.Example)
		}
	}
	return b.String()
}

// onTable lists entries with what they stand on.
func onTable(what string, list []reference.Entry) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n| %s | on | meaning |\n|---|---|---|\n", what)
	for _, e := range list {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", e.Name, e.On, cell(e.About))
	}
	return b.String()
}

func expressions(of func(kind string) []reference.Entry) string {
	var b strings.Builder
	b.WriteString("# Expressions\n\nWhat expressions and templates can use, with examples and what they give as JSON (`farm eval EXPR` prints it).\n")
	for _, part := range []struct{ kind, title string }{
		{reference.Filter, "Filters: `VALUE | NAME(ARGUMENTS)`"},
		{reference.Test, "Tests: `VALUE is NAME(ARGUMENTS)`"},
		{reference.Lookup, "Lookups: `lookup('NAME', TERMS)`, `query('NAME', TERMS)`"},
	} {
		fmt.Fprintf(&b, "\n## %s\n\n| name | gives | example | value |\n|---|---|---|---|\n", part.title)
		for _, e := range of(part.kind) {
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", cell(codes(append([]string{e.Name}, e.Aliases...))), cell(e.About), code(e.Example), code(e.Value))
		}
	}
	return b.String()
}

// code is text as code in a table; "" is nothing.
func code(text string) string {
	if text == "" {
		return ""
	}
	return cell("`" + strings.ReplaceAll(text, "\n", `\n`) + "`")
}

// encode is v as JSON on one line, readable as it is.
func encode(v any) (string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return strings.TrimSpace(b.String()), err
}

// encodeList is one entry a line, so that changes can be told.
func encodeList(list []reference.Entry) (string, error) {
	lines := make([]string, len(list))
	for i, e := range list {
		text, err := encode(e)
		if err != nil {
			return "", err
		}
		lines[i] = text
	}
	return "[\n" + strings.Join(lines, ",\n") + "\n]\n", nil
}

// catalogPage lists the built-in definitions; each begins with a comment that says what it is.
func catalogPage() string {
	var b strings.Builder
	b.WriteString("# Catalogue\n\nThe definitions that come with farm. `farm catalog show NAME` prints one; yours may extend them (`extends: NAME`).\n")
	for _, kind := range []string{"targets", "platforms"} {
		fmt.Fprintf(&b, "\n## %s\n\n| name | what |\n|---|---|\n", strings.ToUpper(kind[:1])+kind[1:])
		for _, name := range catalog.Names(kind) {
			text, _ := catalog.Read(kind, name)
			fmt.Fprintf(&b, "| `%s` | %s |\n", name, cell(comment(string(text))))
		}
	}
	return b.String()
}

// comment is the comment that a definition begins with.
func comment(text string) string {
	var words []string
	for line := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(line, "#")
		if !ok {
			break
		}
		words = append(words, strings.Fields(rest)...)
	}
	return strings.Join(words, " ")
}

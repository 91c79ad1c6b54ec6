package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"farm/callbacks"
	"farm/engine"
	"farm/engine/modules"
	"farm/inventory/catalog"
)

func modulesPage(root string) (string, error) {
	all, err := readComments(filepath.Join(root, "engine/modules"))
	if err != nil {
		return "", err
	}
	var list []subject
	for _, d := range modules.All() {
		s := subject{name: d.Name, aliases: d.Aliases, args: d.New()}
		if _, ok := s.args.(engine.FreeForm); ok {
			s.notes = append(s.notes, "May be written as text: `"+d.Name+": TEXT`.")
		}
		list = append(list, s)
	}
	return page("Modules", "What tasks can do. Each name may also be written as `ansible.builtin.NAME`.", list, all)
}

func callbacksPage(root string) (string, error) {
	all, err := readComments(filepath.Join(root, "callbacks"))
	if err != nil {
		return "", err
	}
	var list []subject
	for _, d := range callbacks.All() {
		list = append(list, subject{name: d.Name, aliases: d.Aliases, args: d.New()})
	}
	return page("Callbacks", "What prepares images, in a definition's `metadata.sources`. Relative paths are in the work folder of the preparation.", list, all)
}

// page lists subjects by name.
func page(title, about string, list []subject, all comments) (string, error) {
	slices.SortFunc(list, func(a, b subject) int { return strings.Compare(a.name, b.name) })
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n%s\n", title, about)
	for _, s := range list {
		text, err := section(s, all)
		if err != nil {
			return "", err
		}
		b.WriteString(text)
	}
	return b.String(), nil
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

package main

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"farm/docs/reference"
	"farm/inventory/source"
)

func newDocCommand(a *app) *cobra.Command {
	var asJSON bool
	var kind string
	cmd := &cobra.Command{
		Use:   "doc [NAME]",
		Short: "Explain a module, callback, keyword, filter, test, lookup or setting",
		Long: "Print what NAME does, with its arguments, their defaults and an example; without NAME all names by kind. A\n" +
			"name that is of several kinds is explained for each of them, unless --kind says which.",
		Example: "  farm doc copy\n  farm doc --kind filter\n  farm doc version --json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			list, err := documented(args, kind)
			if err != nil {
				return err
			}
			if asJSON {
				text, err := encode(list)
				if err != nil {
					return err
				}
				_, err = a.out.Write(text)
				return err
			}
			if len(args) == 0 {
				return listEntries(a.out, list)
			}
			for i, e := range list {
				if i > 0 {
					fmt.Fprintln(a.out)
				}
				if err := explain(a.out, e); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array of entries")
	cmd.Flags().StringVar(&kind, "kind", "", "only this `kind`: "+strings.Join(reference.Kinds[:], ", "))
	return cmd
}

// documented selects the entries that args and --kind ask for.
func documented(args []string, kind string) ([]reference.Entry, error) {
	if kind != "" && !slices.Contains(reference.Kinds[:], kind) {
		return nil, &usageError{fmt.Errorf("--kind is %q, not one of %s", kind, strings.Join(reference.Kinds[:], ", "))}
	}
	all := slices.DeleteFunc(reference.All(), func(e reference.Entry) bool { return kind != "" && e.Kind != kind })
	if len(args) == 0 {
		return all, nil
	}
	name := strings.TrimPrefix(strings.TrimPrefix(args[0], "ansible.builtin."), "ansible.legacy.")
	var found []reference.Entry
	var names []string
	for _, e := range all {
		mine := append([]string{e.Name}, e.Aliases...)
		names = append(names, mine...)
		if slices.Contains(mine, name) {
			found = append(found, e)
		}
	}
	if len(found) > 0 {
		return found, nil
	}
	if e := withLookup(all, name); e != nil {
		return e, nil
	}
	hint := source.DidYouMean(name, names)
	if hint == "" {
		hint = "`farm doc` lists all names"
	}
	what := "module, callback, keyword, filter, test, lookup or setting"
	if kind != "" {
		what = kind
	}
	return nil, &usageError{fmt.Errorf("no %s is called %q (%s)", what, name, hint)}
}

// withLookup is what explains with_NAME: the keyword and the lookup.
func withLookup(all []reference.Entry, name string) []reference.Entry {
	lookup, ok := strings.CutPrefix(name, "with_")
	if !ok {
		return nil
	}
	var found []reference.Entry
	known := false
	for _, e := range all {
		if e.Kind == reference.Lookup && e.Name == lookup {
			known = true
			found = append(found, e)
		} else if e.Name == "with_" {
			found = append(found, e)
		}
	}
	if !known {
		return nil
	}
	return found
}

func listEntries(w io.Writer, list []reference.Entry) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "KIND\tNAME\tABOUT")
	for _, e := range list {
		fmt.Fprintf(tw, "%s\t%s\t%s\n", e.Kind, e.Name, firstSentence(unmarked(e.About)))
	}
	return tw.Flush()
}

// firstSentence is text up to its first full stop, at most 90 characters.
func firstSentence(text string) string {
	text, _, _ = strings.Cut(text, ". ")
	text = strings.TrimSuffix(text, ".")
	if r := []rune(text); len(r) > 90 {
		text = string(r[:87]) + "..."
	}
	return text
}

var codeMark = regexp.MustCompile("`([^`]*)`")

// unmarked is Markdown as a terminal shows it.
func unmarked(text string) string { return codeMark.ReplaceAllString(text, "$1") }

// explain prints one entry.
func explain(w io.Writer, e reference.Entry) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  (%s", e.Name, e.Kind)
	if e.On != "" {
		fmt.Fprintf(&b, " on %s", e.On)
	}
	b.WriteString(")\n\n")
	paragraph(&b, "  ", e.About)
	if len(e.Aliases) > 0 {
		paragraph(&b, "  ", "Also "+strings.Join(e.Aliases, ", ")+".")
	}
	for _, note := range e.Notes {
		paragraph(&b, "  ", note)
	}
	if len(e.Arguments) > 0 {
		b.WriteString("\nArguments:\n")
	}
	for _, a := range e.Arguments {
		fmt.Fprintf(&b, "  %s", strings.Join(append([]string{a.Name}, a.Aliases...), ", "))
		if a.Type != "" {
			fmt.Fprintf(&b, "  (%s)", a.Type)
		}
		switch {
		case a.Required:
			b.WriteString("  required")
		case a.Default != "":
			fmt.Fprintf(&b, "  default %s", a.Default)
		}
		b.WriteByte('\n')
		paragraph(&b, "      ", a.About)
	}
	if e.Example != "" {
		fmt.Fprintf(&b, "\nExample:\n  %s\n", strings.ReplaceAll(e.Example, "\n", "\n  "))
	}
	if e.Value != "" {
		fmt.Fprintf(&b, "  gives %s\n", e.Value)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// paragraph prints text in lines of at most 100 characters.
func paragraph(b *strings.Builder, prefix, text string) {
	line := prefix
	for _, word := range strings.Fields(unmarked(text)) {
		if len(line) > len(prefix) && len(line)+1+len(word) > 100 {
			b.WriteString(line + "\n")
			line = prefix
		}
		if len(line) > len(prefix) {
			line += " "
		}
		line += word
	}
	b.WriteString(line + "\n")
}

package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"farm/inventory/catalog"
	"farm/inventory/source"
	"farm/inventory/value"
)

// listedDefinition is an entry of `farm catalog list --json`.
type listedDefinition struct {
	Kind  string `json:"kind"` // platform or target
	Name  string `json:"name"`
	About string `json:"about"`
}

var catalogKinds = []string{"targets", "platforms"}

func newCatalogCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "catalog",
		Short: "Show the platforms and targets that come with farm",
	}
	cmd.AddCommand(a.catalogList(), a.catalogShow())
	return cmd
}

func (a *app) catalogList() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the built-in targets and platforms",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			all := []listedDefinition{}
			for _, kind := range catalogKinds {
				for _, name := range catalog.Names(kind) {
					text, _ := catalog.Read(kind, name)
					all = append(all, listedDefinition{strings.TrimSuffix(kind, "s"), name, about(text)})
				}
			}
			if asJSON {
				text, err := encode(all)
				if err != nil {
					return err
				}
				_, err = a.out.Write(text)
				return err
			}
			w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "KIND\tNAME\tABOUT")
			for _, d := range all {
				fmt.Fprintf(w, "%s\t%s\t%s\n", d.Kind, d.Name, d.About)
			}
			return w.Flush()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	return cmd
}

// about is the first sentence of a definition's comment.
func about(text []byte) string {
	var words []string
	for line := range strings.Lines(string(text)) {
		comment, ok := strings.CutPrefix(line, "#")
		if !ok {
			break
		}
		words = append(words, strings.TrimSpace(comment))
	}
	first, _, _ := strings.Cut(strings.Join(words, " "), ". ")
	return strings.TrimSuffix(first, ".")
}

func (a *app) catalogShow() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show NAME",
		Short: "Print a built-in definition",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			kind, text, err := findInCatalog(args[0])
			if err != nil {
				return err
			}
			if !asJSON {
				_, err := a.out.Write(text)
				return err
			}
			f, err := source.Parse("catalog:"+kind+"/"+args[0], text)
			if err != nil {
				return err
			}
			v, err := value.FromNode(f, f.Root)
			if err != nil {
				return err
			}
			out, err := encode(v)
			if err != nil {
				return err
			}
			_, err = a.out.Write(out)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func findInCatalog(name string) (kind string, text []byte, err error) {
	var names []string
	for _, kind := range catalogKinds {
		if text, ok := catalog.Read(kind, name); ok {
			return kind, text, nil
		}
		names = append(names, catalog.Names(kind)...)
	}
	hint := source.DidYouMean(name, names)
	if hint == "" {
		hint = "`farm catalog list` shows them"
	}
	return "", nil, &usageError{fmt.Errorf("no platform or target %q in the catalogue (%s)", name, hint)}
}

package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"farm/engine"
)

func newCacheWhyCommand(a *app) *cobra.Command {
	flags := &runFlags{}
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "why ID [INVENTORY]",
		Short: "Say why a disk state was made, or is or is not used",
		Long: "Name the first thing that moved, with its old and new value. ID is a layer's, or the start of one: it is held\n" +
			"against the former layer of the same VM. Or ID is a VM's of INVENTORY, and its states are held against what the\n" +
			"inventory asks for now. Values that may hold a secret, and long ones, are told by their digests.",
		Example: "  farm cache why 3f9c2a\n" +
			"  farm cache why vde/debian_12/amd64 inventory.yaml --vars vde.yaml",
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 && strings.Contains(args[0], "/") {
				flags.limit = args[0]
				return a.plan(cmd.Context(), args[1], flags, asJSON)
			}
			return a.withCaches(cmd.Context(), args[1:], &flags.inventoryFlags, func(all []cached) error {
				found, err := byID(all, args[0])
				for _, c := range found {
					if err == nil {
						err = a.why(cmd.Context(), c, asJSON)
					}
				}
				return err
			})
		},
	}
	flags.inventoryFlags.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// origin is why a layer was made.
type origin struct {
	Host    string    `json:"host"`
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	VM      string    `json:"vm"`
	Created time.Time `json:"created"`
	Former  string    `json:"former,omitempty"` // the layer that it took the place of
	Moved   *movement `json:"moved,omitempty"`
}

// why prints why a layer was made.
func (a *app) why(ctx context.Context, c cached, asJSON bool) error {
	if c.Kind != "layer" {
		return &usageError{fmt.Errorf("%s is a download, which depends on nothing", c.short())}
	}
	layers, err := c.on.layers.List(ctx)
	if err != nil {
		return err
	}
	return a.printOrigin(originOf(c, layers), asJSON)
}

// originOf holds a layer against the former one of its VM.
func originOf(c cached, layers []engine.Layer) origin {
	o := origin{Host: c.Host, ID: c.ID, Name: c.Name, VM: c.VM, Created: c.Created}
	w := wanted{name: c.Name, vm: c.VM, parent: c.Parent}
	var former []engine.Layer
	for _, l := range layers {
		switch {
		case l.Key == c.ID:
			w.inputs = l.Inputs
		case l.Key == c.Parent:
			w.base = l.Inputs
		}
		if l.Key != c.ID && !l.Created.After(c.Created) {
			former = append(former, l)
		}
	}
	if from := w.nearest(former); from != nil {
		o.Former = from.Key
		if m, ok := w.moved(*from, layers); ok {
			o.Moved = &m
		}
	}
	return o
}

func (a *app) printOrigin(o origin, asJSON bool) error {
	if asJSON {
		return a.printJSON(o)
	}
	text := "it is the first that is kept of this state and VM"
	switch {
	case o.Moved != nil:
		text = fmt.Sprintf("it came after %.12s because %s", o.Former, o.Moved)
	case o.Former != "":
		text = fmt.Sprintf("it differs from %.12s in nothing that is recorded", o.Former)
	}
	_, err := fmt.Fprintf(a.out, "%s: layer %.12s (%s) of %s, made at %s: %s\n", o.Host, o.ID, o.Name, o.VM, o.Created.Local().Format(time.DateTime), text)
	return err
}

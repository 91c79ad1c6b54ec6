package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/spf13/cobra"

	"farm/engine"
	"farm/engine/runner"
	"farm/inventory"
	"farm/inventory/source"
	"farm/inventory/value"
)

// inventoryNames are the files that a folder is searched for, in order.
var inventoryNames = []string{"inventory.yaml", "inventory.yml", "hosts.yaml", "hosts.yml"}

// load reads the inventory at path; in a folder, the first of inventoryNames.
func (f *inventoryFlags) load(path string) (*inventory.Inventory, error) {
	if path == "" {
		return nil, &usageError{errors.New("the inventory's name is empty")}
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		if path, err = inventoryIn(path); err != nil {
			return nil, err
		}
	}
	return inventory.Load(path, f.options())
}

func inventoryIn(dir string) (string, error) {
	for _, name := range inventoryNames {
		if file := filepath.Join(dir, name); isFile(file) {
			return file, nil
		}
	}
	return "", engine.Blamef(engine.UserFault, "%s: a folder without %s", dir, strings.Join(inventoryNames, ", "))
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// expandOptions are what definitions may use before any hypervisor is asked.
func (a *app) expandOptions(inv *inventory.Inventory) inventory.ExpandOptions {
	return inventory.ExpandOptions{Run: a.definitionRunner(inv)}
}

// expand lists the VMs that limit selects; none is errNothingSelected with a hint.
func (a *app) expand(ctx context.Context, inv *inventory.Inventory, limit string) ([]inventory.VM, error) {
	o := a.expandOptions(inv)
	o.Limit = limit
	vms, err := inv.Expand(ctx, o)
	if errors.Is(err, inventory.ErrPattern) {
		return nil, &usageError{fmt.Errorf("--limit: %w", err)}
	}
	if err != nil || len(vms) > 0 {
		return vms, err
	}
	o.Limit = ""
	all, err := inv.Expand(ctx, o)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%w: the inventory asks for no VM; config needs a list, or permutations of platforms and targets", errNothingSelected)
	}
	var names []string
	for _, vm := range all {
		names = append(append(names, vm.ID, vm.Name), vm.Groups...)
	}
	hint := ""
	if !strings.ContainsAny(limit, "!&:,*?[~") { // a name, no pattern
		hint = source.DidYouMean(limit, names)
	}
	if hint == "" {
		hint = "such as -l " + all[0].ID
	}
	return nil, fmt.Errorf("%w: --limit %q matches none of %d %s (%s)", errNothingSelected, limit, len(all), plural(len(all), "VM"), hint)
}

func newInventoryCommand(a *app) *cobra.Command {
	var flags inventoryFlags
	var list, graph, asJSON bool
	var host string
	cmd := &cobra.Command{
		Use:   "inventory INVENTORY --list|--host HOST|--graph",
		Short: "Print an inventory's hosts, groups and variables as ansible-inventory does",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := exclusive(cmd, "list", "host", "graph"); err != nil {
				return err
			}
			inv, err := flags.load(args[0])
			if err != nil {
				return err
			}
			switch {
			case host != "":
				if !inv.HasHost(host) {
					return &usageError{fmt.Errorf("no host %q in %s%s", host, args[0], bracket(source.DidYouMean(host, inv.HostNames())))}
				}
				return writeSorted(a.out, inv.RawHostVars(host))
			case graph:
				_, err := io.WriteString(a.out, inv.Graph())
				return err
			}
			return writeSorted(a.out, inv.List())
		},
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&list, "list", false, "all groups and hosts, as JSON (the default)")
	cmd.Flags().StringVar(&host, "host", "", "the variables of one `host`, as JSON")
	cmd.Flags().BoolVar(&graph, "graph", false, "a drawing of the groups")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, as --list and --host always do")
	return cmd
}

func bracket(hint string) string {
	if hint == "" {
		return ""
	}
	return " (" + hint + ")"
}

// writeSorted prints v as JSON with four spaces and sorted keys, as ansible-inventory does.
func writeSorted(w io.Writer, v any) error {
	text, err := encode(sortKeys(v))
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, bytes.TrimSpace(text), "", "    "); err != nil {
		return err
	}
	b.WriteByte('\n')
	_, err = b.WriteTo(w)
	return err
}

// encode is json.Marshal without HTML escapes.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return b.Bytes(), err
}

func sortKeys(v any) any {
	switch t := v.(type) {
	case []any:
		list := make([]any, len(t))
		for i, item := range t {
			list[i] = sortKeys(item)
		}
		return list
	case *value.Dict:
		type pair struct {
			name string
			key  any
		}
		var pairs []pair
		for k := range t.All() {
			pairs = append(pairs, pair{fmt.Sprint(k), k})
		}
		sort.Slice(pairs, func(i, j int) bool { return pairs[i].name < pairs[j].name })
		out := value.NewDict()
		for _, p := range pairs {
			item, _ := t.Get(p.key)
			out.Set(p.key, sortKeys(item))
		}
		return out
	case string:
		return runner.MaskURLs(t)
	case value.Template:
		t.Text = runner.MaskURLs(t.Text)
		return t
	}
	return v
}

// mask returns v with the values of secret keys replaced at any depth. Files that
// hold keys are shown: their paths are no secret.
func mask(v any) any {
	switch t := v.(type) {
	case []any:
		list := make([]any, len(t))
		for i, item := range t {
			list[i] = mask(item)
		}
		return list
	case *value.Dict:
		out := value.NewDict()
		for k, item := range t.All() {
			name, _ := k.(string)
			if runner.Secret(name) && item != nil && item != "" {
				item = "********"
			}
			out.Set(k, mask(item))
		}
		return out
	}
	return v
}

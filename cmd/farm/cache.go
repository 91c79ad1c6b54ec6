package main

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"farm/engine"
	"farm/engine/images"
)

func newCacheCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cache",
		Short: "Look at the disk states and downloads that hypervisors keep, and remove them",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newCacheListCommand(a), newCacheWhyCommand(a), newCacheRmCommand(a), newCachePruneCommand(a))
	return cmd
}

// cached is a layer or a download of a hypervisor, as `farm cache list --json` prints it.
type cached struct {
	Host    string    `json:"host"`
	Kind    string    `json:"kind"` // layer or download
	ID      string    `json:"id"`   // of a layer 64 hex digits, of a download its name
	Name    string    `json:"name"` // base, clean or PROJECT.REVISION.init
	VM      string    `json:"vm,omitempty"`
	Owner   string    `json:"owner,omitempty"`
	Parent  string    `json:"parent,omitempty"`
	Users   []string  `json:"users"`                  // machines whose disks stand on it
	Bytes   int64     `json:"bytes"`                  // without what it stands on
	Memory  int64     `json:"memory_bytes,omitempty"` // of them, a guest's memory
	Created time.Time `json:"created"`
	Used    time.Time `json:"used"`

	on       *hypervisor
	download images.Download
}

// withCaches calls f with what the hypervisors of an inventory keep; of this machine's own where args are
// empty. A hypervisor that is down is an error in the end, but keeps f from nothing where another has something.
func (a *app) withCaches(ctx context.Context, args []string, flags *inventoryFlags, f func(all []cached) error) error {
	hosts, err := a.hostsOf(ctx, args, flags)
	if err != nil {
		return err
	}
	defer closeAll(hosts)
	all, failed := a.caches(ctx, hosts)
	if err := f(all); err != nil && (len(all) > 0 || failed == nil) {
		return err
	}
	return failed
}

// caches lists what hypervisors keep, layers first, in the order in which they were made. A
// hypervisor that is down is told and gives an error beside what the others have.
func (a *app) caches(ctx context.Context, hosts []*hypervisor) (all []cached, failed error) {
	all = []cached{}
	for _, h := range hosts {
		if h.err != nil {
			fmt.Fprintf(a.err, "farm: %s: not looked at: %v\n", h.Name, h.err)
			failed = engine.Blame(engine.FarmFault, h.err)
			continue
		}
		list, err := h.cached(ctx)
		if err != nil {
			return nil, engine.Blame(engine.FarmFault, fmt.Errorf("%s: %w", h.Name, err))
		}
		all = append(all, list...)
	}
	return all, failed
}

func (h *hypervisor) cached(ctx context.Context) ([]cached, error) {
	layers, err := h.layers.Stored(ctx)
	if err != nil {
		return nil, err
	}
	fetched, err := h.layers.Fetched(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]cached, 0, len(layers)+len(fetched))
	for _, l := range layers {
		memory := int64(0)
		if l.Memory != nil {
			memory = l.Memory.Bytes
		}
		users := []string{}
		for _, dir := range l.Users {
			if name := path.Base(dir); !slices.Contains(users, name) {
				users = append(users, name)
			}
		}
		all = append(all, cached{Host: h.Name, Kind: "layer", ID: l.Key, Name: l.Name, VM: l.VM, Owner: l.Owner, Parent: l.Parent, Users: users,
			Bytes: l.Bytes, Memory: memory, Created: l.Created, Used: l.Used, on: h})
	}
	for _, d := range fetched {
		all = append(all, cached{Host: h.Name, Kind: "download", ID: d.Names[0], Name: "download", Users: []string{}, Bytes: d.Bytes, Created: d.Created, Used: d.Used,
			on: h, download: d})
	}
	return all, nil
}

func newCacheListCommand(a *app) *cobra.Command {
	var flags inventoryFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list [INVENTORY]",
		Short: "List the disk states and downloads that are kept",
		Long: "List the disk states and downloads that the hypervisors of INVENTORY keep; without it this machine's own:\n" +
			"their size without what they stand on, how much of it is a guest's memory, their age, who has them, and when they were used last.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withCaches(cmd.Context(), args, &flags, func(all []cached) error {
				return a.printCaches(all, asJSON, time.Now())
			})
		},
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	return cmd
}

func (a *app) printCaches(all []cached, asJSON bool, now time.Time) error {
	if asJSON {
		return a.printJSON(all)
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "HOST\tID\tNAME\tSIZE\tMEMORY\tAGE\tUSED\tOWNER\tVM\tUSERS")
	total := int64(0)
	for _, c := range all {
		total += c.Bytes
		memory := "-"
		if c.Memory > 0 {
			memory = sizeText(c.Memory)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s ago\t%s\t%s\t%s\n", c.Host, c.short(), c.Name, sizeText(c.Bytes), memory, age(now.Sub(c.Created)), age(now.Sub(c.Used)),
			dash(c.Owner), dash(c.VM), dash(strings.Join(c.Users, ",")))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.out, "%d kept, %s\n", len(all), sizeText(total))
	return err
}

// printJSON prints v with an indent.
func (a *app) printJSON(v any) error {
	text, err := encode(v)
	if err == nil {
		_, err = a.out.Write(text)
	}
	return err
}

// short is the start of an id that tells layers apart.
func (c cached) short() string {
	if c.Kind == "layer" {
		return c.ID[:min(12, len(c.ID))]
	}
	return c.ID[:min(23, len(c.ID))]
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// sizeText is a size in binary units, with one digit behind the point.
func sizeText(bytes int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	v, i := float64(bytes), 0
	for v >= 1024 && i < len(units)-1 {
		v, i = v/1024, i+1
	}
	if i == 0 {
		return fmt.Sprintf("%d B", bytes)
	}
	return fmt.Sprintf("%.1f %s", v, units[i])
}

// age is a time in its largest unit: "45s", "12m", "3h", "8d".
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", max(0, int(d.Seconds())))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// byID finds what an id, or the start of one of at least four characters, means.
func byID(all []cached, id string) ([]cached, error) {
	var found []cached
	for _, c := range all {
		if c.ID == id || len(id) >= 4 && strings.HasPrefix(c.ID, id) {
			found = append(found, c)
		}
	}
	if len(found) == 0 {
		return nil, &usageError{fmt.Errorf("nothing that is kept has the id %q; `farm cache list` shows the ids", id)}
	}
	for _, c := range found {
		if c.ID != found[0].ID {
			return nil, &usageError{fmt.Errorf("%q is the start of several ids, among them %s and %s", id, found[0].ID, c.ID)}
		}
	}
	return found, nil
}

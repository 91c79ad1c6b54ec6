package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"farm/engine"
	"farm/engine/images"
)

func newCacheRmCommand(a *app) *cobra.Command {
	var flags inventoryFlags
	var dry bool
	cmd := &cobra.Command{
		Use:   "rm ID [INVENTORY]",
		Short: "Remove one disk state or download that is kept",
		Long: "Remove the disk state or download with an ID of `farm cache list`, or the start of one, from the hypervisors of\n" +
			"INVENTORY; without it from this machine's own. What a machine uses, or another state stands on, stays.",
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withCaches(cmd.Context(), args[1:], &flags, func(all []cached) error {
				found, err := byID(all, args[0])
				if err != nil {
					return err
				}
				for _, c := range found {
					if why := held(c, all); why != "" {
						return engine.Blamef(engine.UserFault, "%s: %s %s stays: %s", c.Host, c.Kind, c.short(), why)
					}
				}
				return a.discard(cmd.Context(), found, dry, false)
			})
		},
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only say what would be removed")
	return cmd
}

func newCachePruneCommand(a *app) *cobra.Command {
	var flags inventoryFlags
	var maxAge, maxSize string
	var dry, asJSON bool
	cmd := &cobra.Command{
		Use:   "prune [INVENTORY]",
		Short: "Remove disk states and downloads by age and size",
		Long: "Remove disk states and downloads that were not used for --max-age, and, on each hypervisor, those that were used\n" +
			"longest ago until --max-size is left. What a machine uses, or a state that stays stands on, stays, and so does\n" +
			"what was used in the last minutes, which a run may be about to use.\n" +
			"On the hypervisors of INVENTORY; without it on this machine's own.",
		Example: "  farm cache prune --max-age 30d --max-size 50G",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			limits, err := pruneLimits(maxAge, maxSize)
			if err != nil {
				return err
			}
			return a.withCaches(cmd.Context(), args, &flags, func(all []cached) error {
				return a.discard(cmd.Context(), prunable(all, limits, time.Now()), dry, asJSON)
			})
		},
	}
	flags.add(cmd)
	fl := cmd.Flags()
	fl.StringVar(&maxAge, "max-age", "", "remove what was not used for this `time`, such as 30d or 12h")
	fl.StringVar(&maxSize, "max-size", "", "keep at most this `size` on each hypervisor, such as 50G")
	fl.BoolVar(&dry, "dry-run", false, "only say what would be removed")
	fl.BoolVar(&asJSON, "json", false, "print what is removed as a JSON array")
	return cmd
}

// limits are what prune keeps to; zero = no limit.
type limits struct {
	age   time.Duration
	bytes int64
}

func pruneLimits(maxAge, maxSize string) (l limits, err error) {
	if maxAge == "" && maxSize == "" {
		return l, &usageError{errors.New("what is to be removed? give --max-age or --max-size")}
	}
	if maxAge != "" {
		if l.age, err = parseAge(maxAge); err != nil {
			return l, &usageError{fmt.Errorf("--max-age: %w", err)}
		}
	}
	if maxSize != "" {
		if l.bytes, err = images.ParseSize(maxSize); err != nil {
			return l, &usageError{fmt.Errorf("--max-size: %w", err)}
		}
	}
	return l, nil
}

// recent reports whether an entry may be in use though no machine stands on it yet: a run fetches
// first and reads afterwards, and finds a layer before it makes disks over it.
func recent(c cached, now time.Time) bool {
	if c.Kind == "download" {
		return now.Sub(c.Used) < time.Hour
	}
	return now.Sub(c.Used) < 10*time.Minute
}

// prunable are the entries that go, in an order in which they can: what stands on another first.
func prunable(all []cached, l limits, now time.Time) (gone []cached) {
	left := slices.Clone(all)
	slices.SortStableFunc(left, func(a, b cached) int { return a.Used.Compare(b.Used) })
	for _, host := range hostsIn(all) {
		for {
			total := int64(0)
			for _, c := range left {
				if c.Host == host {
					total += c.Bytes
				}
			}
			i := slices.IndexFunc(left, func(c cached) bool {
				old := l.age > 0 && now.Sub(c.Used) > l.age
				return c.Host == host && (old || l.bytes > 0 && total > l.bytes) && held(c, left) == "" && !recent(c, now)
			})
			if i < 0 {
				break
			}
			gone = append(gone, left[i])
			left = slices.Delete(left, i, i+1)
		}
	}
	return gone
}

func hostsIn(all []cached) (names []string) {
	for _, c := range all {
		if !slices.Contains(names, c.Host) {
			names = append(names, c.Host)
		}
	}
	return names
}

// held says why an entry has to stay among others; "" = it can go.
func held(c cached, others []cached) string {
	if c.Kind != "layer" {
		return ""
	}
	if len(c.Users) > 0 {
		return "the disks of " + strings.Join(c.Users, ", ") + " stand on it"
	}
	for _, o := range others {
		if o.Host == c.Host && o.Parent == c.ID {
			return fmt.Sprintf("layer %s (%s) stands on it; remove that first", o.short(), o.Name)
		}
	}
	return ""
}

// discard removes entries and tells about each. What came into use meanwhile stays, and is told.
func (a *app) discard(ctx context.Context, list []cached, dry, asJSON bool) error {
	var failed error
	gone := []cached{}
	bytes := int64(0)
	for _, c := range list {
		if !dry {
			err := c.remove(ctx)
			if err != nil {
				fmt.Fprintf(a.err, "farm: %s: %v\n", c.Host, err)
				failed = cmp.Or(failed, err)
				continue
			}
		}
		gone, bytes = append(gone, c), bytes+c.Bytes
		fmt.Fprintf(a.err, "%s: %s %s (%s), used %s ago\n", c.Host, c.Kind, c.short(), c.Name, age(time.Since(c.Used)))
	}
	if asJSON {
		if err := a.printJSON(gone); err != nil {
			return err
		}
		return failed
	}
	word := "removed"
	if dry {
		word = "to be removed"
	}
	fmt.Fprintf(a.out, "%d %s, %s\n", len(gone), word, sizeText(bytes))
	return failed
}

func (c cached) remove(ctx context.Context) error {
	if c.Kind == "download" {
		return c.on.layers.Forget(ctx, c.download)
	}
	err := c.on.layers.Remove(ctx, c.ID)
	if errors.Is(err, engine.ErrNotExist) {
		return nil
	}
	return err
}

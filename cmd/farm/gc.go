package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"farm/engine"
	"farm/engine/store"
	"farm/inventory"
)

func newGCCommand(a *app) *cobra.Command {
	var invOpts inventoryFlags
	var dry bool
	cmd := &cobra.Command{
		Use:   "gc [INVENTORY]",
		Short: "Remove what no run owns any more",
		Long: "Remove machines and their files that a run left behind because it was cut off, and machines that were\n" +
			"kept and whose time is over, on the hypervisors of INVENTORY; without it on this machine's own.\n" +
			"Nothing that farm did not make is touched.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			hosts, err := a.hostsOf(cmd.Context(), args, &invOpts)
			if err != nil {
				return err
			}
			defer closeAll(hosts)
			return a.gc(cmd.Context(), hosts, dry)
		},
	}
	invOpts.add(cmd)
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only say what would be removed")
	return cmd
}

// hostsOf opens the hypervisors of an inventory, or the local one.
func (a *app) hostsOf(ctx context.Context, args []string, flags *inventoryFlags) ([]*hypervisor, error) {
	list := []inventory.Hypervisor{{Name: "localhost", Connection: "local", URI: "qemu:///session"}}
	if len(args) > 0 {
		inv, err := flags.load(args[0])
		if err != nil {
			return nil, err
		}
		if list, err = inv.Hypervisors(); err != nil {
			return nil, err
		}
	}
	return a.openHosts(ctx, list), nil
}

// gc removes orphans on hosts and tells about each.
func (a *app) gc(ctx context.Context, hosts []*hypervisor, dry bool) error {
	s, err := a.openStore()
	if err != nil {
		return err
	}
	defer s.Close()
	live, err := liveRuns(ctx, s)
	if err != nil {
		return err
	}
	var failed error
	removed := 0
	for _, h := range hosts {
		if h.err != nil {
			fmt.Fprintf(a.err, "farm: %s: not looked at: %v\n", h.Name, h.err)
			failed = engine.Blame(engine.FarmFault, h.err)
			continue
		}
		n, err := a.gcHost(ctx, s, h, live, dry)
		removed += n
		if err == nil {
			n, err = a.sweep(ctx, h, dry)
			removed += n
		}
		if err != nil {
			return engine.Blame(engine.FarmFault, fmt.Errorf("%s: %w", h.Name, err))
		}
	}
	word := "removed"
	if dry {
		word = "to be removed"
	}
	fmt.Fprintf(a.out, "%d %s\n", removed, word)
	return failed
}

// gcHost removes a host's orphaned machines, then the files and records of those that
// are gone.
func (a *app) gcHost(ctx context.Context, s *store.Store, h *hypervisor, live map[string]bool, dry bool) (removed int, err error) {
	machines, err := h.host.Machines(ctx)
	if err != nil {
		return 0, err
	}
	records, err := recordsOf(ctx, s)
	if err != nil {
		return 0, err
	}
	used := map[string]bool{}
	for _, m := range machines {
		o := m.Owner()
		used[m.Name()], used[path.Base(o.Dir)] = true, true
		r := records[m.Name()]
		if keeps(r, time.Now()) {
			if !o.Keep && !dry {
				a.markKept(ctx, s, h, m, r)
			}
			continue
		}
		why := orphaned(o, live, a.user(), time.Now())
		if why == "" {
			continue
		}
		fmt.Fprintf(a.err, "%s: %s of %s: %s\n", h.Name, m.Name(), o.VM, why)
		removed++
		if dry {
			continue
		}
		if err := a.removeMachine(ctx, s, h, m); err != nil {
			return removed, err
		}
	}
	n, err := a.gcRecords(ctx, s, h, records, used, live, dry)
	return removed + n, err
}

// sweep removes the images that killed runs left half made.
func (a *app) sweep(ctx context.Context, h *hypervisor, dry bool) (removed int, err error) {
	swept, err := h.layers.Sweep(ctx, dry)
	for _, name := range swept {
		fmt.Fprintf(a.err, "%s: %s: the run that made this image was ended\n", h.Name, path.Join(h.layers.Dir(), "tmp", name))
	}
	return len(swept), err
}

// orphaned says why a machine can go, "" if somebody still owns it. A run that is not
// in runs may go on under another state folder: only its lease says when it is over.
func orphaned(o engine.Owner, runs map[string]bool, me string, now time.Time) string {
	live, known := runs[o.Run]
	switch {
	case o.User == me && live:
		return ""
	case o.Keep && now.Before(o.Expires):
		return ""
	case o.Keep:
		return "kept until " + o.Expires.Local().Format(time.DateTime)
	case o.User == me && known:
		return "its run " + o.Run + " is over"
	case !o.Expires.IsZero() && now.After(o.Expires):
		return "its lease ended at " + o.Expires.Local().Format(time.DateTime)
	}
	return ""
}

func (a *app) removeMachine(ctx context.Context, s *store.Store, h *hypervisor, m engine.Machine) error {
	if err := m.Remove(ctx); err != nil {
		return fmt.Errorf("remove %q: %w", m.Name(), err)
	}
	if err := h.removeFolder(ctx, m.Owner().Dir); err != nil {
		return err
	}
	return a.gone(s, m.Name())
}

func (h *hypervisor) machinesDir() string { return path.Join(h.dir, "machines") }

// removeFolder deletes a machine's folder, and nothing outside farm's own.
func (h *hypervisor) removeFolder(ctx context.Context, dir string) error {
	if path.Dir(path.Clean(dir)) != h.machinesDir() {
		return fmt.Errorf("%q is not below %s; left alone", dir, h.machinesDir())
	}
	_, err := h.conn.Exec(ctx, engine.Cmd{Argv: []string{"rm", "-rf", "--", dir}})
	return err
}

// liveRuns are all runs that the store knows: true if the process is still there.
func liveRuns(ctx context.Context, s *store.Store) (map[string]bool, error) {
	runs, err := s.Runs(ctx, 0)
	if err != nil {
		return nil, err
	}
	live := map[string]bool{}
	for _, r := range runs {
		live[r.ID] = r.Ended.IsZero() && locked(filepath.Join(r.Dir, lockName))
	}
	return live, nil
}

// lockName is the file in a run's folder that its process holds a lock on.
const lockName = "lock"

// locked reports whether a process holds the lock of a run. Where that cannot be told
// the run counts as alive: its machines are not ours to end.
func locked(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	defer f.Close()
	return syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) != nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"farm/engine"
	"farm/engine/store"
	"farm/inventory"
)

func newGCCommand(a *app) *cobra.Command {
	var invOpts inventoryFlags
	var dry, asJSON bool
	cmd := &cobra.Command{
		Use:   "gc [INVENTORY]",
		Short: "Remove what no run owns any more",
		Long: "Remove machines and their files that a run left behind because it was cut off, machines that were kept\n" +
			"and whose time is over, images left half made with the processes that still make them, programs that\n" +
			"image sources left running, and ports of machines that are gone, on the hypervisors of INVENTORY;\n" +
			"without it on this machine's own.\n" +
			"Nothing that farm did not make is touched, and nothing of another user, controller or FARM_HOME\n" +
			"whose lease is not over.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			hosts, err := a.hostsOf(cmd.Context(), args, &invOpts)
			if err != nil {
				return err
			}
			defer closeAll(hosts)
			return a.gc(cmd.Context(), hosts, dry, asJSON)
		},
	}
	invOpts.add(cmd)
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only say what would be removed")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print what is removed as a JSON array")
	return cmd
}

// leftover is what no run owns any more, as `farm gc --json` prints it.
type leftover struct {
	Host string `json:"host"`
	Kind string `json:"kind"` // machine, files, record, image, programs or port
	Name string `json:"name"` // of the machine; of an image its folder, and of programs their image's; of a port its number
	VM   string `json:"vm,omitempty"`
	Why  string `json:"why"`
}

// finds tells about a leftover and adds it to list. label is what people are told of.
func (a *app) finds(list *[]leftover, l leftover, label string) {
	fmt.Fprintf(a.err, "%s: %s: %s\n", l.Host, label, l.Why)
	*list = append(*list, l)
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
func (a *app) gc(ctx context.Context, hosts []*hypervisor, dry, asJSON bool) error {
	s, err := a.openStore()
	if err != nil {
		return err
	}
	defer s.Close()
	var failed []error
	removed := []leftover{}
	for _, h := range hosts {
		if h.err != nil {
			again := "; nothing of it is forgotten: `farm gc` again once it answers"
			if h.Locked != "" {
				again = ""
			}
			fmt.Fprintf(a.err, "farm: %s: not looked at: %v%s\n", h.Name, h.err, again)
			failed = append(failed, h.err)
			continue
		}
		found, err := a.gcAll(ctx, s, h, dry)
		removed = append(removed, found...)
		if err != nil {
			fmt.Fprintf(a.err, "farm: %s: %v; `farm gc` again goes on with it\n", h.Name, err)
			failed = append(failed, err)
		}
	}
	switch {
	case asJSON:
		if err := a.printJSON(removed); err != nil {
			return err
		}
	case dry:
		fmt.Fprintf(a.out, "%d to be removed\n", len(removed))
	default:
		fmt.Fprintf(a.out, "%d removed\n", len(removed))
	}
	if len(failed) > 0 {
		return &exitError{exitStatus(engine.Blame(engine.FarmFault, errors.Join(failed...)))}
	}
	return nil
}

// gcAll removes everything on a host that nobody owns any more. Where it fails, what was
// removed until then is returned too.
func (a *app) gcAll(ctx context.Context, s *store.Store, h *hypervisor, dry bool) ([]leftover, error) {
	runs, err := knownRuns(ctx, s, time.Now())
	if err != nil {
		return nil, err
	}
	removed, err := a.gcHost(ctx, s, h, runs, dry)
	if err != nil {
		return removed, err
	}
	for _, more := range []func(context.Context, *hypervisor, bool) ([]leftover, error){a.sweep, a.dropPorts} {
		found, err := more(ctx, h, dry)
		removed = append(removed, found...)
		if err != nil {
			return removed, err
		}
	}
	return removed, nil
}

// world is what a host has and what is known of it.
type world struct {
	runs    map[string]runState
	records map[string]store.Machine
	folders map[string]folder // of machines
	used    map[string]bool   // names and folders of machines that are there
}

// gcHost removes a host's orphaned machines, then the files and records of those that
// are gone.
func (a *app) gcHost(ctx context.Context, s *store.Store, h *hypervisor, runs map[string]runState, dry bool) (removed []leftover, err error) {
	w := world{runs: runs, used: map[string]bool{}}
	// Folders first: one that is made meanwhile, for a machine that is not listed yet, is not seen.
	if w.folders, err = h.folders(ctx); err != nil {
		return nil, err
	}
	machines, err := h.host.Machines(ctx)
	if err != nil {
		return nil, err
	}
	if w.records, err = recordsOf(ctx, s); err != nil {
		return nil, err
	}
	for _, m := range machines {
		o := m.Owner()
		w.used[m.Name()], w.used[path.Base(o.Dir)] = true, true
		r := w.records[m.Name()]
		if keeps(r, time.Now()) {
			if !o.Keep && !dry {
				a.markKept(ctx, s, h, m, r)
			}
			continue
		}
		why := orphaned(o, runs, a.user(), time.Now())
		if why == "" {
			continue
		}
		if !dry {
			if err := a.removeMachine(ctx, s, h, m); err != nil {
				return removed, err
			}
		}
		a.finds(&removed, leftover{Host: h.Name, Kind: "machine", Name: m.Name(), VM: o.VM, Why: why}, m.Name()+" of "+o.VM)
	}
	for _, more := range []func() ([]leftover, error){
		func() ([]leftover, error) { return a.gcRecords(ctx, s, h, w, dry) },
		func() ([]leftover, error) { return a.gcFolders(ctx, h, w, dry) },
	} {
		found, err := more()
		removed = append(removed, found...)
		if err != nil {
			return removed, err
		}
	}
	return removed, nil
}

// sweep removes the images that killed runs left half made, and ends programs that went on after theirs.
func (a *app) sweep(ctx context.Context, h *hypervisor, dry bool) (removed []leftover, err error) {
	swept, err := h.layers.Sweep(ctx, dry)
	for _, w := range swept {
		file := path.Join(h.layers.Dir(), "tmp", w.Name)
		if w.Programs != nil {
			why := "the image that they were to make is done or given up: " + strings.Join(w.Programs, ", ")
			a.finds(&removed, leftover{Host: h.Name, Kind: "programs", Name: file, Why: why}, "programs of "+file)
			continue
		}
		a.finds(&removed, leftover{Host: h.Name, Kind: "image", Name: file, Why: "the run that made this image was ended"}, file)
	}
	return removed, err
}

// portDropper is a host that keeps books of forwarded ports.
type portDropper interface {
	DropPorts(ctx context.Context, dry bool) ([]string, error)
}

// dropPorts gives back the ports of machines that are gone.
func (a *app) dropPorts(ctx context.Context, h *hypervisor, dry bool) (removed []leftover, err error) {
	d, ok := h.host.(portDropper)
	if !ok {
		return nil, nil
	}
	ports, err := d.DropPorts(ctx, dry)
	for _, port := range ports {
		a.finds(&removed, leftover{Host: h.Name, Kind: "port", Name: port, Why: "the machine is gone"}, "port "+port)
	}
	return removed, err
}

// orphaned says why a machine can go, "" if somebody still owns it. A run that is not
// in runs may go on under another state folder, and the lock of one on another controller may
// not show here: only their leases say when they are over.
func orphaned(o engine.Owner, runs map[string]runState, me string, now time.Time) string {
	run, known := runs[o.Run]
	switch {
	case run.alive:
		return ""
	case o.Keep && now.Before(o.Expires):
		return ""
	case o.Keep:
		return "kept until " + o.Expires.Local().Format(time.DateTime)
	case o.User == me && known && !run.elsewhere:
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

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"farm/engine"
	"farm/engine/store"
	"farm/inventory"
)

func newDownCommand(a *app) *cobra.Command {
	var all, asJSON bool
	cmd := &cobra.Command{
		Use:     "down ID...",
		Short:   "End machines that were kept, with their disks",
		Example: "  farm down debian_12/arm64\n  farm down --all",
		RunE: func(cmd *cobra.Command, args []string) error {
			if all == (len(args) > 0) {
				return &usageError{errors.New("name the VMs to end, or give --all")}
			}
			return a.down(cmd.Context(), args, all, asJSON)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "end all machines that were kept")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print what was ended as a JSON array")
	return cmd
}

// endedMachine is a machine that is no longer kept, as `farm down --json` prints it.
type endedMachine struct {
	VM     string `json:"vm"`
	Host   string `json:"host"`
	Name   string `json:"name"`   // of the machine
	Result string `json:"result"` // how, in words
}

func (a *app) down(ctx context.Context, ids []string, all, asJSON bool) error {
	s, err := a.openStore()
	if err != nil {
		return err
	}
	defer s.Close()
	kept, err := keptMachines(ctx, s)
	if err != nil {
		return err
	}
	if len(kept) == 0 && all && !asJSON {
		_, err := fmt.Fprintln(a.out, "no machine is kept")
		return err
	}
	wanted := map[string]bool{}
	for _, id := range ids {
		if _, err := find(kept, id); err != nil {
			return err
		}
		wanted[id] = true
	}
	var errs []error
	done := []endedMachine{}
	for _, m := range kept {
		if !all && !wanted[m.VM] && !wanted[m.Name] {
			continue
		}
		how, err := a.end(ctx, s, m)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s on %q: %w", m.VM, m.Host, err))
			continue
		}
		done = append(done, endedMachine{VM: m.VM, Host: m.Host, Name: m.Name, Result: how})
		if !asJSON {
			fmt.Fprintf(a.out, "%s on %s %s\n", m.VM, m.Host, how)
		}
	}
	if asJSON {
		errs = append(errs, a.printJSON(done))
	}
	return engine.Blame(engine.FarmFault, errors.Join(errs...))
}

// end removes one kept machine; how is what became of it, for people.
func (a *app) end(ctx context.Context, s *store.Store, m store.Machine) (how string, err error) {
	h, err := a.hostOf(ctx, s, m)
	if err != nil {
		return "", again(err, m, "down")
	}
	defer h.close()
	how, err = a.endOn(ctx, s, h, m)
	return how, again(err, m, "down")
}

// endOn is end on an open hypervisor.
func (a *app) endOn(ctx context.Context, s *store.Store, h *hypervisor, m store.Machine) (how string, err error) {
	machine, err := h.host.Machine(ctx, m.Name)
	if errors.Is(err, engine.ErrNotExist) {
		return "was gone already; its files and its record are removed", a.strikeGone(ctx, s, h, m)
	} else if err != nil {
		return "", err
	}
	return "ended", a.removeMachine(ctx, s, h, machine)
}

// again adds to an error of a hypervisor what to do once it answers; nil stays nil.
func again(err error, m store.Machine, command string) error {
	if err == nil || engine.FaultOf(err) == engine.UserFault || engine.FaultOf(err) == engine.Cancelled {
		return err
	}
	return fmt.Errorf("%w; the machine stays on record: `farm %s %s` again once %q answers", err, command, m.VM, m.Host)
}

// strikeGone is strike for a machine that a hypervisor was asked for and does not have. It is
// refused where that may be another hypervisor than the one that had it.
func (a *app) strikeGone(ctx context.Context, s *store.Store, h *hypervisor, m store.Machine) error {
	by, elsewhere, err := a.controllerOf(ctx, s, m.Run)
	if err != nil {
		return err
	}
	folders, err := h.folders(ctx)
	if err != nil {
		return err
	}
	f, there := folders[m.Name]
	if there && f.foreign {
		return engine.Blamef(engine.UserFault, "it is not there, but its files in %s are of another system that shares them; they and the record are left alone", m.Dir)
	}
	if elsewhere && !h.recorded(m, f, there, elsewhere) {
		return engine.Blamef(engine.UserFault, "it is not there as that is reached from here; it was made from %q, ask there", by)
	}
	return a.strike(ctx, s, h, m)
}

// strike removes the files and the record of a machine that its hypervisor no longer has.
func (a *app) strike(ctx context.Context, s *store.Store, h *hypervisor, m store.Machine) error {
	if err := h.removeFolder(ctx, m.Dir); err != nil {
		return err
	}
	return a.gone(s, m.Name)
}

// hostOf opens the hypervisor that a machine is on. It is reached as it was when the
// machine was made; only a password is read from the inventory again.
func (a *app) hostOf(ctx context.Context, s *store.Store, m store.Machine) (*hypervisor, error) {
	var h inventory.Hypervisor
	if err := json.Unmarshal([]byte(m.Hypervisor), &h); err != nil {
		return nil, fmt.Errorf("how hypervisor %q is reached: %w", m.Host, err)
	}
	if h.Password != "" {
		password, err := a.passwordOf(ctx, s, m)
		if err != nil {
			return nil, err
		}
		h.Password = password
	}
	if h.Connection == "local" {
		if by, elsewhere, err := a.controllerOf(ctx, s, m.Run); err != nil {
			return nil, err
		} else if elsewhere {
			return nil, engine.Blamef(engine.UserFault, "hypervisor %q is the own one of %q, which shares these records; run farm there", m.Host, by)
		}
	}
	h.Locked = "" // a lock keeps new VMs out, not the owner of an old one
	opened := a.openHosts(ctx, []inventory.Hypervisor{h})[0]
	return opened, opened.err
}

// withPassword stands in a record for a password, which is not kept.
const withPassword = "-"

// hypervisorRecord is how the named host is reached, as JSON.
func hypervisorRecord(hosts []*hypervisor, name string) (string, error) {
	for _, h := range hosts {
		if h.Name == name {
			record := h.Hypervisor
			if record.Password != "" {
				record.Password = withPassword
			}
			text, err := json.Marshal(record)
			return string(text), err
		}
	}
	return "", fmt.Errorf("no hypervisor %q in this run", name)
}

// passwordOf reads a hypervisor's password from the inventory of the machine's run.
func (a *app) passwordOf(ctx context.Context, s *store.Store, m store.Machine) (string, error) {
	runs, err := s.Runs(ctx, 0)
	if err != nil {
		return "", err
	}
	for _, r := range runs {
		if r.ID != m.Run {
			continue
		}
		inv, err := (&inventoryFlags{}).load(r.Inventory)
		if err != nil {
			return "", fmt.Errorf("the password of hypervisor %q: %w", m.Host, err)
		}
		list, err := inv.Hypervisors()
		if err != nil {
			return "", err
		}
		for _, h := range list {
			if h.Name == m.Host {
				return h.Password, nil
			}
		}
	}
	return "", fmt.Errorf("the password of hypervisor %q is not to be had any more", m.Host)
}

// keptMachines lists the machines that runs left on purpose, newest first.
func keptMachines(ctx context.Context, s *store.Store) ([]store.Machine, error) {
	machines, err := s.Machines(ctx)
	if err != nil {
		return nil, err
	}
	var kept []store.Machine
	for _, m := range machines {
		if m.State == store.Kept || m.State == store.Unmarked {
			kept = append(kept, m)
		}
	}
	return kept, nil
}

// find returns the newest kept machine of a VM, or the one with that libvirt name.
func find(kept []store.Machine, id string) (store.Machine, error) {
	for _, m := range kept {
		if m.VM == id || m.Name == id {
			return m, nil
		}
	}
	hint := "none is kept; run with --keep on-failure or --keep always"
	if len(kept) > 0 {
		hint = "kept:"
		for _, m := range kept {
			hint += " " + m.VM
		}
	}
	return store.Machine{}, &usageError{fmt.Errorf("no machine of %q is kept (%s)", id, hint)}
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"time"

	"farm/engine"
	"farm/engine/store"
	"farm/inventory"
)

// recordsOf are the machines of the store that are not gone, by name.
func recordsOf(ctx context.Context, s *store.Store) (map[string]store.Machine, error) {
	all, err := s.Machines(ctx)
	if err != nil {
		return nil, err
	}
	records := map[string]store.Machine{}
	for _, m := range all {
		records[m.Name] = m
	}
	return records, nil
}

// keeps reports whether a machine's record says that it is kept now.
func keeps(r store.Machine, now time.Time) bool {
	return (r.State == store.Kept || r.State == store.Unmarked) && now.Before(r.KeepUntil)
}

// markKept sets the mark that a host did not take when the run ended. A host that does
// not take it now either is tried again next time.
func (a *app) markKept(ctx context.Context, s *store.Store, h *hypervisor, m engine.Machine, r store.Machine) {
	o := m.Owner()
	o.Keep, o.Expires = true, r.KeepUntil
	err := m.SetOwner(ctx, o)
	if err == nil {
		_, err = h.conn.Exec(ctx, engine.Claim{Owner: o, URI: h.caps.URI}.Cmd())
	}
	if err == nil {
		err = s.Settle(r.Name, store.Kept, r.KeepUntil)
	}
	if err != nil {
		fmt.Fprintf(a.err, "%s: %s of %s is kept, but cannot be marked so: %v\n", h.Name, r.Name, r.VM, err)
		return
	}
	fmt.Fprintf(a.err, "%s: %s of %s is marked as kept until %s\n", h.Name, r.Name, r.VM, r.KeepUntil.Local().Format(time.DateTime))
}

// gcRecords removes the files and the records of machines that were never defined or are
// gone, where no run that goes on has them.
func (a *app) gcRecords(ctx context.Context, s *store.Store, h *hypervisor, w world, dry bool) (removed []leftover, err error) {
	for name, r := range w.records {
		run := w.runs[r.Run]
		f, there := w.folders[name]
		if w.used[name] || run.alive || !h.recorded(r, f, there, run.elsewhere) {
			continue
		}
		// It may have been made since the machines were listed.
		if _, err := h.host.Machine(ctx, name); !errors.Is(err, engine.ErrNotExist) {
			continue
		}
		why := "its run " + r.Run + " is over"
		if r.State != store.Intended {
			why = "recorded as kept, but the machine is gone"
		}
		if !dry {
			if err := a.strike(ctx, s, h, r); err != nil {
				return removed, err
			}
		}
		if there {
			a.finds(&removed, leftover{Host: h.Name, Kind: "files", Name: name, VM: r.VM, Why: why}, "files of "+r.VM)
		} else if r.State != store.Intended {
			a.finds(&removed, leftover{Host: h.Name, Kind: "record", Name: name, VM: r.VM, Why: why}, "record of "+r.VM)
		}
	}
	return removed, nil
}

// recorded reports whether a record is of a machine of this hypervisor, as reached now:
// another daemon on the same system, or another system, may have the machine. A folder
// of the machine's name tells the system, and that more surely if it is signed. Without one the
// same address may lead elsewhere from another controller, so its records are left to that, until
// they lapse.
func (h *hypervisor) recorded(r store.Machine, f folder, there, elsewhere bool) bool {
	var was inventory.Hypervisor
	if json.Unmarshal([]byte(r.Hypervisor), &was) != nil || was.URI != h.URI || path.Dir(path.Clean(r.Dir)) != h.machinesDir() {
		return false
	}
	if there {
		return !f.foreign && (f.signed || !elsewhere)
	}
	last := r.Created
	if r.KeepUntil.After(last) {
		last = r.KeepUntil
	}
	if was.Connection != h.Connection || elsewhere && time.Now().Before(last.Add(lapse)) {
		return false
	}
	return h.Connection == "local" || was.Address == h.Address && was.Port == h.Port && was.User == h.User
}

package phases

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"farm/engine"
)

// create keeps the state that the running machine's disks have now as a layer.
type create struct{ name string }

func (p create) Name() string { return p.name }

func (p create) Run(ctx context.Context, r *engine.Run) error {
	state := r.States[strings.TrimPrefix(p.name, "create ")]
	if state.Key == "" && state.Why != "" {
		return engine.Skip("not cached: " + state.Why)
	} else if state.Key == "" {
		return engine.Skip("not cached for this VM")
	}
	snap, ok := r.Machine.(engine.Snapshotter)
	if !ok {
		return engine.Skip("this kind of hypervisor cannot freeze the disks of a running machine")
	}
	if err := p.expire(ctx, r); err != nil {
		return fmt.Errorf("layer %q: %w", state.Name, err)
	}
	// Two VMs may want the same layer. Only one may let its disks go on over it: the other's
	// would stand on blocks that they were not written over.
	release, err := r.Layers.Reserve(ctx, state.Key)
	if errors.Is(err, fs.ErrExist) {
		return engine.Skip("another VM has made it, or is making it")
	} else if err != nil {
		return fmt.Errorf("layer %q: %w", state.Name, err)
	}
	defer release()
	if err := syncGuest(ctx, r); err != nil {
		return err
	}
	frozen := r.Disks
	next, err := r.Layers.Continue(ctx, state.Key, frozen, r.HostDir)
	if err != nil {
		return fmt.Errorf("layer %q: %w", state.Name, err)
	}
	if err := snap.Snapshot(ctx, frozen, next, true); err != nil {
		r.States = nil // nobody knows on which files the disks are now
		return fmt.Errorf("layer %q: %w", state.Name, err)
	}
	r.Disks = next
	layer, err := r.Layers.Freeze(ctx, engine.FreezeSpec{
		Key: state.Key, Name: state.Name, Parent: r.Layer, Disks: frozen,
		NVRAM: nvram(ctx, r), HostKeys: r.Layer.HostKeys, VM: r.VM.ID, Inputs: state.Inputs,
	})
	if err != nil {
		// The disks stand on files that are no layer: nothing more can be kept of them.
		r.States = nil
		return fmt.Errorf("layer %q: %w", state.Name, err)
	}
	r.Layer = layer
	return nil
}

// expire removes the layer where it is too old, and before it the one that stands on it.
func (p create) expire(ctx context.Context, r *engine.Run) error {
	states := []engine.CachedState{r.States["init"]}
	if p.name == CreateClean {
		states = append(states, r.States["clean"])
	}
	for _, s := range states {
		if s.Key == "" || s.NotBefore.IsZero() {
			continue
		}
		if err := r.Layers.Expire(ctx, s.Key, s.NotBefore); err != nil {
			return err
		}
	}
	return nil
}

// nvram is the file of the machine's own UEFI variables, which belong to its state; "" if
// it has none.
func nvram(ctx context.Context, r *engine.Run) string {
	if r.VM.Def.Firmware.Loader == "" {
		return ""
	}
	file := path.Join(r.HostDir, "nvram.fd")
	if _, err := r.Host.Conn().Exec(ctx, engine.Cmd{Argv: []string{"test", "-e", file}}); err != nil {
		return ""
	}
	return file
}

// syncGuest writes the guest's caches to its disks.
func syncGuest(ctx context.Context, r *engine.Run) error {
	if _, err := r.Conn.Exec(ctx, engine.Cmd{Script: "sync"}); err != nil {
		return fmt.Errorf("sync the guest's filesystems: %w", err)
	}
	return nil
}

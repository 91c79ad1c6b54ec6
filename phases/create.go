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
	next, err := r.Layers.Continue(ctx, state.Key, r.Disks, r.HostDir)
	if err != nil {
		return fmt.Errorf("layer %q: %w", state.Name, err)
	}
	memory, err := p.freeze(ctx, r, snap, next)
	if err == nil {
		err = p.keep(ctx, r, state, next, memory)
	}
	if err != nil {
		// Nobody knows on which files the disks are now, or these are no layer: nothing more can be kept.
		r.States = nil
		err = fmt.Errorf("layer %q: %w", state.Name, err)
	}
	if r.Conn == nil {
		err = errors.Join(err, again(ctx, r))
	}
	return err
}

// freeze lets the disks go on in next, with the guest's memory kept if that is wished and can be.
func (p create) freeze(ctx context.Context, r *engine.Run, snap engine.Snapshotter, next []engine.MachineDisk) (*engine.Memory, error) {
	wanted, why := p.remembers(r)
	if wanted {
		return remember(ctx, r, snap, next)
	}
	if why != "" {
		warnMemory(r, errors.New(why))
	}
	return nil, snap.Snapshot(ctx, r.Disks, next, true)
}

// keep makes the layer of disks that were frozen.
func (p create) keep(ctx context.Context, r *engine.Run, state engine.CachedState, next []engine.MachineDisk, memory *engine.Memory) error {
	frozen := r.Disks
	r.Disks = next
	layer, err := r.Layers.Freeze(ctx, engine.FreezeSpec{
		Key: state.Key, Name: state.Name, Parent: r.Layer, Disks: frozen,
		NVRAM: nvram(ctx, r), Memory: memory, HostKeys: r.Layer.HostKeys, VM: r.VM.ID, Inputs: state.Inputs,
	})
	if err != nil {
		return err
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

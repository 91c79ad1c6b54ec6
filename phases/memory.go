package phases

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"farm/engine"
)

// slow is the boot time from which on snapshot_memory: auto keeps a memory: resuming takes a second or
// two, and the memory's file is read and written as a whole.
const slow = 5 * time.Second

// boot starts the machine and waits until its guest can be worked with.
func boot(ctx context.Context, r *engine.Run) error {
	begun := time.Now()
	if err := r.Machine.Start(ctx); err != nil {
		return err
	}
	if err := reach(ctx, r); err != nil {
		return err
	}
	r.Slow = time.Since(begun) >= slow
	return nil
}

// begin has the guest resume from its layer's memory if it can, else boot from the layer's disks.
func begin(ctx context.Context, r *engine.Run) error {
	if r.Memory == engine.NoMemory || !cachedLayer(r) {
		return boot(ctx, r)
	}
	why := resume(ctx, r)
	if why == nil {
		return nil
	}
	if ctx.Err() != nil {
		return why
	}
	if err := boot(ctx, r); err != nil {
		return err
	}
	line, _, _ := strings.Cut(why.Error(), "\n")
	r.Said = fmt.Sprintf("booted from the disks of layer %q: %s", r.Layer.Name, line)
	return nil
}

// cachedLayer reports whether the machine starts from a state that a guest had reached.
func cachedLayer(r *engine.Run) bool { return r.Layer.Parent != "" }

// errNoMemory is why a layer's guest does not resume.
var errNoMemory = errors.New("no memory was kept with it")

// resume has the guest go on from the layer's memory. After an error the machine is off, and its
// disks are as the layer has them.
func resume(ctx context.Context, r *engine.Run) error {
	m, ok := r.Machine.(engine.Resumer)
	if r.Layer.Memory == nil || !ok {
		return errNoMemory
	}
	begun := time.Now()
	err := m.Resume(ctx, *r.Layer.Memory)
	if errors.Is(err, engine.ErrUnfit) {
		return err
	}
	if err == nil {
		err = reachSoon(ctx, r)
	}
	if err != nil {
		return errors.Join(err, startOver(ctx, r))
	}
	renew(ctx, r)
	r.Slow = true // it was, when the memory was kept
	r.Said = fmt.Sprintf("resumed from the memory of layer %q in %.1f s", r.Layer.Name, time.Since(begun).Seconds())
	return nil
}

// reachSoon enters a guest that had been reached before: one that does not answer soon never will.
func reachSoon(ctx context.Context, r *engine.Run) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(min(r.Scale, 3)*float64(20*time.Second)))
	defer cancel()
	return enter(ctx, r, time.Now())
}

// startOver ends a machine that has not resumed as it should, and gives it fresh disks in the
// place of those that its guest may have written.
func startOver(ctx context.Context, r *engine.Run) error {
	if r.Conn != nil {
		r.Conn.Close()
		r.Conn = nil
	}
	if err := r.Machine.PowerOff(ctx); err != nil {
		return err
	}
	return useLayer(ctx, r, r.Layer)
}

// remembers reports whether a guest's memory is to be kept with a state, and if not though it
// was wished, why not.
func (p create) remembers(r *engine.Run) (wanted bool, why string) {
	switch {
	case r.Memory == engine.NoMemory:
		return false, ""
	case r.Memory == engine.AutoMemory && (p.name != CreateInit || !r.Slow):
		return false, ""
	}
	if _, ok := r.Machine.(engine.Resumer); !ok {
		return false, "this kind of hypervisor cannot save a guest's memory"
	}
	for _, n := range r.VM.Def.Net {
		if n.Type != "" && n.Type != "user" && n.MAC == "" {
			return false, fmt.Sprintf("its network card of type %s has no address of its own in the definition, so that of this machine would be there twice; give it `mac`", n.Type)
		}
	}
	return true, ""
}

// settling is how long the guest gets to end the sessions of a connection that was closed: no
// session of farm's own may be in a memory, where it would hang for ever.
const settling = 300 * time.Millisecond

// remember freezes the disks together with the memory of the guest, which goes on. Where the
// memory cannot be kept the disks are frozen all the same, and memory is nil.
func remember(ctx context.Context, r *engine.Run, snap engine.Snapshotter, next []engine.MachineDisk) (memory *engine.Memory, err error) {
	m := r.Machine.(engine.Resumer)
	file := path.Join(r.HostDir, "memory")
	r.Conn.Close()
	r.Conn = nil
	select {
	case <-time.After(time.Duration(min(r.Scale, 3) * float64(settling))):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	err = m.Remember(ctx, r.Disks, next, file)
	if err != nil && ctx.Err() == nil {
		warnMemory(r, err)
		return nil, snap.Snapshot(ctx, r.Disks, next, true)
	} else if err != nil {
		return nil, err
	}
	kept, err := m.Memory(ctx, file)
	if err != nil {
		warnMemory(r, err)
		return nil, nil
	}
	return &kept, nil
}

func warnMemory(r *engine.Run, why error) {
	r.Emit(engine.Event{Kind: engine.Warning, Text: fmt.Sprintf("no memory is kept: %v", why)})
}

// again, when the disks are frozen, reaches a guest that was left for the sake of its memory; one that is lost is booted
// from the disks that it has now.
func again(ctx context.Context, r *engine.Run) error {
	err := reachSoon(ctx, r)
	if err == nil {
		setClock(ctx, r)
		return nil
	}
	if ctx.Err() != nil {
		return err
	}
	r.Emit(engine.Event{Kind: engine.Warning, Text: fmt.Sprintf("the guest did not go on after its memory was saved, and is booted: %v", err)})
	if err := r.Machine.PowerOff(ctx); err != nil {
		return err
	}
	return boot(ctx, r)
}

package images

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path"
	"strings"

	"farm/engine"
	"farm/inventory"
)

// Base prepares the base disks of a VM, once per host however many ask, and returns its
// layer: those who come while it is being made wait for it, with progress.
func (s *Store) Base(ctx context.Context, p engine.Preparation) (engine.Layer, error) {
	pl, err := s.plan(ctx, p)
	if err != nil {
		return engine.Layer{}, err
	}
	fail := func(err error) (engine.Layer, error) {
		return engine.Layer{}, engine.Blame(blameFor(err), fmt.Errorf("prepare the disks of VM %q on %s: %w", p.VM.ID, s.conn, err))
	}
	if l, err := s.usable(ctx, p, pl.key); err != nil || l.Key != "" {
		if err != nil {
			return fail(err)
		}
		return l, nil
	}
	l, err := s.once(ctx, pl.key, func() (engine.Layer, error) {
		leave, err := enter(ctx, s.preparing)
		if err != nil {
			return engine.Layer{}, err
		}
		defer leave()
		release, err := s.lockLayer(ctx, pl.key, func(holder string) {
			progress(p, fmt.Sprintf("waits for the disks that %s prepares", holder))
		})
		if err != nil {
			return engine.Layer{}, err
		}
		defer release()
		if l, err := s.usable(ctx, p, pl.key); err != nil || l.Key != "" {
			return l, err
		}
		return s.prepare(ctx, p, pl)
	})
	if err != nil {
		return fail(err)
	}
	return l, nil
}

func blameFor(err error) engine.Fault {
	if errors.Is(err, context.Canceled) {
		return engine.Cancelled
	}
	return engine.FarmFault
}

// usable finds the layer; the zero layer means that it has to be made, also because
// it is damaged or stale, which is said.
func (s *Store) usable(ctx context.Context, p engine.Preparation, key string) (engine.Layer, error) {
	l, err := s.find(ctx, key)
	switch {
	case err == nil:
		return l, nil
	case ctx.Err() != nil, errors.Is(err, engine.ErrUnreachable):
		return engine.Layer{}, err
	case !errors.Is(err, engine.ErrNotExist):
		warn(p, fmt.Sprintf("layer %.12s on %s cannot be used and is made anew: %v", key, s.conn, err))
	}
	return engine.Layer{}, nil
}

// scratch makes a work folder for a layer, and removes those that a killed farm
// left. The caller holds the layer's lock, so nobody uses them.
func (s *Store) scratch(ctx context.Context, key string) (string, error) {
	dir := s.workOf(key) + "." + rand.Text()[:8]
	_, err := s.sh(ctx, dropScript+`
for d in "$1".*; do [ ! -e "$d" ] || drop "$d"; done
mkdir "$2" "$2/work" "$2/layer" && printf %s "$system" >"$2/system"`, s.workOf(key), dir)
	return dir, err
}

func (s *Store) prepare(ctx context.Context, p engine.Preparation, pl *plan) (engine.Layer, error) {
	tmp, err := s.scratch(ctx, pl.key)
	if err != nil {
		return engine.Layer{}, err
	}
	l, err := s.within(tmp).prepareIn(ctx, tmp, p, pl)
	// What a callback started and lost sight of must not go on, be there an image or none.
	if gone := s.drop(ctx, tmp); gone != nil && !errors.Is(gone, engine.ErrUnreachable) {
		warn(p, fmt.Sprintf("the work folder %q on %s stays: %v", tmp, s.conn, gone))
	}
	return l, err
}

func (s *Store) prepareIn(ctx context.Context, tmp string, p engine.Preparation, pl *plan) (engine.Layer, error) {
	l := engine.Layer{Key: pl.key, Name: "base", VM: p.VM.ID, Inputs: pl.inputs}
	for i, c := range pl.calls {
		cb, err := c.callback()
		if err != nil {
			return l, err
		}
		im := s.image(p, c)
		im.TmpDir, im.PoolDir = path.Join(tmp, "work"), path.Join(tmp, "layer")
		im.HostKeys = l.HostKeys
		progress(p, fmt.Sprintf("image %s (%d of %d)", c.def.Name, i+1, len(pl.calls)))
		if err := cb.Run(ctx, im); err != nil {
			return l, fmt.Errorf("source %d, callback %q: %w", c.source, c.name, err)
		}
		l.HostKeys = im.HostKeys
	}
	dir := path.Join(tmp, "layer")
	if err := s.own(ctx, dir); err != nil {
		return l, err
	}
	var files []stamp
	for i, d := range pl.disks {
		disk, stamp, err := s.baseDisk(ctx, p, pl.key, dir, i, d)
		if err != nil {
			return l, fmt.Errorf("disk %d: %w", i, err)
		}
		l.Disks, files = append(l.Disks, disk), append(files, stamp)
	}
	kernel, stamps, err := s.kernel(ctx, p, pl.key, dir)
	if err != nil {
		return l, err
	}
	l.Kernel = kernel
	if err := s.replace(ctx, pl.key, func(text string) { warn(p, text) }); err != nil {
		return l, err
	}
	return s.publish(ctx, dir, l, append(files, stamps...))
}

// own makes sure that what callbacks put into the layer's folder is the layer's alone before
// its files are opened and get their modes: links and devices are refused, and a file that has a
// second name elsewhere is copied.
func (s *Store) own(ctx context.Context, dir string) error {
	out, err := s.shWithin(ctx, atLast, `
cd "$1" || exit
odd=$(find . ! -type f ! -type d | head -n 1)
if [ -n "$odd" ]; then printf %s "$odd"; exit; fi
find . -type f -links +1 -exec sh -c '
for f; do cp --reflink=auto --sparse=auto -- "$f" "$f.own" && mv -f -T -- "$f.own" "$f" || exit; done' sh {} +`, dir)
	if err == nil && out != "" {
		err = engine.Blamef(engine.FarmFault, "a callback left %q in the pool folder, which is no regular file (a link or a device); it has to put the file itself there", path.Clean(out))
	}
	return err
}

// locate finds a file of the definition: where the callbacks installed it, else in the
// user's pool. The first path is where it will be, the second where it is now.
func (s *Store) locate(ctx context.Context, p engine.Preparation, key, dir, name string) (final string, now seen, err error) {
	candidates := []string{s.fromPool(p, name)}
	finals := []string{candidates[0]}
	// An absolute name in the pool means the file that a callback installs there, too.
	if rel, ok := strings.CutPrefix(candidates[0], s.pool(p)+"/"); ok {
		name = rel
	}
	if !path.IsAbs(name) {
		name = path.Join("/", name)
		candidates = append([]string{path.Join(dir, name)}, candidates...)
		finals = append([]string{path.Join(s.layerDir(key), name)}, finals...)
	}
	found, err := s.inspect(ctx, HeaderBytes, candidates)
	if err != nil {
		return "", seen{}, err
	}
	for i, f := range found {
		if f.size >= 0 {
			return finals[i], f, nil
		}
		if f.size == irregular {
			return "", seen{}, engine.Blamef(engine.UserFault, "%q is no regular file (a link, a folder or a device); put the file itself there", candidates[i])
		}
	}
	return "", seen{}, engine.Blamef(engine.UserFault, "%q is neither installed by a callback nor at %q", path.Base(name), candidates[len(candidates)-1])
}

// baseDisk finds or makes the file of one disk and checks it.
func (s *Store) baseDisk(ctx context.Context, p engine.Preparation, key, dir string, i int, d inventory.Disk) (engine.MachineDisk, stamp, error) {
	md := engine.MachineDisk{Disk: d}
	var size int64
	if d.Size != "" {
		var err error
		if size, err = ParseSize(d.Size); err != nil {
			return md, stamp{}, engine.Blame(engine.UserFault, err)
		}
	}
	if d.Src == "" {
		if size == 0 {
			return md, stamp{}, engine.Blamef(engine.UserFault, "it needs `src`, or `size` for a blank one")
		}
		name := fmt.Sprintf("blank%d.qcow2", i)
		md.Type, md.Path = "qcow2", path.Join(s.layerDir(key), name)
		_, err := s.sh(ctx, `qemu-img create -q -f qcow2 -- "$1" "$2" >&2`, path.Join(dir, name), fmt.Sprint(size))
		return md, stamp{Path: md.Path, Format: "qcow2"}, err
	}
	final, now, err := s.locate(ctx, p, key, dir, d.Src)
	if err != nil {
		return md, stamp{}, err
	}
	h, err := Check(now.start, now.size, d.Type)
	if err != nil {
		return md, stamp{}, fmt.Errorf("%q: %w", d.Src, err)
	}
	if size != 0 && size < h.VirtualBytes && !d.ReadOnly {
		return md, stamp{}, engine.Blamef(engine.UserFault, "%q: `size` is %s, less than the image's own %d bytes; disks only grow", d.Src, d.Size, h.VirtualBytes)
	}
	md.Type, md.Path = h.Format, final
	return md, stamp{Path: final, Format: h.Format}, nil
}

func (s *Store) kernel(ctx context.Context, p engine.Preparation, key, dir string) (inventory.Kernel, []stamp, error) {
	k := p.VM.Def.Kernel
	var stamps []stamp
	for _, name := range []*string{&k.Src, &k.Initrd} {
		if *name == "" {
			continue
		}
		final, _, err := s.locate(ctx, p, key, dir, *name)
		if err != nil {
			return k, nil, fmt.Errorf("kernel: %w", err)
		}
		*name = final
		stamps = append(stamps, stamp{Path: final})
	}
	return k, stamps, nil
}

func progress(p engine.Preparation, text string) {
	if p.Emit != nil {
		p.Emit(engine.Event{Kind: engine.Progress, VM: p.VM.ID, Text: text})
	}
}

func warn(p engine.Preparation, text string) {
	if p.Emit != nil {
		p.Emit(engine.Event{Kind: engine.Warning, VM: p.VM.ID, Text: text})
	}
}

package images

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"farm/engine"
)

// overlayScript makes all overlays of a machine in one go. The mark of use comes first: a layer
// that is being removed is gone then, and qemu-img fails on the missing file. The look at the
// layers comes last, so that one made anew in between is noticed.
const overlayScript = standingScript + `
layers=$1; key=$2; id=$3; mark=$4; dir=$5; uses=$1/$2/uses; shift 5
mkdir -p -- "$dir" && cd "$dir" && printf %s "$dir" >"$uses/$mark" || exit
while [ $# -gt 0 ]; do
	rm -f -- "$1" && qemu-img create -q -f qcow2 -F "$2" -b "$3" -- "$1" $4 >&2 || exit
	shift 4
done
standing "$layers" "$key" "$id"`

// Overlay makes throw-away disks over l in dir and returns them in l's order; disks that
// are only read are used as they are. An overlay that dir has already is replaced. l counts as
// used as long as one of them exists. Where the definition does not say how a disk is cached,
// an overlay need not outlive a crash of the host, so nobody waits until its writes are on
// the host's disk; a layer made of it is written out before it counts. It is an error if l, or a
// layer that l stands on, was made anew since it was found.
func (s *Store) Overlay(ctx context.Context, l engine.Layer, dir string) ([]engine.MachineDisk, error) {
	dir = path.Clean(dir)
	fail := func(err error) ([]engine.MachineDisk, error) {
		return nil, engine.Blame(blameFor(err), fmt.Errorf("make overlays over layer %.12s on %s: %w", l.Key, s.conn, err))
	}
	if err := checkKey(l.Key); err != nil {
		return fail(err)
	}
	if !path.IsAbs(dir) || strings.Contains(dir, "\n") {
		return fail(fmt.Errorf("the folder %q is no absolute path", dir))
	}
	sum := sha256.Sum256([]byte(dir))
	args := []string{path.Join(s.dir, "layers"), l.Key, l.ID, hex.EncodeToString(sum[:16]), dir}
	disks := make([]engine.MachineDisk, len(l.Disks))
	for i, d := range l.Disks {
		disks[i] = d
		if d.ReadOnly {
			continue
		}
		name, size := fmt.Sprintf("disk%d.qcow2", i), ""
		if d.Size != "" {
			n, err := ParseSize(d.Size)
			if err != nil {
				return fail(err)
			}
			size = fmt.Sprint(n)
		}
		args = append(args, name, d.Type, d.Path, size)
		disks[i].Type, disks[i].Path = "qcow2", path.Join(dir, name)
		if d.Cache == "" {
			disks[i].Cache = "unsafe"
		}
	}
	if _, err := s.sh(ctx, overlayScript, args...); err != nil {
		return fail(err)
	}
	return disks, nil
}

// freezeScript links overlays into the new layer; across file systems it copies.
const freezeScript = `
to=$1; shift
while [ $# -gt 0 ]; do
	ln -- "$1" "$to/$2" 2>/dev/null || cp --reflink=auto --sparse=always -- "$1" "$to/$2" || exit
	shift 2
done`

// Freeze turns overlays that nothing writes any more into a layer. The overlays are gone
// afterwards; after an error they are as they were. A layer with the key that is there
// already is somebody else's: fs.ErrExist. A parent that was made anew since the overlays were
// made is an error, also if that happens meanwhile.
func (s *Store) Freeze(ctx context.Context, m engine.FreezeSpec) (engine.Layer, error) {
	fail := func(err error) (engine.Layer, error) {
		return engine.Layer{}, engine.Blame(blameFor(err), fmt.Errorf("freeze layer %q of VM %q on %s: %w", m.Name, m.VM, s.conn, err))
	}
	if err := checkKey(m.Key); err != nil {
		return fail(err)
	}
	if len(m.Disks) != len(m.Parent.Disks) {
		return fail(fmt.Errorf("the machine has %d disks, its layer %d", len(m.Disks), len(m.Parent.Disks)))
	}
	l, err := s.once(ctx, m.Key, func() (engine.Layer, error) {
		leave, err := enter(ctx, s.freezing)
		if err != nil {
			return engine.Layer{}, err
		}
		defer leave()
		release, err := s.lockLayer(ctx, m.Key, nil)
		if err != nil {
			return engine.Layer{}, err
		}
		defer release()
		l, err := s.find(ctx, m.Key)
		if err == nil {
			return l, fs.ErrExist
		}
		if ctx.Err() != nil {
			return l, err
		}
		if err := s.replace(ctx, m.Key, nil); err != nil {
			return l, err
		}
		return s.freeze(ctx, m)
	})
	if err != nil {
		return fail(err)
	}
	return l, nil
}

func (s *Store) freeze(ctx context.Context, m engine.FreezeSpec) (engine.Layer, error) {
	tmp, err := s.scratch(ctx, m.Key)
	if err != nil {
		return engine.Layer{}, err
	}
	l, moved, err := s.within(tmp).freezeIn(ctx, path.Join(tmp, "layer"), m)
	if err == nil {
		// Only the names: the layer has the content now. Keeping a second name would let a
		// later overlay of the same path write into the layer.
		err = s.remove(ctx, append(moved, tmp)...)
		return l, err
	}
	undo := append([]string{tmp}, moved...)
	_, uerr := s.sh(context.WithoutCancel(ctx), `tmp=$1; shift; for f; do chmod 0600 -- "$f"; done; rm -rf -- "$tmp"`, undo...)
	return l, errors.Join(err, uerr)
}

func (s *Store) freezeIn(ctx context.Context, dir string, m engine.FreezeSpec) (l engine.Layer, moved []string, err error) {
	l = engine.Layer{Key: m.Key, Name: m.Name, Parent: m.Parent.Key, ParentID: m.Parent.ID, Kernel: m.Parent.Kernel, HostKeys: m.HostKeys, VM: m.VM, Inputs: m.Inputs}
	if l.HostKeys == nil {
		l.HostKeys = m.Parent.HostKeys
	}
	var files []stamp
	args := []string{dir}
	for i, d := range m.Disks {
		parent := m.Parent.Disks[i]
		if parent.ReadOnly {
			l.Disks = append(l.Disks, parent)
			continue
		}
		name := fmt.Sprintf("disk%d.qcow2", i)
		args, moved = append(args, d.Path, name), append(moved, d.Path)
		files = append(files, stamp{Path: path.Join(s.layerDir(m.Key), name), Format: "qcow2", Backing: parent.Path})
		frozen := parent
		frozen.Type, frozen.Path = "qcow2", files[len(files)-1].Path
		l.Disks = append(l.Disks, frozen)
	}
	found, err := s.inspect(ctx, ownHeader, moved)
	if err != nil {
		return l, nil, err
	}
	for i, f := range found {
		files[i].Size, files[i].Modified = f.size, f.modified
		if err := files[i].same(f); err != nil {
			return l, nil, fmt.Errorf("%q: %w", f.path, err)
		}
	}
	if m.NVRAM != "" {
		// A copy: the machine may go on with its own.
		l.NVRAM = path.Join(s.layerDir(m.Key), "nvram.fd")
		files = append(files, stamp{Path: l.NVRAM})
		if _, err := s.sh(ctx, `cp --reflink=auto -- "$1" "$2"`, m.NVRAM, path.Join(dir, "nvram.fd")); err != nil {
			return l, nil, err
		}
	}
	if m.Memory != nil {
		memory := *m.Memory
		memory.Path = path.Join(s.layerDir(m.Key), "memory")
		l.Memory = &memory
		files = append(files, stamp{Path: memory.Path})
		args, moved = append(args, m.Memory.Path, "memory"), append(moved, m.Memory.Path)
	}
	if _, err := s.shWithin(ctx, shortly*10, freezeScript, args...); err != nil {
		return l, moved, err
	}
	if l, err = s.publish(ctx, dir, l, files); err != nil {
		return l, moved, err
	}
	// Only now: whoever makes the parent anew either finds this layer and sets it aside, or had
	// done so before this look.
	if err = s.standing(ctx, l); err != nil {
		_, gone := s.setAside(context.WithoutCancel(ctx), l.Key)
		err = errors.Join(err, gone)
	}
	return l, moved, err
}

// Remove deletes a layer that nothing stands on: no other layer, and no overlay that exists.
func (s *Store) Remove(ctx context.Context, key string) error {
	err := checkKey(key)
	if err == nil {
		err = s.removeLayer(ctx, key, time.Time{})
	}
	if err != nil {
		return engine.Blame(blameFor(err), fmt.Errorf("remove layer %.12s on %s: %w", key, s.conn, err))
	}
	return nil
}

// Expire deletes a layer that was made before a time, as Remove does; no error if there is none.
func (s *Store) Expire(ctx context.Context, key string, before time.Time) error {
	err := checkKey(key)
	if err == nil {
		err = s.removeLayer(ctx, key, before)
	}
	if err != nil && !errors.Is(err, engine.ErrNotExist) {
		return engine.Blame(blameFor(err), fmt.Errorf("make layer %.12s on %s anew: %w", key, s.conn, err))
	}
	return nil
}

// removeLayer deletes a layer; with a time only one that was made before.
func (s *Store) removeLayer(ctx context.Context, key string, before time.Time) error {
	leave, err := enter(ctx, s.freezing)
	if err != nil {
		return err
	}
	defer leave()
	release, err := s.lock(ctx, "layer "+key, nil)
	if err != nil {
		return err
	}
	defer release()
	records, err := s.records(ctx)
	if err != nil {
		return err
	}
	for _, r := range records {
		if r.Layer.Key == key && !before.IsZero() && !r.Layer.Created.Before(before) {
			return nil
		}
	}
	for _, r := range records {
		if r.Layer.Parent == key {
			return fmt.Errorf("layer %q (%.12s) stands on it; remove that first", r.Layer.Name, r.Layer.Key)
		}
	}
	// Taken away first, looked at for users afterwards and put back if there are any: a user that
	// comes in between finds no layer.
	out, err := s.sh(ctx, usersScript+`
store=$3
[ -e "$1" ] || { echo none; exit 0; }
mv -T -- "$1" "$2" || exit
user=$(users "$2" "$4" | head -n 1)
if [ -n "$user" ]; then mv -T -- "$2" "$1" && printf 'used %s' "$user"; exit; fi
chmod -R u+rwX "$2"; rm -rf -- "$2"`, s.layerDir(key), path.Join(s.dir, "tmp", key+"."+rand.Text()[:8]), s.dir, key)
	if err != nil {
		return err
	}
	out = strings.TrimSpace(out)
	if used, ok := strings.CutPrefix(out, "used "); ok {
		return fmt.Errorf("the overlays in %q stand on it", used)
	}
	if out == "none" {
		return engine.ErrNotExist
	}
	return nil
}

package images

import (
	"context"
	"fmt"
	"path"
	"strings"

	"farm/engine"
)

// successorScript makes qcow2 files over files that need not exist yet: path, backing
// file and size in bytes, three arguments each.
const successorScript = `
while [ $# -gt 0 ]; do
	rm -f -- "$1" && qemu-img create -q -u -f qcow2 -F qcow2 -b "$2" -- "$1" "$3" >&2 || exit
	shift 3
done`

// Continue makes the files in dir in which the writable disks of a running machine go on
// once Freeze has made disks the layer key. They name the layer's files as their backing
// files, which are not there yet: QEMU has the disks open and does not look.
func (s *Store) Continue(ctx context.Context, key string, disks []engine.MachineDisk, dir string) ([]engine.MachineDisk, error) {
	fail := func(err error) ([]engine.MachineDisk, error) {
		return nil, engine.Blame(blameFor(err), fmt.Errorf("make the disks after layer %.12s on %s: %w", key, s.conn, err))
	}
	if err := checkKey(key); err != nil {
		return fail(err)
	}
	if !path.IsAbs(dir) || strings.Contains(dir, "\n") {
		return fail(fmt.Errorf("the folder %q is no absolute path", dir))
	}
	next, args, err := s.successors(ctx, key, disks, dir)
	if err != nil {
		return fail(err)
	}
	if _, err := s.sh(ctx, successorScript, args...); err != nil {
		return fail(err)
	}
	return next, nil
}

func (s *Store) successors(ctx context.Context, key string, disks []engine.MachineDisk, dir string) (next []engine.MachineDisk, args []string, err error) {
	var writable []string
	for _, d := range disks {
		if !d.ReadOnly {
			writable = append(writable, d.Path)
		}
	}
	found, err := s.inspect(ctx, ownHeader, writable)
	if err != nil {
		return nil, nil, err
	}
	sizes := map[string]int64{}
	for _, f := range found {
		h, err := ReadHeader(f.start, f.size)
		if err != nil {
			return nil, nil, fmt.Errorf("%q: %w", f.path, err)
		}
		sizes[f.path] = h.VirtualBytes
	}
	for i, d := range disks {
		if !d.ReadOnly {
			frozen := path.Join(s.layerDir(key), fmt.Sprintf("disk%d.qcow2", i))
			size := sizes[d.Path]
			d.Path = path.Join(dir, fmt.Sprintf("disk%d-%.12s.qcow2", i, key))
			args = append(args, d.Path, frozen, fmt.Sprint(size))
		}
		next = append(next, d)
	}
	return next, args, nil
}

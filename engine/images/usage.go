package images

import (
	"context"
	"fmt"
	"path"
	"sort"
	"strconv"
	"strings"
	"time"

	"farm/engine"
)

// Stored is a layer with who has it.
type Stored struct {
	engine.Layer
	Owner string   // the user on the host whose files they are
	Users []string // folders of machines whose disks stand on it; never nil
}

// usersScript defines the shell function users DIR KEY, which prints the folders of machines whose
// disks stand on the layer in DIR: those that were made over it, and those that went on over it when
// it was frozen, which are named after it.
const usersScript = `
users() {
	for f in "$1"/uses/*; do
		[ -f "$f" ] || continue
		u=$(cat -- "$f")
		for o in "$u"/disk*.qcow2; do [ -e "$o" ] && { printf '%s\n' "$u"; break; }; done
	done
	for o in "$store"/machines/*/disk*-"$(printf %.12s "$2")".qcow2; do [ -e "$o" ] && printf '%s\n' "${o%/*}"; done
}
`

// Stored lists layers with their users, oldest first.
func (s *Store) Stored(ctx context.Context) ([]Stored, error) {
	fail := func(err error) ([]Stored, error) {
		return nil, engine.Blame(engine.FarmFault, fmt.Errorf("list layers on %s: %w", s.conn, err))
	}
	layers, err := s.List(ctx)
	if err != nil {
		return nil, err
	}
	out, err := s.sh(ctx, usersScript+`
store=$1; cd "$store/layers" || exit
for d in *; do
	[ -d "$d" ] || continue
	printf 'owner %s %s\n' "$d" "$(stat -c %U -- "$d" 2>/dev/null)"
	users "$d" "$d" | while IFS= read -r u; do printf 'user %s %s\n' "$d" "$u"; done
done; :`, s.dir)
	if err != nil {
		return fail(err)
	}
	owners, users := map[string]string{}, map[string][]string{}
	for line := range strings.Lines(out) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 3)
		switch {
		case len(f) != 3:
		case f[0] == "owner":
			owners[f[1]] = f[2]
		case f[0] == "user":
			users[f[1]] = append(users[f[1]], f[2])
		}
	}
	all := make([]Stored, len(layers))
	for i, l := range layers {
		all[i] = Stored{Layer: l, Owner: owners[l.Key], Users: append([]string{}, users[l.Key]...)}
	}
	return all, nil
}

// Download is a file that a callback fetched and the store keeps.
type Download struct {
	Names   []string // in the folder of downloads: one file may have several
	Bytes   int64
	Created time.Time
	Used    time.Time
}

// Fetched lists the downloads that are kept, the one that was used longest ago first.
func (s *Store) Fetched(ctx context.Context) ([]Download, error) {
	out, err := s.sh(ctx, `cd "$1" && find . -mindepth 1 -maxdepth 1 -type f -printf '%i %b %T@ %A@ %f\n'`, s.Downloads())
	if err != nil {
		return nil, engine.Blame(engine.FarmFault, fmt.Errorf("list downloads on %s: %w", s.conn, err))
	}
	byInode := map[string]*Download{}
	for line := range strings.Lines(out) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 5)
		if len(f) != 5 {
			continue
		}
		blocks, err1 := strconv.ParseInt(f[1], 10, 64)
		made, err2 := strconv.ParseFloat(f[2], 64)
		used, err3 := strconv.ParseFloat(f[3], 64)
		if err1 != nil || err2 != nil || err3 != nil {
			continue
		}
		d := byInode[f[0]]
		if d == nil {
			d = &Download{Bytes: blocks * 512, Created: time.Unix(int64(made), 0), Used: time.Unix(int64(max(made, used)), 0)}
			byInode[f[0]] = d
		}
		d.Names = append(d.Names, f[4])
	}
	all := make([]Download, 0, len(byInode))
	for _, d := range byInode {
		sort.Strings(d.Names)
		all = append(all, *d)
	}
	sort.Slice(all, func(i, j int) bool {
		if !all[i].Used.Equal(all[j].Used) {
			return all[i].Used.Before(all[j].Used)
		}
		return all[i].Names[0] < all[j].Names[0]
	})
	return all, nil
}

// Forget deletes a download. Whoever reads the file goes on reading it; the next to want it fetches it.
func (s *Store) Forget(ctx context.Context, d Download) error {
	var paths []string
	for _, name := range d.Names {
		if name == "" || name == "." || name == ".." || strings.Contains(name, "/") {
			return fmt.Errorf("%q is no download", name)
		}
		paths = append(paths, path.Join(s.Downloads(), name))
	}
	if _, err := s.sh(ctx, `rm -f -- "$@"`, paths...); err != nil {
		return engine.Blame(blameFor(err), fmt.Errorf("remove a download on %s: %w", s.conn, err))
	}
	return nil
}

// BaseKey is the key that Base gives a VM's base disks, and what it is made from; nothing is made.
func (s *Store) BaseKey(ctx context.Context, p engine.Preparation) (key string, inputs []engine.Input, err error) {
	pl, err := s.plan(ctx, p)
	if err != nil {
		return "", nil, err
	}
	return pl.key, pl.inputs, nil
}

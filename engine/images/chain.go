package images

import (
	"context"
	"crypto/rand"
	"fmt"
	"path"
	"strings"

	"farm/engine"
)

// deepest bounds a chain of layers: a record that names itself as its parent must not hang farm.
const deepest = 32

// standingScript defines the shell function standing LAYERS KEY ID, which fails unless the layer
// KEY is the one with that ID and stands, all the way down, on the layers that it was written
// over. It reads only the lines of layer.json that are the layer's own: two tabs deep.
const standingScript = `
field() { sed -n 's/^		"'"$1"'": "\([0-9A-Za-z-]*\)",\{0,1\}$/\1/p' "$record"; }
standing() {
	layer=$2; id=$3; left=32
	while [ -n "$layer" ]; do
		record=$1/$layer/layer.json; left=$((left - 1))
		if [ ! -f "$record" ]; then echo "layer $layer is gone" >&2; return 1; fi
		if [ -z "$id" ] || [ "$(field id)" != "$id" ]; then echo "layer $layer was made anew meanwhile" >&2; return 1; fi
		if [ $left -eq 0 ]; then echo "too many layers stand on each other" >&2; return 1; fi
		id=$(field parent_id); layer=$(field parent)
	done
}
`

// standing checks that l is still the layer of its key, over the layers that it was made on.
func (s *Store) standing(ctx context.Context, l engine.Layer) error {
	_, err := s.sh(ctx, standingScript+`standing "$@"`, path.Join(s.dir, "layers"), l.Key, l.ID)
	return err
}

// setAside moves a layer that cannot be used out of the way, and before it every layer that
// stands on it, for they hold only what differs from it. Machines that run on them keep their
// open files. It names the layers that went besides the one asked for; the caller holds its lock.
func (s *Store) setAside(ctx context.Context, key string) (children []string, err error) {
	records, err := s.records(ctx)
	if err != nil {
		return nil, err
	}
	above := map[string][]engine.Layer{}
	for _, r := range records {
		above[r.Layer.Parent] = append(above[r.Layer.Parent], r.Layer)
	}
	seen := map[string]bool{key: true}
	keys := []string{key}
	for i := 0; i < len(keys); i++ {
		for _, l := range above[keys[i]] {
			if !seen[l.Key] {
				seen[l.Key] = true
				keys = append(keys, l.Key)
				children = append(children, fmt.Sprintf("%q (%.12s)", l.Name, l.Key))
			}
		}
	}
	// The highest first: whoever is stopped half-way leaves no layer over a missing one. A layer
	// that another process moves away in this moment is gone all the same.
	args := []string{}
	for i := len(keys) - 1; i >= 0; i-- {
		args = append(args, s.layerDir(keys[i]), path.Join(s.dir, "tmp", keys[i]+"."+rand.Text()[:8]))
	}
	_, err = s.sh(ctx, `
while [ $# -gt 0 ]; do
	if [ -e "$1" ]; then
		if mv -T -- "$1" "$2"; then chmod -R u+rwX "$2"; rm -rf -- "$2" || exit
		elif [ -e "$1" ]; then exit 1; fi
	fi
	shift 2
done`, args...)
	return children, err
}

// replace makes room for the layer key, which is about to be published.
func (s *Store) replace(ctx context.Context, key string, warn func(text string)) error {
	children, err := s.setAside(ctx, key)
	if err == nil && len(children) > 0 && warn != nil {
		warn(fmt.Sprintf("layer %.12s on %s is made anew; what stood on the former one is set aside: %s", key, s.conn, strings.Join(children, ", ")))
	}
	return err
}

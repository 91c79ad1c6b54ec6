package images

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"

	"farm/engine"
	"farm/inventory/value"
)

// formatVersion is part of every base's key and of every layer.json: raising it
// makes farm prepare anew.
const formatVersion = 1

// record is layer.json.
type record struct {
	Format int          `json:"format"`
	Layer  engine.Layer `json:"layer"`
	// Rest is the keys of each disk that only templates read.
	Rest []json.RawMessage `json:"rest,omitempty"`
	// Files is every file that the layer consists of, as it was when it was frozen.
	Files []stamp `json:"files"`
}

// stamp is enough of a file's state to see that somebody wrote it.
type stamp struct {
	Path     string `json:"path"` // absolute
	Size     int64  `json:"size"`
	Modified int64  `json:"modified"`          // seconds since 1970
	Format   string `json:"format"`            // of a disk; "" = not a disk
	Backing  string `json:"backing,omitempty"` // what the header must name
}

var isKey = regexp.MustCompile(`^[0-9a-f]{64}$`)

func checkKey(key string) error {
	if !isKey.MatchString(key) {
		return fmt.Errorf("%q is no layer's key; a key is 64 hex digits", key)
	}
	return nil
}

func encode(l engine.Layer, files []stamp) ([]byte, error) {
	r := record{Format: formatVersion, Layer: l, Files: files}
	r.Layer.Disks = append([]engine.MachineDisk(nil), l.Disks...)
	for i, d := range l.Disks {
		text, err := json.Marshal(d.Rest)
		if err != nil {
			return nil, err
		}
		r.Rest = append(r.Rest, text)
		r.Layer.Disks[i].Rest = nil
	}
	return json.MarshalIndent(r, "", "\t")
}

func decode(text []byte) (record, error) {
	var r record
	if err := json.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("layer.json: %w", err)
	}
	if r.Format != formatVersion {
		return r, fmt.Errorf("layer.json has the format %d, not %d", r.Format, formatVersion)
	}
	for i, text := range r.Rest {
		if i >= len(r.Layer.Disks) {
			break
		}
		v, err := value.FromJSON(text)
		if err != nil {
			return r, fmt.Errorf("layer.json: disk %d: %w", i, err)
		}
		r.Layer.Disks[i].Rest, _ = v.(*value.Dict)
	}
	return r, nil
}

// seen is one file on the host as inspect found it.
type seen struct {
	path     string
	size     int64
	modified int64
	start    []byte // up to what was asked for
}

// inspectScript prints a line for each file: size, time of change and its start; - if it
// is missing, ! if it is no regular file. Links lead on outside of the store only: what lies in the
// store was made by callbacks, and farm changes its mode.
const inspectScript = `
n=$1; store=$2; shift 2
for f; do
	case $f in
	"$store"/*) if [ -e "$f" ] || [ -L "$f" ]; then [ "$(realpath -- "$f")" = "$f" ] || { echo !; continue; }; fi ;;
	esac
	if [ -f "$f" ]; then
		set -- $(stat -L -c '%s %Y' -- "$f")
		printf '%s %s ' "$1" "$2"; head -c "$n" -- "$f" | base64 | tr -d '\n'; echo
	elif [ -e "$f" ] || [ -L "$f" ]; then echo !
	else echo -; fi
done`

// missing and irregular are the sizes of what is no regular file.
const (
	missing   = -1
	irregular = -2
)

// inspect reads the state and the first n bytes of files in one command. Files in the store are
// named by their real paths, with no link in them.
func (s *Store) inspect(ctx context.Context, n int, files []string) ([]seen, error) {
	if len(files) == 0 {
		return nil, nil
	}
	out, err := s.sh(ctx, inspectScript, append([]string{strconv.Itoa(n), s.dir}, files...)...)
	if err != nil {
		return nil, err
	}
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	if len(lines) != len(files) {
		return nil, fmt.Errorf("asked for the state of %d files, got %d", len(files), len(lines))
	}
	all := make([]seen, len(files))
	for i, line := range lines {
		all[i] = seen{path: files[i], size: missing}
		if line == "!" {
			all[i].size = irregular
		}
		f := strings.Split(line, " ")
		if len(f) != 3 {
			continue
		}
		size, err1 := strconv.ParseInt(f[0], 10, 64)
		modified, err2 := strconv.ParseInt(f[1], 10, 64)
		start, err3 := base64.StdEncoding.DecodeString(f[2])
		if err := errors.Join(err1, err2, err3); err != nil {
			return nil, fmt.Errorf("the state of %q: %w", files[i], err)
		}
		all[i] = seen{files[i], size, modified, start}
	}
	return all, nil
}

// Find returns the layer with the key after a look at every file that it and its parents
// stand on; ErrNotExist if there is none, another error if it is damaged or stale.
func (s *Store) Find(ctx context.Context, key string) (engine.Layer, error) {
	l, err := s.find(ctx, key)
	if err != nil {
		return engine.Layer{}, engine.Blame(engine.FarmFault, fmt.Errorf("find layer %.12s on %s: %w", key, s.conn, err))
	}
	return l, nil
}

func (s *Store) find(ctx context.Context, key string) (engine.Layer, error) {
	var top, child engine.Layer
	for depth := 0; ; depth++ {
		if err := checkKey(key); err != nil {
			return top, err
		}
		if depth == deepest {
			return top, fmt.Errorf("more than %d layers stand on each other", deepest)
		}
		r, err := s.verify(ctx, key)
		if err != nil {
			if depth > 0 {
				// A missing parent is damage of the child, not "there is no such layer".
				return top, fmt.Errorf("its parent %.12s: %s", key, err)
			}
			return top, err
		}
		if depth == 0 {
			top = r.Layer
		} else if r.Layer.ID != child.ParentID {
			return top, fmt.Errorf("it is stale: its parent %.12s was made anew at %s, after layer %q was written over the former one",
				key, r.Layer.Created.Format(time.RFC3339), child.Name)
		}
		child = r.Layer
		if key = r.Layer.Parent; key == "" {
			return top, nil
		}
	}
}

func (s *Store) verify(ctx context.Context, key string) (record, error) {
	dir := s.layerDir(key)
	out, err := s.sh(ctx, `[ -f "$1/layer.json" ] || exit 0; touch -c -- "$1/used"; cat -- "$1/layer.json"`, dir)
	if err != nil {
		return record{}, err
	}
	if out == "" {
		return record{}, engine.ErrNotExist
	}
	r, err := decode([]byte(out))
	if err != nil {
		return r, err
	}
	if r.Layer.Key != key {
		return r, fmt.Errorf("layer.json is that of layer %.12s", r.Layer.Key)
	}
	if r.Layer.ID == "" {
		return r, errors.New("it is stale: it was made before layers had identities, so nothing tells what it stands on")
	}
	r.Layer.Used = time.Now()
	paths := make([]string, len(r.Files))
	for i, f := range r.Files {
		paths[i] = f.Path
	}
	found, err := s.inspect(ctx, ownHeader, paths)
	if err != nil {
		return r, err
	}
	for i, f := range r.Files {
		if err := f.same(found[i]); err != nil {
			return r, fmt.Errorf("%q: %w", f.Path, err)
		}
	}
	return r, nil
}

// ownHeader is as much of a file as is read where farm checked the whole header when
// it made the layer.
const ownHeader = 4 << 10

func (f stamp) same(now seen) error {
	switch {
	case now.size == irregular:
		return errors.New("it is no regular file any more")
	case now.size < 0:
		return errors.New("the file is gone")
	case now.size != f.Size || now.modified != f.Modified:
		return fmt.Errorf("the file was written after the layer was made (%d bytes, then %d)", f.Size, now.size)
	case f.Format != "qcow2":
		return nil
	}
	h, err := ReadHeader(now.start, now.size)
	if err != nil {
		return err
	}
	if h.Backing != f.Backing {
		return fmt.Errorf("it stands on %q, not on %q", h.Backing, f.Backing)
	}
	return nil
}

// List lists layers, oldest first. A folder without a readable layer.json is left out.
func (s *Store) List(ctx context.Context) ([]engine.Layer, error) {
	records, err := s.records(ctx)
	if err != nil {
		return nil, engine.Blame(engine.FarmFault, fmt.Errorf("list layers on %s: %w", s.conn, err))
	}
	layers := make([]engine.Layer, 0, len(records))
	for _, r := range records {
		layers = append(layers, r.Layer)
	}
	sort.SliceStable(layers, func(i, j int) bool { return layers[i].Created.Before(layers[j].Created) })
	return layers, nil
}

func (s *Store) records(ctx context.Context) ([]record, error) {
	out, err := s.sh(ctx, `
cd "$1/layers" || exit
for d in *; do
	[ -f "$d/layer.json" ] || continue
	printf '%s %s ' "$d" "$(stat -c %Y -- "$d/used" 2>/dev/null || echo 0)"; base64 "$d/layer.json" | tr -d '\n'; echo
done`, s.dir)
	if err != nil {
		return nil, err
	}
	var all []record
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		if len(f) != 3 {
			continue
		}
		text, err := base64.StdEncoding.DecodeString(f[2])
		if err != nil {
			continue
		}
		r, err := decode(text)
		if err != nil || r.Layer.Key != f[0] {
			continue
		}
		if used, err := strconv.ParseInt(f[1], 10, 64); err == nil && used > 0 {
			r.Layer.Used = time.Unix(used, 0)
		}
		all = append(all, r)
	}
	return all, nil
}

// publish gives the finished folder from its place: read-only files, everything on
// disk, then one rename. It fills in the layer's identity and size and the files' stamps.
func (s *Store) publish(ctx context.Context, from string, l engine.Layer, files []stamp) (engine.Layer, error) {
	to := s.layerDir(l.Key)
	l.Created = time.Now().UTC().Truncate(time.Second)
	l.Used = l.Created
	l.ID = l.Created.Format("20060102T150405Z") + "-" + rand.Text()
	inner := make([]string, len(files))
	for i, f := range files {
		inner[i] = f.Path
		if rel, ok := strings.CutPrefix(f.Path, to+"/"); ok {
			inner[i] = path.Join(from, rel)
		}
	}
	private := "" // a memory shows more than disks do: keys in use, passwords that were typed
	if l.Memory != nil {
		private = "memory"
	}
	out, err := s.shWithin(ctx, 30*time.Minute, `
cd "$1" && find . -type f -exec chmod 0444 {} + && { [ "$2" != memory ] || chmod 0400 memory; } && find . -type d -exec chmod 0755 {} + &&
{ find . -type f -exec sync {} + 2>/dev/null || sync; } && du -sk .`, from, private)
	if err != nil {
		return l, err
	}
	kib, _, _ := strings.Cut(out, "\t")
	n, err := strconv.ParseInt(strings.TrimSpace(kib), 10, 64)
	if err != nil {
		return l, fmt.Errorf("the size of %q: %w", from, err)
	}
	l.Bytes = n << 10
	now, err := s.inspect(ctx, 0, inner)
	if err != nil {
		return l, err
	}
	for i := range files {
		if now[i].size < 0 {
			return l, fmt.Errorf("%q is missing or no regular file", inner[i])
		}
		files[i].Size, files[i].Modified = now[i].size, now[i].modified
	}
	text, err := encode(l, files)
	if err != nil {
		return l, err
	}
	if err := s.conn.Upload(ctx, path.Join(from, "layer.json"), 0o444, bytes.NewReader(text)); err != nil {
		return l, err
	}
	_, err = s.sh(ctx, `
mkdir "$1/uses" && touch "$1/used" && { sync "$1/layer.json" "$1" 2>/dev/null || sync; } &&
mv -T -- "$1" "$2" && { sync "${2%/*}" 2>/dev/null || sync; }`, from, to)
	return l, err
}

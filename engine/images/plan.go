package images

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"strings"

	"farm/engine"
	"farm/inventory"
	"farm/inventory/value"
)

// call is one callback to run, its arguments evaluated.
type call struct {
	source, task int
	what         inventory.Source
	how          inventory.CallbackTask
	name         string
	def          engine.CallbackDef
}

// defaultProvision is the callback of an on_provision that names none.
const defaultProvision = "install_to_libvirt"

// plan is how a base comes about, and its key.
type plan struct {
	calls  []call
	disks  []inventory.Disk
	inputs []engine.Input
	key    string
}

// plan looks up the callbacks, evaluates and checks all arguments, and makes the key
// from everything that the disks' content depends on.
func (s *Store) plan(ctx context.Context, p engine.Preparation) (*plan, error) {
	pl := &plan{disks: p.VM.Def.Disks}
	for i, src := range p.VM.Def.Metadata.Sources {
		for j, t := range src.BeforeProvision {
			if err := pl.add(p, i, j, src, t, ""); err != nil {
				return nil, err
			}
		}
	}
	for i, src := range p.VM.Def.Metadata.Sources {
		if src.OnProvision == nil {
			continue
		}
		if err := pl.add(p, i, 0, src, *src.OnProvision, defaultProvision); err != nil {
			return nil, err
		}
	}
	return pl, s.key(ctx, p, pl)
}

func (pl *plan) add(p engine.Preparation, source, task int, src inventory.Source, t inventory.CallbackTask, fallback string) error {
	c := call{source: source, task: task, what: src, how: t, name: t.Callback}
	if c.name == "" {
		c.name = fallback
	}
	where := fmt.Sprintf("source %d, task %d of VM %q", source, task, p.VM.ID)
	if c.name == "" {
		return engine.Blamef(engine.UserFault, "%s: \"callback\" is missing", where)
	}
	var err error
	if c.def, err = p.Callback(c.name); err != nil {
		return engine.Blame(engine.UserFault, fmt.Errorf("%s: %w", where, err))
	}
	c.how.Args = t.Args.Copy()
	c.how.Args.SetPos(t.Args.Pos())
	if p.Vars != nil && t.Args.Len() > 0 {
		v, err := p.Vars.Eval(t.Args)
		if err != nil {
			return engine.Blame(engine.UserFault, fmt.Errorf("%s: callback %q: %w", where, c.name, err))
		}
		d, ok := v.(*value.Dict)
		if !ok {
			return engine.Blamef(engine.UserFault, "%s: the arguments of callback %q are %s", where, c.name, value.Kind(v))
		}
		c.how.Args = d
	}
	if _, err := c.callback(); err != nil {
		return engine.Blame(engine.UserFault, fmt.Errorf("%s: callback %q: %w", where, c.name, err))
	}
	pl.calls = append(pl.calls, c)
	return nil
}

// callback makes the callback with its arguments filled in.
func (c call) callback() (engine.Callback, error) {
	cb := c.def.New()
	return cb, value.Decode(c.how.Args, cb)
}

// key names the inputs and hashes them. Their names count too, so that no two plans
// run together.
func (s *Store) key(ctx context.Context, p engine.Preparation, pl *plan) error {
	pl.input("format", fmt.Sprint(formatVersion))
	for _, c := range pl.calls {
		args, err := json.Marshal(c.how.Args)
		if err != nil {
			return engine.Blame(engine.UserFault, fmt.Errorf("arguments of callback %q: %w", c.name, err))
		}
		name := fmt.Sprintf("source %d callback %s", c.source, c.def.Name)
		pl.input(name, string(args))
		cb, err := c.callback()
		if err != nil {
			return err
		}
		keyed, ok := cb.(engine.Keyed)
		if !ok {
			continue
		}
		text, err := keyed.Key(ctx, s.image(p, c))
		if err != nil {
			return engine.Blame(engine.FarmFault, fmt.Errorf("callback %q of VM %q on %s: %w", c.name, p.VM.ID, s.conn, err))
		}
		if text != "" {
			pl.input(name+" content", text)
		}
	}
	for i, d := range pl.disks {
		text, err := json.Marshal(d)
		if err != nil {
			return engine.Blame(engine.UserFault, fmt.Errorf("disk %d: %w", i, err))
		}
		pl.input(fmt.Sprintf("disk %d", i), string(text))
	}
	if k := p.VM.Def.Kernel; k.Src != "" {
		pl.input("kernel", k.Src+"\n"+k.Initrd)
	}
	if err := s.outside(ctx, p, pl); err != nil {
		return err
	}
	h := sha256.New()
	for _, in := range pl.inputs {
		fmt.Fprintf(h, "%d:%s%s", len(in.Name), in.Name, in.Digest)
	}
	pl.key = hex.EncodeToString(h.Sum(nil))
	return nil
}

// outside adds the state of the files that a disk or kernel may take from outside of farm.
func (s *Store) outside(ctx context.Context, p engine.Preparation, pl *plan) error {
	var paths []string
	for _, name := range files(p) {
		paths = append(paths, s.fromPool(p, name))
	}
	found, err := s.inspect(ctx, 0, paths)
	if err != nil {
		return engine.Blame(engine.FarmFault, fmt.Errorf("look at the files of VM %q on %s: %w", p.VM.ID, s.conn, err))
	}
	for _, f := range found {
		if f.size >= 0 {
			pl.input("file "+f.path, fmt.Sprintf("%d bytes, written at %d", f.size, f.modified))
		}
	}
	return nil
}

// files lists the files that p's definition names.
func files(p engine.Preparation) []string {
	var names []string
	for _, d := range p.VM.Def.Disks {
		names = append(names, d.Src)
	}
	names = append(names, p.VM.Def.Kernel.Src, p.VM.Def.Kernel.Initrd)
	kept := names[:0]
	for _, n := range names {
		if n != "" {
			kept = append(kept, n)
		}
	}
	return kept
}

// fromPool is where a name of the definition lies if no callback installed it.
func (s *Store) fromPool(p engine.Preparation, name string) string {
	if path.IsAbs(name) {
		return path.Clean(name)
	}
	return path.Join(s.pool(p), path.Join("/", name))
}

// pool is the user's own pool folder on the host.
func (s *Store) pool(p engine.Preparation) string {
	pool := p.VM.Def.Metadata.PoolDir
	if rest, ok := strings.CutPrefix(pool, "~"); ok && (rest == "" || rest[0] == '/') {
		pool = s.home + rest
	}
	if pool == "" {
		pool = path.Join(s.home, ".local/share/libvirt/images")
	}
	return path.Clean(pool)
}

// secret finds texts that may hold one: arguments so named, and logins in addresses.
var secret = regexp.MustCompile(`(?i)passw|secret|token|private|://[^/"]*@`)

// input adds one input; short ones are kept as text for `farm cache why`.
func (pl *plan) input(name, text string) {
	sum := sha256.Sum256([]byte(text))
	in := engine.Input{Name: name, Digest: hex.EncodeToString(sum[:])}
	const short = 400
	if len(text) <= short && !secret.MatchString(text) {
		in.Text = text
	}
	pl.inputs = append(pl.inputs, in)
}

// image is what a callback works with, but for its folders.
func (s *Store) image(p engine.Preparation, c call) *engine.Image {
	emit := p.Emit
	if emit == nil {
		emit = func(engine.Event) {}
	}
	return &engine.Image{
		Conn: s.conn, Local: p.Local, VM: p.VM,
		Source: c.what, Task: c.how, SourceIndex: c.source, TaskIndex: c.task,
		Cache: s.Downloads(), KeyPath: p.KeyPath, Mirror: p.Mirror,
		Facts: p.Facts, Vars: p.Vars, Emit: emit, Offline: p.Offline, Args: c.how.Args,
		Check: s.check,
		Lock: func(ctx context.Context, name string) (func(), error) {
			return s.lock(ctx, "callback "+name, func(holder string) {
				emit(engine.Event{Kind: engine.Progress, Text: fmt.Sprintf("waits for %s: %s", name, holder)})
			})
		},
	}
}

// check is engine.Image's Check.
func (s *Store) check(ctx context.Context, file, format string) (engine.ImageInfo, error) {
	found, err := s.inspect(ctx, HeaderBytes, []string{file})
	if err != nil {
		return engine.ImageInfo{}, fmt.Errorf("read the header of %q: %w", file, err)
	}
	if found[0].size == irregular {
		return engine.ImageInfo{}, engine.Blamef(engine.UserFault, "%q is no regular file (a link, a folder or a device)", file)
	}
	if found[0].size < 0 {
		return engine.ImageInfo{}, fmt.Errorf("read the header of %q: %w", file, engine.ErrNotExist)
	}
	h, err := Check(found[0].start, found[0].size, format)
	if err != nil {
		return engine.ImageInfo{}, fmt.Errorf("%q: %w", path.Base(file), err)
	}
	return engine.ImageInfo{Format: h.Format, VirtualBytes: h.VirtualBytes}, nil
}

package task

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"farm/engine"
	"farm/inventory/expr"
	"farm/inventory/value"
)

// Closures finds closures, and keeps them for other hosts as long as nothing that they depend
// on differs: the files, and the variables in the names of files. Safe for concurrent use.
type Closures struct {
	o Options
	r *Runner // reads no file

	mu   sync.Mutex
	kept map[string][]*kept
}

// kept is a closure with what it depends on.
type kept struct {
	closure *closure
	vars    map[string]string // digests of the variables that names of files depend on; "" = there is none
}

// most bounds the closures that are kept of one file.
const most = 64

// NewClosures returns a Closures for runners with o.
func NewClosures(o Options) *Closures {
	return &Closures{o: o, r: New(o), kept: map[string][]*kept{}}
}

// Of is Runner.Closure, and the variables that the files mention.
func (c *Closures) Of(path string, vars *expr.Vars, before ...string) ([]engine.Input, *expr.Mentions, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := strings.Join(append([]string{path}, before...), "\x00")
	for i, k := range c.kept[key] {
		if !k.fits(vars) {
			continue
		}
		if k.closure.fresh() {
			return k.closure.inputs, &k.closure.reads, nil
		}
		c.kept[key] = slices.Delete(c.kept[key], i, i+1)
		break
	}
	scope := vars.With()
	cl, err := New(c.o).close(path, scope, before) // a Runner reads each file once
	if err != nil || cl.loose {
		return cl.inputs, &cl.reads, err
	}
	k := &kept{closure: cl, vars: map[string]string{}}
	for _, name := range scope.Read() {
		if k.vars[name] = rawDigest(vars, name); k.vars[name] == onReading {
			return cl.inputs, &cl.reads, nil
		}
	}
	if list := c.kept[key]; len(list) >= most {
		c.kept[key] = list[1:]
	}
	c.kept[key] = append(c.kept[key], k)
	return cl.inputs, &cl.reads, nil
}

func (k *kept) fits(vars *expr.Vars) bool {
	for name, digest := range k.vars {
		if rawDigest(vars, name) != digest {
			return false
		}
	}
	return true
}

const onReading = "made on reading"

func rawDigest(vars *expr.Vars, name string) string {
	raw, ok := vars.Raw(name)
	if !ok {
		return ""
	}
	digest, ok := Digest(raw)
	if !ok {
		return onReading
	}
	return digest
}

// state is enough of a file or folder to see that it has changed.
type state struct {
	info os.FileInfo // nil = there is none
}

func look(path string) state {
	info, err := os.Stat(path)
	if err != nil {
		return state{}
	}
	return state{info}
}

func (s state) same(now state) bool {
	if s.info == nil || now.info == nil {
		return s.info == now.info
	}
	return os.SameFile(s.info, now.info) && s.info.Size() == now.info.Size() && s.info.Mode() == now.info.Mode() && s.info.ModTime().Equal(now.info.ModTime())
}

// watch notes the state of a path, once.
func (c *closure) watch(path string) {
	if _, ok := c.watched[path]; !ok {
		c.watched[path] = look(path)
	}
}

// watchNames watches the folders in which a name is looked up.
func (c *closure) watchNames(dirs []string, kind string, n fileName) {
	if n.glob && strings.Contains(n.text, "/") {
		c.loose = true
		return
	}
	for _, dir := range dirs {
		c.watch(filepath.Dir(filepath.Join(dir, n.text)))
		if kind != "" {
			c.watch(filepath.Dir(filepath.Join(dir, kind, n.text)))
		}
	}
}

// fresh reports whether everything that was looked at is as it was.
func (c *closure) fresh() bool {
	for path, was := range c.watched {
		if !was.same(look(path)) {
			return false
		}
	}
	return true
}

// Variables adds to m what the variables in it may read themselves, at any depth, and returns
// what they look up besides. vars are the host's. Where any variable may be read, those count that
// seldom does not leave out.
func (c *Closures) Variables(m *expr.Mentions, vars *expr.Vars, seldom func(name string) bool) (*expr.Mentions, []engine.Input) {
	all := &expr.Mentions{}
	cl := &closure{r: c.r, vars: vars, set: &produced{names: map[string]bool{}}, seen: map[string]bool{}, watched: map[string]state{}}
	next := m
	for len(next.Paths) > 0 || next.Any != "" && all.Any == "" {
		names := next
		if next.Any != "" && all.Any == "" {
			names = &expr.Mentions{Any: next.Any}
			names.Join(next)
			for _, name := range vars.Names() {
				if !seldom(name) {
					names.Name(name, "")
				}
			}
			all.Any = next.Any
		}
		next = &expr.Mentions{}
		for _, name := range slices.Sorted(maps.Keys(names.Paths)) {
			for path := range names.Paths[name] {
				if all.Paths[name][path] {
					continue
				}
				all.Name(name, path)
				if raw, ok := Part(vars, name, path); ok {
					vars.Engine().Mention(next, raw)
					cl.look(raw, &scope{keys: value.NewDict()}, nil)
				}
			}
		}
	}
	return all, cl.inputs
}

// Part is what a path leads to in a variable, not evaluated: as far as there are mappings.
func Part(vars *expr.Vars, name, path string) (any, bool) {
	raw, ok := vars.Raw(name)
	if !ok || path == "" {
		return raw, ok
	}
	for key := range strings.SplitSeq(path, ".") {
		d, isDict := raw.(*value.Dict)
		if !isDict {
			break
		}
		item, has := d.Get(key)
		if !has {
			return nil, false
		}
		raw = item
	}
	return raw, true
}

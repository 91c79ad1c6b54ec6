package expr

import (
	"errors"
	"slices"
	"sort"
	"sync"

	"farm/inventory/source"
	"farm/inventory/value"
)

// Vars is a set of variables in layers, the later winning. Values may hold templates,
// which are evaluated when a variable is read, each at most once for one Vars; one that needs
// itself is an error that names the chain. Safe for concurrent use. It is an engine.Vars.
//
// The dicts given as layers are shared and must not be changed any more.
type Vars struct {
	e      *Engine
	parent *Vars
	layers []*value.Dict

	mu   sync.Mutex
	memo map[string]memo     // values evaluated here or, if they do not depend on it, in a scope over this one
	read map[string]struct{} // names asked for
}

// memo is an evaluated variable with the names that its templates asked for, at any depth.
type memo struct {
	val  any
	deps []string
}

// Lazy is a value whose parts are made on reading, such as hostvars. It may stand
// as a value in any layer of Vars.
type Lazy interface {
	Get(key string) (v any, ok bool, err error)
	Keys() []string
}

// Vars makes a scope of layers, the last winning. Nil layers are empty.
func (e *Engine) Vars(layers ...*value.Dict) *Vars {
	return &Vars{e: e, layers: slices.Clone(layers)}
}

// With returns a scope that sees layers over v. It costs a few words: what v has
// evaluated is shared as far as the layers do not change it.
func (v *Vars) With(layers ...*value.Dict) *Vars {
	return &Vars{e: v.e, parent: v, layers: slices.Clone(layers)}
}

// Engine is the engine that v evaluates with.
func (v *Vars) Engine() *Engine { return v.e }

// Lazy is v as a value: its keys are variables, evaluated on reading.
func (v *Vars) Lazy() Lazy { return lazyVars{v} }

type lazyVars struct{ v *Vars }

func (l lazyVars) Get(key string) (any, bool, error) { return l.v.Get(key) }
func (l lazyVars) Keys() []string                    { return l.v.Names() }

// Get evaluates a variable; ok is false where there is none.
func (v *Vars) Get(name string) (val any, ok bool, err error) {
	r := newRun()
	val, ok, err = v.lookup(r, name)
	raw, _ := v.Raw(name)
	if l, lazy := val.(Lazy); lazy && err == nil {
		if _, made := raw.(value.Template); made {
			val, err = v.whole(r, l)
		}
	}
	return val, ok, err
}

// Raw returns a variable without evaluating it.
func (v *Vars) Raw(name string) (val any, ok bool) {
	val, _, ok = v.find(name)
	return val, ok
}

// own looks only into v's own layers.
func (v *Vars) own(name string) (any, bool) {
	for i := len(v.layers) - 1; i >= 0; i-- {
		if val, ok := v.layers[i].Get(name); ok {
			return val, true
		}
	}
	return nil, false
}

// find returns the raw value and the scope that has it.
func (v *Vars) find(name string) (any, *Vars, bool) {
	for s := v; s != nil; s = s.parent {
		if val, ok := s.own(name); ok {
			return val, s, true
		}
	}
	return nil, nil, false
}

// Names lists the variables, sorted.
func (v *Vars) Names() []string {
	seen := map[string]bool{}
	for s := v; s != nil; s = s.parent {
		for _, l := range s.layers {
			for _, k := range l.Keys() {
				seen[k] = true
			}
		}
	}
	names := make([]string, 0, len(seen))
	for k := range seen {
		names = append(names, k)
	}
	sort.Strings(names)
	return names
}

// inOrder lists the variables in the order in which they came to be, those of the outermost scope
// first.
func (v *Vars) inOrder() []string {
	var names []string
	if v.parent != nil {
		names = v.parent.inOrder()
	}
	seen := map[string]bool{}
	for _, n := range names {
		seen[n] = true
	}
	for _, l := range v.layers {
		for _, k := range l.Keys() {
			if !seen[k] {
				seen[k] = true
				names = append(names, k)
			}
		}
	}
	return names
}

// Read lists the names of variables that were read through v so far, sorted, with scopes
// made by With counted in. Names that were asked for and do not exist are among them, as
// in `x is defined`: their coming into being would change what was evaluated.
func (v *Vars) Read() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	names := make([]string, 0, len(v.read))
	for k := range v.read {
		names = append(names, k)
	}
	sort.Strings(names)
	return names
}

// note records that name is read; it reports whether it was already.
func (v *Vars) note(name string) bool {
	known := true
	for s := v; s != nil; s = s.parent {
		s.mu.Lock()
		_, had := s.read[name]
		if !had {
			if s.read == nil {
				s.read = map[string]struct{}{}
			}
			s.read[name] = struct{}{}
		}
		s.mu.Unlock()
		if s == v {
			known = had
		}
		if had { // then it is noted further up too
			break
		}
	}
	return known
}

// remembered finds a memo that holds in v: one made by a scope above owner or at it
// counts only if the layers between do not hold any name that it depends on.
func (v *Vars) remembered(name string, owner *Vars) (memo, bool) {
	for s := v; ; s = s.parent {
		s.mu.Lock()
		m, ok := s.memo[name]
		s.mu.Unlock()
		if ok && !v.shadows(s, m.deps) {
			return m, true
		}
		if s == owner {
			return memo{}, false
		}
	}
}

// shadows reports whether a scope from v up to, not including, top holds one of names.
func (v *Vars) shadows(top *Vars, names []string) bool {
	for s := v; s != top; s = s.parent {
		for _, n := range names {
			if _, ok := s.own(n); ok {
				return true
			}
		}
	}
	return false
}

// remember keeps m in the highest scope where it holds. If another goroutine was
// first, its value stands.
func (v *Vars) remember(name string, owner *Vars, m memo) memo {
	s := v
	for s != owner && !s.parent.shadowedBy(s, m.deps) {
		s = s.parent
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.memo[name]; ok {
		return old
	}
	if s.memo == nil {
		s.memo = map[string]memo{}
	}
	s.memo[name] = m
	return m
}

func (v *Vars) shadowedBy(child *Vars, names []string) bool { return child.shadows(v, names) }

// lookup evaluates a variable within a run.
func (v *Vars) lookup(r *run, name string) (any, bool, error) {
	raw, owner, ok := v.find(name)
	r.depends(name)
	if !ok {
		if _, global := v.e.globals[name]; !global {
			v.note(name)
		}
		return nil, false, nil
	}
	known := v.note(name)
	switch raw.(type) {
	case nil, bool, int64, value.Big, float64, string, value.Omit, Lazy:
		return raw, true, nil
	}
	if m, ok := v.remembered(name, owner); ok {
		for _, d := range m.deps {
			r.depends(d)
			if !known {
				v.note(d)
			}
		}
		return m.val, true, nil
	}
	if err := r.enter(v, name); err != nil {
		return nil, true, positionedAt(raw, err)
	}
	val, err := v.evalInside(r, raw)
	deps := r.leave()
	if err != nil {
		return nil, true, err
	}
	return v.remember(name, owner, memo{val, deps}).val, true, nil
}

// positionedAt places an error at the first template in raw.
func positionedAt(raw any, err error) error {
	var placed *source.Error
	if errors.As(err, &placed) {
		return err
	}
	return &source.Error{Pos: firstPos(raw), Err: err}
}

func firstPos(raw any) source.Pos {
	switch t := raw.(type) {
	case value.Template:
		return t.Pos
	case *value.Dict:
		return t.Pos()
	case []any:
		for _, x := range t {
			if p := firstPos(x); !p.IsZero() {
				return p
			}
		}
	}
	return source.Pos{}
}

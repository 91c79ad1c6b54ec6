package value

import (
	"iter"
	"math"

	"farm/inventory/source"
)

// Dict is a mapping that keeps the order in which its keys came, as Python's does.
// Keys are strings, int64s, Bigs, bools, float64s or nil; 1, 1.0 and true are the same key. A nil *Dict is empty and readable.
type Dict struct {
	// Farms hold many small dicts, so up to smallDict keys are searched, not hashed.
	entries []entry
	index   map[any]int
	pos     *source.Pos // nil if not from a file; never written through
}

type entry struct {
	key, val any
	at       *place // nil if not from a file; copies share it
}

// place is where an entry stands in its file.
type place struct {
	key   source.Pos
	val   spot   // zero where it is not known
	items []spot // of the items of a list
}

type spot struct{ line, col int32 }

const smallDict = 12

// NewDict returns an empty dict, or one with the given key, value, key, value, ...
func NewDict(pairs ...any) *Dict {
	d := &Dict{}
	if len(pairs) > 1 {
		d.entries = make([]entry, 0, len(pairs)/2)
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		d.Set(pairs[i], pairs[i+1])
	}
	return d
}

// find returns the place of key, -1 if there is none.
func (d *Dict) find(key any) int {
	if d == nil {
		return -1
	}
	if d.index != nil {
		if i, ok := d.index[key]; ok {
			return i
		}
		return -1
	}
	if s, ok := key.(string); ok {
		for i := range d.entries {
			if k, ok := d.entries[i].key.(string); ok && k == s {
				return i
			}
		}
		return -1
	}
	for i := range d.entries {
		if same(d.entries[i].key) == key {
			return i
		}
	}
	return -1
}

// normal is key as it is looked up.
func normal(key any) any {
	if i, ok := key.(int); ok {
		return int64(i)
	}
	return same(key)
}

// same is equal for keys that are the same to Python: 1, 1.0 and true.
func same(key any) any {
	switch t := key.(type) {
	case bool:
		if t {
			return int64(1)
		}
		return int64(0)
	case float64:
		if t == math.Trunc(t) && math.Abs(t) < 1<<62 {
			return int64(t)
		}
	}
	return key
}

// Len is the number of keys.
func (d *Dict) Len() int {
	if d == nil {
		return 0
	}
	return len(d.entries)
}

// Get returns the value at key, and whether there is one. An int is looked up as int64.
func (d *Dict) Get(key any) (any, bool) {
	if i := d.find(normal(key)); i >= 0 {
		return d.entries[i].val, true
	}
	return nil, false
}

// Has reports whether key is there.
func (d *Dict) Has(key any) bool { return d.find(normal(key)) >= 0 }

// Set adds or replaces; a replaced key keeps its place.
func (d *Dict) Set(key, v any) {
	if i, ok := key.(int); ok {
		key = int64(i)
	}
	d.set(key, v)
}

// set returns the place of key.
func (d *Dict) set(key, v any) int {
	i := d.find(same(key))
	if i >= 0 {
		d.entries[i].val = v
		return i
	}
	i = len(d.entries)
	d.entries = append(d.entries, entry{key: key, val: v})
	switch {
	case d.index != nil:
		d.index[same(key)] = i
	case len(d.entries) > smallDict:
		d.reindex()
	}
	return i
}

func (d *Dict) reindex() {
	d.index = nil
	if len(d.entries) > smallDict {
		d.index = make(map[any]int, len(d.entries))
		for i := range d.entries {
			d.index[same(d.entries[i].key)] = i
		}
	}
}

// Delete removes key if it is there.
func (d *Dict) Delete(key any) {
	i := d.find(normal(key))
	if i < 0 {
		return
	}
	d.entries = append(d.entries[:i:i], d.entries[i+1:]...)
	d.reindex()
}

// All iterates in order.
func (d *Dict) All() iter.Seq2[any, any] {
	return func(yield func(any, any) bool) {
		if d == nil {
			return
		}
		for _, e := range d.entries {
			if !yield(e.key, e.val) {
				return
			}
		}
	}
}

// Keys returns the string keys in order; other keys are left out.
func (d *Dict) Keys() []string {
	var keys []string
	for k := range d.All() {
		if s, ok := k.(string); ok {
			keys = append(keys, s)
		}
	}
	return keys
}

// Copy returns a dict that may be changed without changing d; values are shared.
func (d *Dict) Copy() *Dict {
	if d == nil {
		return &Dict{}
	}
	c := &Dict{entries: append([]entry(nil), d.entries...), pos: d.pos}
	c.reindex()
	return c
}

// Pos is where the mapping starts, zero if it did not come from a file.
func (d *Dict) Pos() source.Pos {
	if d == nil || d.pos == nil {
		return source.Pos{}
	}
	return *d.pos
}

// KeyPos is where key stands, or the mapping's own place if that is not known.
func (d *Dict) KeyPos(key any) source.Pos {
	if i := d.find(normal(key)); i >= 0 && d.entries[i].at != nil {
		return d.entries[i].at.key
	}
	return d.Pos()
}

// ValPos is where the value at key stands, or KeyPos if that is not known.
func (d *Dict) ValPos(key any) source.Pos {
	p := d.KeyPos(key)
	if i := d.find(normal(key)); i >= 0 && d.entries[i].at != nil {
		return d.entries[i].at.val.in(p)
	}
	return p
}

// ItemPos is where item i of the list at key stands, or ValPos if that is not known.
func (d *Dict) ItemPos(key any, i int) source.Pos {
	p := d.ValPos(key)
	if at := d.find(normal(key)); at >= 0 && d.entries[at].at != nil && i < len(d.entries[at].at.items) {
		return d.entries[at].at.items[i].in(p)
	}
	return p
}

// in is the spot as a place in the file of p; p where the spot is not known.
func (s spot) in(p source.Pos) source.Pos {
	if s.line > 0 {
		p.Line, p.Col = int(s.line), int(s.col)
	}
	return p
}

// SetPos records where the mapping starts.
func (d *Dict) SetPos(p source.Pos) {
	if d.pos = nil; !p.IsZero() {
		d.pos = &p
	}
}

// SetKeyPos records where key, which is there, stands; the value's place is not known then.
func (d *Dict) SetKeyPos(key any, p source.Pos) {
	if i := d.find(normal(key)); i >= 0 {
		if d.entries[i].at = nil; !p.IsZero() {
			d.entries[i].at = &place{key: p}
		}
	}
}

// CopyPos records for key, which is there, the places that it has in from.
func (d *Dict) CopyPos(key any, from *Dict) {
	i, j := d.find(normal(key)), from.find(normal(key))
	if i < 0 || j < 0 {
		return
	}
	if d.entries[i].at = from.entries[j].at; d.entries[i].at == nil {
		d.SetKeyPos(key, from.Pos())
	}
}

// Merge returns low with high laid over it: dicts merge key by key at every depth,
// anything else (lists too) is replaced whole.
func Merge(low, high *Dict) *Dict {
	out := low.Copy()
	if out.pos == nil && high != nil {
		out.pos = high.pos
	}
	for i := range high.Len() {
		e := high.entries[i]
		if hd, ok := e.val.(*Dict); ok {
			if lv, _ := out.Get(e.key); lv != nil {
				if ld, ok := lv.(*Dict); ok {
					e.val = Merge(ld, hd)
				}
			}
		}
		i := out.set(e.key, e.val)
		if e.at != nil {
			out.entries[i].at = e.at
		}
	}
	return out
}

package inventory

import (
	"fmt"
	"path"
	"strings"

	"farm/inventory/source"
	"farm/inventory/value"
)

// edit returns base with the keys of a native definition laid over it. "KEY+: [...]"
// appends to a list; "sources" stands for metadata.sources; "insert" puts callbacks
// into a source's before_provision. With an error comes what is right.
func edit(base, own *value.Dict) (*value.Dict, error) {
	own, err := lift(own)
	inserts, hasInserts := own.Get("insert")
	insertPos := own.KeyPos("insert")
	own.Delete("insert")
	out, mergeErr := mergeEdits(base, own)
	errs := []error{err, mergeErr}
	if _, failed := inserts.(value.Omit); !hasInserts || failed {
		return out, source.Join(errs...)
	}
	list, ok := inserts.([]any)
	if !ok {
		list = []any{inserts}
	}
	for _, one := range list {
		edited, err := insert(out, one, insertPos)
		if errs = append(errs, err); err == nil {
			out = edited
		}
	}
	return out, source.Join(errs...)
}

// lift moves sources and sources+ into metadata, as far as that is right.
func lift(d *value.Dict) (*value.Dict, error) {
	out := d.Copy()
	var errs []error
	for _, key := range []string{"sources", "sources+"} {
		v, ok := out.Get(key)
		if !ok {
			continue
		}
		m, _ := out.Get("metadata")
		md, isDict := m.(*value.Dict)
		pos := out.KeyPos(key)
		switch {
		case m != nil && !isDict:
			errs = append(errs, source.Errorf(out.KeyPos("metadata"), "metadata is %s, not a mapping", value.Kind(m)))
		case md.Has(key):
			errs = append(errs, source.Errorf(pos, "%s is given here and in metadata", key))
		default:
			md = md.Copy()
			md.Set(key, v)
			md.CopyPos(key, out)
			out.Set("metadata", md)
		}
		out.Delete(key)
	}
	return out, source.Join(errs...)
}

// mergeEdits is value.Merge that also knows "KEY+". With an error comes low with what is right.
func mergeEdits(low, high *value.Dict) (*value.Dict, error) {
	out := low.Copy()
	if out.Pos().IsZero() {
		out.SetPos(high.Pos())
	}
	var errs []error
	for k, v := range high.All() {
		key, pos := k, high.KeyPos(k)
		if name, isText := k.(string); isText && len(name) > 1 && strings.HasSuffix(name, "+") {
			key = strings.TrimSuffix(name, "+")
			var list []any
			switch have, _ := out.Get(key); t := have.(type) {
			case value.Omit:
				continue
			case nil:
			case []any:
				list = t
			case *value.Dict: // stands for a list of it, as in net
				list = []any{t}
			default:
				errs = append(errs, source.Errorf(pos, "%s: there is %s to append to, not a list", name, value.Kind(have)))
				continue
			}
			more, ok := v.([]any)
			if !ok {
				more = []any{v}
			}
			v = append(list[:len(list):len(list)], more...)
		} else if hd, ok := v.(*value.Dict); ok {
			have, _ := out.Get(k)
			ld, _ := have.(*value.Dict)
			if ld != nil || hasEdits(hd) {
				merged, err := mergeEdits(ld, hd)
				if err != nil {
					errs = append(errs, err)
				}
				v = merged
			}
		}
		out.Set(key, v)
		if key == k {
			out.CopyPos(k, high)
		} else {
			out.SetKeyPos(key, pos)
		}
	}
	return out, source.Join(errs...)
}

func hasEdits(d *value.Dict) bool {
	for k, v := range d.All() {
		if name, ok := k.(string); ok && strings.HasSuffix(name, "+") {
			return true
		}
		if sub, ok := v.(*value.Dict); ok && hasEdits(sub) {
			return true
		}
	}
	return false
}

// insertion is one entry of `insert`: a callback with its arguments, and where it goes.
type insertion struct {
	After  string      `yaml:"after"`
	Before string      `yaml:"before"`
	Source int         `yaml:"source"` // index of the source, from 0
	Task   *value.Dict `yaml:",rest"`
}

func insert(vm *value.Dict, v any, pos source.Pos) (*value.Dict, error) {
	d, ok := v.(*value.Dict)
	if !ok {
		return nil, &source.Error{Pos: pos, What: "insert is " + value.Kind(v) + ", not a mapping", Hint: "{after: fetch, callback: NAME, ...}"}
	}
	var in insertion
	if err := value.Decode(d, &in); err != nil {
		return nil, err
	}
	if (in.After == "") == (in.Before == "") || !in.Task.Has("callback") {
		return nil, &source.Error{Pos: d.Pos(), What: "insert needs a callback and one of after and before", Hint: "{after: fetch, callback: NAME, ...}"}
	}
	m, _ := vm.Get("metadata")
	md, _ := m.(*value.Dict)
	s, _ := md.Get("sources")
	sources, _ := s.([]any)
	if in.Source < 0 || in.Source >= len(sources) {
		return nil, source.Errorf(d.Pos(), "insert: there is no source %d, only %d in all", in.Source, len(sources))
	}
	src, _ := sources[in.Source].(*value.Dict)
	b, _ := src.Get("before_provision")
	tasks, _ := b.([]any)
	at, err := insertAt(tasks, in, d)
	if err != nil {
		return nil, err
	}
	in.Task.SetPos(d.Pos())
	edited := append(append(append([]any(nil), tasks[:at]...), in.Task), tasks[at:]...)
	src = src.Copy()
	src.Set("before_provision", edited)
	sources = append([]any(nil), sources...)
	sources[in.Source] = src
	md = md.Copy()
	md.Set("sources", sources)
	vm = vm.Copy()
	vm.Set("metadata", md)
	return vm, nil
}

// insertAt is the index for the new callback: behind the last of the name, or before the first.
func insertAt(tasks []any, in insertion, d *value.Dict) (int, error) {
	want, found := in.After, -1
	if in.Before != "" {
		want = in.Before
	}
	var names []string
	for i, t := range tasks {
		td, _ := t.(*value.Dict)
		v, _ := td.Get("callback")
		name := shortName(value.Text(v))
		names = append(names, name)
		if name == shortName(want) && (found < 0 || in.After != "") {
			found = i
		}
	}
	if found < 0 {
		hint := source.DidYouMean(want, names)
		switch {
		case hint == "" && names == nil:
			hint = "it has none"
		case hint == "":
			hint = "there are: " + strings.Join(names, ", ")
		}
		return 0, &source.Error{Pos: d.Pos(), What: fmt.Sprintf("insert: no callback %q in before_provision", want), Hint: hint}
	}
	if in.After != "" {
		found++
	}
	return found, nil
}

// shortName is "fetch" for "callbacks/sources/fetch.yaml".
func shortName(callback string) string {
	base := path.Base(callback)
	for _, ext := range []string{".yaml", ".yml"} {
		base = strings.TrimSuffix(base, ext)
	}
	return base
}

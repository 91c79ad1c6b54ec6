package expr

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"farm/inventory/value"
)

// written is how an expression reads in messages: "vm.disks[0]"; "" if it is no path.
func written(x expression) string {
	switch n := x.(type) {
	case *name:
		return n.id
	case *attribute:
		if p := written(n.x); p != "" {
			return p + "." + n.name
		}
		return n.name
	case *subscript:
		p := written(n.x)
		if c, ok := n.key.(*constant); ok && p != "" {
			return p + "[" + repr(c.v) + "]"
		}
		return p
	}
	return ""
}

// attr is x.name: a key of a mapping, or what the kind of value has.
func (m *machine) attr(x any, name string) any {
	switch t := x.(type) {
	case *undefined:
		if t.soft {
			t.fail()
		}
		return t // so that default() catches a missing part anywhere in a path
	case *value.Dict:
		if v, ok := t.Get(name); ok {
			return m.plain(v)
		}
		return lacking(x, name, t.Keys())
	case *namespace:
		return m.attr(t.d, name)
	case lazyVars:
		return m.crossing(t, name)
	case Lazy:
		v, ok, err := t.Get(name)
		if err != nil {
			throwErr(err)
		}
		if !ok {
			return &undefined{name: name, keys: t.Keys()}
		}
		return m.resolve(v)
	case *loop:
		return t.attr(name)
	case moment:
		return t.attr(name)
	case span:
		if name == "days" || name == "seconds" {
			days := int64(time.Duration(t) / (24 * time.Hour))
			if name == "days" {
				return days
			}
			return int64(time.Duration(t)/time.Second) - days*86400
		}
	}
	return lacking(x, name, []string{})
}

// lacking is the part of x that does not exist; keys are those that do.
func lacking(x any, name string, keys []string) *undefined {
	of := "'" + typeName(x) + " object'"
	if x == nil {
		of = "None"
	}
	return &undefined{name: name, why: of + " has no attribute '" + name + "'", keys: keys}
}

// plain evaluates a template that stands in a value that was not evaluated.
func (m *machine) plain(v any) any {
	if _, ok := v.(value.Template); ok {
		return m.resolve(v)
	}
	return v
}

// crossing reads a variable of other Vars within this run, so that chains that go
// round through hostvars are found.
func (m *machine) crossing(l lazyVars, name string) any {
	if l.v != m.vars {
		m.run.chain = append(m.run.chain, link{l.v, "", map[string]struct{}{}})
		defer func(n int) { m.run.chain = m.run.chain[:n] }(len(m.run.chain) - 1)
		if len(m.run.chain) > maxChain {
			throw("more than %d variables that need each other", maxChain)
		}
	}
	v, ok, err := l.v.lookup(m.run, name)
	var undef *UndefinedError
	switch {
	case errors.As(err, &undef):
		return &undefined{name: name, err: err}
	case err != nil:
		throwErr(err)
	case !ok:
		return &undefined{name: name, keys: l.Keys()}
	}
	return v
}

// index is x[key].
func (m *machine) index(x, key any) any {
	if u, ok := key.(*undefined); ok {
		u.fail()
	}
	var list []any
	switch t := x.(type) {
	case *undefined:
		if t.soft {
			t.fail()
		}
		return t
	case *value.Dict:
		if v, ok := t.Get(dictKey(key)); ok {
			return m.plain(v)
		}
		return lacking(x, text(key), t.Keys())
	case []any:
		list = t
	case tuple:
		list = t
	case string:
		if _, ok := key.(int64); ok {
			list = m.items(t)
		}
	default:
		return m.attr(x, text(key))
	}
	if i, ok := key.(int64); ok {
		if i < 0 {
			i += int64(len(list))
		}
		if i >= 0 && i < int64(len(list)) {
			return m.plain(list[i])
		}
		return &undefined{
			name: fmt.Sprintf("item %s of a list of %d", text(key), len(list)), keys: []string{},
			why: fmt.Sprintf("%s object has no element %s", typeName(x), text(key)),
		}
	}
	return lacking(x, text(key), []string{})
}

// slice is x[low:high:step] with Python's rules.
func slice(x any, bounds [3]any) any {
	var list []any
	switch t := x.(type) {
	case *undefined:
		t.fail()
	case []any:
		list = t
	case tuple:
		list = t
	case string:
		for _, r := range t {
			list = append(list, r)
		}
	default:
		throw("%s has no slices", kindOf(x))
	}
	n := int64(len(list))
	step := int64(1)
	at := func(i int, def int64) int64 {
		switch b := bounds[i].(type) {
		case nil:
			return def
		case *undefined:
			b.fail()
		case int64:
			return b
		}
		throw("%s cannot bound a slice", kindOf(bounds[i]))
		return 0
	}
	if step = at(2, 1); step == 0 {
		throw("a slice with step 0")
	}
	clamp := func(i, low, high int64) int64 {
		if i < 0 {
			i += n
		}
		return min(max(i, low), high)
	}
	var picked []any
	if step > 0 {
		low, high := clamp(at(0, 0), 0, n), clamp(at(1, n), 0, n)
		for i := low; i < high; i += step {
			picked = append(picked, list[i])
			if step > n {
				break
			}
		}
	} else {
		low, high := n-1, int64(-1)
		if bounds[0] != nil {
			low = clamp(at(0, 0), -1, n-1)
		}
		if bounds[1] != nil {
			high = clamp(at(1, 0), -1, n-1)
		}
		for i := low; i > high; i += step {
			picked = append(picked, list[i])
			if -step > n {
				break
			}
		}
	}
	switch x.(type) {
	case string:
		runes := make([]rune, len(picked))
		for i, r := range picked {
			runes[i] = r.(rune)
		}
		return string(runes)
	case tuple:
		return tuple(picked)
	}
	if picked == nil {
		return []any{}
	}
	return picked
}

// intArg reads a whole number for an argument of a method or a filter.
func intArg(x any, what string) int64 {
	switch t := x.(type) {
	case *undefined:
		t.fail()
	case bool:
		if t {
			return 1
		}
		return 0
	case int64:
		return t
	case float64:
		if t == float64(int64(t)) {
			return int64(t)
		}
	case string:
		if i, err := strconv.ParseInt(t, 10, 64); err == nil {
			return i
		}
	}
	throw("%s is %s, not a whole number", what, kindOf(x))
	return 0
}

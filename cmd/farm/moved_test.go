package main

import (
	"testing"
	"time"

	"farm/engine"
	"farm/inventory"
)

func in(name, text string) engine.Input {
	return engine.Input{Name: name, Digest: "digest of " + text, Text: text}
}

func TestFirstMovedNamesOldAndNewValue(t *testing.T) {
	a, b := in("variable a", "1"), in("variable b", "2")
	secret := engine.Input{Name: "variable token", Digest: "0123456789abcdef"}
	other := engine.Input{Name: "variable token", Digest: "fedcba9876543210"}
	for name, c := range map[string]struct {
		was, is []engine.Input
		want    string // "" = nothing moved
	}{
		"nothing":     {[]engine.Input{a, b}, []engine.Input{a, b}, ""},
		"the order":   {[]engine.Input{a, b}, []engine.Input{b, a}, ""},
		"a value":     {[]engine.Input{a, b}, []engine.Input{a, in("variable b", "3")}, "variable b was 2, is 3"},
		"a part":      {[]engine.Input{in("machine", `{"Arch":"x","Firmware":""}`)}, []engine.Input{in("machine", `{"Arch":"x","Firmware":"auto"}`)}, `machine firmware was "", is "auto"`},
		"the first":   {[]engine.Input{a, b}, []engine.Input{in("variable a", "0"), in("variable b", "3")}, "variable a was 1, is 0"},
		"a new one":   {[]engine.Input{a}, []engine.Input{a, b}, "variable b is new: 2"},
		"one gone":    {[]engine.Input{a, b}, []engine.Input{b}, "variable a does not count any more; it was 1"},
		"a secret":    {[]engine.Input{secret}, []engine.Input{other}, "variable token was content 0123456789ab, is content fedcba987654"},
		"twice named": {[]engine.Input{in("lookup x", "1"), in("lookup x", "2")}, []engine.Input{in("lookup x", "1"), in("lookup x", "3")}, "lookup x was 2, is 3"},
	} {
		t.Run(name, func(t *testing.T) {
			m, ok := firstMoved(c.was, c.is)
			if got := m.String(); ok != (c.want != "") || ok && got != c.want {
				t.Errorf("got %v %q, want %q", ok, got, c.want)
			}
		})
	}
}

// layers are a base, made anew meanwhile, and the states of one VM over it.
func someLayers() []engine.Layer {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return []engine.Layer{
		{Key: "base1", ID: "i1", Name: "base", VM: "tiny/amd64", Created: at, Inputs: []engine.Input{in("source 0 callback fetch", "old.qcow2")}},
		{Key: "init1", ID: "i2", Name: "p.0.init", VM: "tiny/amd64", Parent: "base1", ParentID: "i1", Created: at.Add(time.Hour), Inputs: []engine.Input{in("variable a", "1")}},
		{Key: "init2", ID: "i3", Name: "p.0.init", VM: "other/amd64", Parent: "base1", ParentID: "i1", Created: at.Add(2 * time.Hour), Inputs: []engine.Input{in("variable a", "2")}},
		{Key: "stale", ID: "i4", Name: "q.0.init", VM: "tiny/amd64", Parent: "base1", ParentID: "i0", Created: at.Add(time.Minute)},
	}
}

func TestJudgeTellsHitsAndWhatMoved(t *testing.T) {
	layers := someLayers()
	old, now := layers[0].Inputs, []engine.Input{in("source 0 callback fetch", "new.qcow2")}
	for name, c := range map[string]struct {
		state engine.CachedState
		vm    string
		base  []engine.Input
		hit   bool
		why   string
	}{
		"a hit":              {engine.CachedState{Key: "init1", Name: "p.0.init", Parent: "base1"}, "tiny/amd64", old, true, ""},
		"another VM's layer": {engine.CachedState{Key: "init1", Name: "p.0.init", Parent: "base1"}, "third/amd64", old, true, ""},
		"a variable": {engine.CachedState{Key: "new", Name: "p.0.init", Parent: "base1", Inputs: []engine.Input{in("variable a", "5")}}, "tiny/amd64", old,
			false, "variable a was 1, is 5"},
		"the revision": {engine.CachedState{Key: "new", Name: "p.1.init", Parent: "base1", Inputs: layers[1].Inputs}, "tiny/amd64", old, false, "name was p.0.init, is p.1.init"},
		"the base": {engine.CachedState{Key: "new", Name: "p.0.init", Parent: "base2", Inputs: layers[1].Inputs}, "tiny/amd64", now,
			false, "base: source 0 callback fetch was old.qcow2, is new.qcow2"},
		"another project": {engine.CachedState{Key: "new", Name: "r.0.init", Parent: "base1"}, "tiny/amd64", old, false, "none is kept yet"},
		"nothing yet":     {engine.CachedState{Key: "new", Name: "p.0.init", Parent: "base1"}, "fourth/amd64", old, false, "none is kept yet"},
		"cannot be known": {engine.CachedState{Name: "p.0.init", Why: "init.yaml:1:3: why"}, "tiny/amd64", old, false, "it is not kept: init.yaml:1:3: why"},
		"too old": {engine.CachedState{Key: "init1", Name: "p.0.init", Parent: "base1", NotBefore: layers[1].Created.Add(time.Second)}, "tiny/amd64", old,
			false, "the layer was made at " + layers[1].Created.Local().Format(time.DateTime) + ", and is to be made anew"},
		"over another base": {engine.CachedState{Key: "stale", Name: "q.0.init", Parent: "base1"}, "tiny/amd64", old, false, "the layer below it was made anew"},
	} {
		t.Run(name, func(t *testing.T) {
			got := judge(c.state, inventory.VM{ID: c.vm}, c.base, layers)
			if got.Hit != c.hit || !got.Hit && got.Why != c.why {
				t.Errorf("got %v %q, want %v %q", got.Hit, got.Why, c.hit, c.why)
			}
		})
	}
}

func TestOriginNamesTheFormerLayerOfTheVM(t *testing.T) {
	layers := append(someLayers(), engine.Layer{
		Key: "init3", Name: "p.0.init", VM: "tiny/amd64", Parent: "base1", Created: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC), Inputs: []engine.Input{in("variable a", "3")},
	})
	last := layers[len(layers)-1]
	o := originOf(cached{ID: last.Key, Name: last.Name, VM: last.VM, Parent: last.Parent, Created: last.Created}, layers)
	if o.Former != "init1" || o.Moved == nil || o.Moved.String() != "variable a was 1, is 3" {
		t.Errorf("%+v, %v", o, o.Moved)
	}
	first := layers[0]
	if o := originOf(cached{ID: first.Key, Name: first.Name, VM: first.VM, Created: first.Created}, layers); o.Former != "" || o.Moved != nil {
		t.Errorf("the first of its kind: %+v", o)
	}
}

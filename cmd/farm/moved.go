package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"farm/engine"
)

// movement is an input that differs between two makings of a layer.
type movement struct {
	Input string `json:"input"`
	Was   string `json:"was"` // "" = it did not count
	Is    string `json:"is"`  // "" = it does not count any more
}

func (m movement) String() string {
	m = m.narrowed()
	switch {
	case m.Was == "":
		return m.Input + " is new: " + m.Is
	case m.Is == "":
		return m.Input + " does not count any more; it was " + m.Was
	}
	return fmt.Sprintf("%s was %s, is %s", m.Input, m.Was, m.Is)
}

// narrowed is the movement of the first part that differs, where both values are mappings.
func (m movement) narrowed() movement {
	var was, is map[string]json.RawMessage
	if json.Unmarshal([]byte(m.Was), &was) != nil || json.Unmarshal([]byte(m.Is), &is) != nil {
		return m
	}
	all := maps.Clone(was)
	maps.Copy(all, is)
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if string(was[key]) != string(is[key]) {
			return movement{m.Input + " " + strings.ToLower(key), string(was[key]), string(is[key])}
		}
	}
	return m
}

// firstMoved is the first input, in the order of is, in which two layers differ; ok is false
// where none does.
func firstMoved(was, is []engine.Input) (m movement, ok bool) {
	before := map[string][]engine.Input{}
	for _, in := range was {
		before[in.Name] = append(before[in.Name], in)
	}
	for _, in := range is {
		old := before[in.Name]
		if len(old) == 0 {
			return movement{Input: in.Name, Is: shownInput(in)}, true
		}
		if old[0].Digest != in.Digest {
			return movement{in.Name, shownInput(old[0]), shownInput(in)}, true
		}
		before[in.Name] = old[1:]
	}
	for _, in := range was {
		if left := before[in.Name]; len(left) > 0 {
			return movement{Input: in.Name, Was: shownInput(left[0])}, true
		}
	}
	return m, false
}

// shownInput is an input's value, or enough of its digest to tell two apart.
func shownInput(in engine.Input) string {
	if in.Text != "" {
		return in.Text
	}
	return fmt.Sprintf("content %.12s", in.Digest)
}

// kind is what a layer's state is of any project: base, clean or init.
func kind(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }

// wanted is a layer as it would be made now.
type wanted struct {
	name, vm, parent string
	inputs           []engine.Input
	base             []engine.Input // the inputs of what it stands on, if that is known
}

// project is the start of a state's name that its project's other revisions share.
func project(name string) string {
	start, _, _ := strings.Cut(name, ".")
	return start
}

// nearest is the layer that w came from most likely: of the same VM, kind and project, of the same name if
// there is one, and the newest. nil = there is none.
func (w wanted) nearest(layers []engine.Layer) *engine.Layer {
	var best *engine.Layer
	for i, l := range layers {
		if l.VM != w.vm || kind(l.Name) != kind(w.name) || project(l.Name) != project(w.name) {
			continue
		}
		same := l.Name == w.name
		if best == nil || same && best.Name != w.name || same == (best.Name == w.name) && l.Created.After(best.Created) {
			best = &layers[i]
		}
	}
	return best
}

// moved is the first thing in which w differs from a layer; layers are all there are.
func (w wanted) moved(from engine.Layer, layers []engine.Layer) (movement, bool) {
	if m, ok := firstMoved(from.Inputs, w.inputs); ok {
		return m, true
	}
	if from.Name != w.name {
		return movement{"name", from.Name, w.name}, true
	}
	if from.Parent == w.parent {
		return movement{}, false
	}
	for _, l := range layers {
		if l.Key != from.Parent {
			continue
		}
		if m, ok := firstMoved(l.Inputs, w.base); ok && w.base != nil {
			m.Input = "base: " + m.Input
			return m, true
		}
	}
	return movement{"base", fmt.Sprintf("layer %.12s", from.Parent), fmt.Sprintf("layer %.12s", w.parent)}, true
}

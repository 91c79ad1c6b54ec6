package runner

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"farm/engine"
	"farm/inventory"
)

// layerFormat is part of every key: a new format makes old layers miss.
const layerFormat = 2

// states are a VM's cached states, and since when they must have been made.
func (r *run) states(vm inventory.VM, base engine.Layer, s Settings) (map[string]engine.CachedState, error) {
	states, err := States(r.Tasks, vm, base.Key, s)
	for name, st := range states {
		states[name] = Dated(name, st, s, r.Refresh, r.began)
	}
	return states, err
}

// leading are the phases that lead to a state.
var leading = map[string][]string{"clean": {"startup"}, "init": {"startup", "dependencies", "init"}}

// Dated is a state with the time since when a layer of it must have been made: as the settings say, and not
// before the run began where one of its phases is refreshed.
func Dated(name string, st engine.CachedState, s Settings, refresh map[string]bool, began time.Time) engine.CachedState {
	for _, phase := range leading[name] {
		when := time.Time{}
		if s.MaxAge != nil && s.MaxAge(phase) > 0 {
			when = time.Now().Add(-s.MaxAge(phase))
		}
		if refresh[phase] {
			when = began
		}
		if when.After(st.NotBefore) {
			st.NotBefore = when.Truncate(time.Second) // as layers have it
		}
	}
	return st
}

// States works out the names and keys of a VM's cached states over the base with a key. A key covers
// the parent's key, the parts of the definition that reach the guest, the files of the
// phases that lead to the state with everything they read, variables too. An
// input that cannot be known makes the state uncacheable, which costs time only.
func States(tasks engine.Tasks, vm inventory.VM, base string, s Settings) (map[string]engine.CachedState, error) {
	if !s.Cache {
		return map[string]engine.CachedState{"clean": {}, "init": {}}, nil
	}
	hardware, err := hardwareInput(vm, s.Template)
	if err != nil {
		return nil, err
	}
	clean := state("clean", base, []engine.Input{hardware})
	inputs := []engine.Input{hardware}
	for _, phase := range []string{"dependencies", "init"} {
		file, _, err := tasks.PhaseFile(vm, phase)
		if err != nil {
			return nil, engine.Blame(engine.UserFault, err)
		}
		if file == "" {
			continue
		}
		read, err := tasks.Inputs(vm, file)
		if err != nil {
			return nil, engine.Blame(engine.UserFault, err)
		}
		for _, in := range read {
			if !slices.Contains(inputs, in) {
				inputs = append(inputs, in)
			}
		}
	}
	name := fmt.Sprintf("%s.%s.init", s.Project, s.Revision)
	return map[string]engine.CachedState{"clean": clean, "init": state(name, base, inputs)}, nil
}

func state(name, parent string, inputs []engine.Input) engine.CachedState {
	for _, in := range inputs {
		if in.Unknown != "" {
			return engine.CachedState{Name: name, Why: in.Unknown}
		}
	}
	h := sha256.New()
	fmt.Fprintf(h, "farm layer %d\n%s\n%q\n", layerFormat, parent, name)
	for _, in := range inputs {
		fmt.Fprintf(h, "%q %s\n", in.Name, in.Digest)
	}
	return engine.CachedState{Key: hex.EncodeToString(h.Sum(nil)), Name: name, Parent: parent, Inputs: inputs}
}

// hardwareInput is the machine that a guest sees, as far as a system on disk adapts to it.
func hardwareInput(vm inventory.VM, template string) (engine.Input, error) {
	d := vm.Def
	text, err := json.Marshal(struct {
		Arch, Machine string
		Kernel        inventory.Kernel
		Firmware      string
		Hostname      string
		Buses         []string
		Template      string `json:",omitempty"`
	}{d.Arch, d.Machine, d.Kernel, d.Firmware.Loader, d.Metadata.Hostname, buses(d), template})
	return engine.Input{Name: "machine", Digest: Digest(text), Text: string(text)}, err
}

func buses(d inventory.Definition) []string {
	var list []string
	for _, disk := range d.Disks {
		list = append(list, disk.DevName+":"+disk.Bus+":"+disk.Size)
	}
	return list
}

// Digest is the SHA-256 of text in hex.
func Digest(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

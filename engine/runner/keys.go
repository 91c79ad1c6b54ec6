package runner

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"farm/engine"
	"farm/inventory"
)

// layerFormat is part of every key: a new format makes old layers miss.
const layerFormat = 2

// states works out the names and keys of a VM's cached states. A key covers the
// parent's key, the parts of the definition that reach the guest, the files of the
// phases that lead to the state with everything they read, variables too. An
// input that cannot be known makes the state uncacheable, which costs time only.
func (r *run) states(vm inventory.VM, base engine.Layer, s Settings) (map[string]engine.CachedState, error) {
	if !s.Cache {
		return map[string]engine.CachedState{"clean": {}, "init": {}}, nil
	}
	hardware, err := hardwareInput(vm, s.Template)
	if err != nil {
		return nil, err
	}
	clean := state("clean", base.Key, []engine.Input{hardware})
	inputs := []engine.Input{hardware}
	for _, phase := range []string{"dependencies", "init"} {
		file, _, err := r.Tasks.PhaseFile(vm, phase)
		if err != nil {
			return nil, engine.Blame(engine.UserFault, err)
		}
		if file == "" {
			continue
		}
		read, err := r.Tasks.Inputs(vm, file)
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
	return map[string]engine.CachedState{"clean": clean, "init": state(name, base.Key, inputs)}, nil
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

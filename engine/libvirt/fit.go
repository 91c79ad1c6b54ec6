package libvirt

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"farm/engine"
	"farm/inventory"
	"farm/inventory/source"

	rpc "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"
)

// asked holds what a host was asked about machines: the VMs of a run are of few kinds.
type asked struct {
	mu      sync.Mutex
	files   map[string]bool // path on the host: it is there
	domains map[domainKind]domainAnswer
}

// domainKind is what libvirt is asked about.
type domainKind struct{ arch, emulator, machine string }

type domainAnswer struct {
	why    string   // that kind of machine cannot be made; "" = it can
	models []string // CPUs that it emulates; nil = libvirt does not say
}

// Unable says why the host cannot make a VM's machine, though it emulates the architecture:
// a file of the definition that is not there, a machine type or CPU that the emulator does not know; ""
// where nothing speaks against it. What it asks the host it asks once. Safe for concurrent use.
func (h *Host) Unable(ctx context.Context, vm inventory.VM) (string, error) {
	caps, err := h.Capabilities(ctx)
	if err != nil {
		return "", err
	}
	b := &builder{spec: engine.MachineSpec{VM: vm}, caps: caps, mark: &mark{}}
	if err := b.resolve(); err != nil {
		return "", nil // Define tells
	}
	h.asked.mu.Lock()
	defer h.asked.mu.Unlock()
	for _, file := range []struct{ what, path string }{
		{"emulator", vm.Def.Emulator}, {"firmware", b.loader}, {"NVRAM template", b.nvramFrom},
	} {
		if there, err := h.there(ctx, file.path); err != nil {
			return "", err
		} else if !there {
			return fmt.Sprintf("no %s %s", file.what, file.path), nil
		}
	}
	emulator := vm.Def.Emulator
	if emulator == "" {
		emulator = b.guest.Emulator
	}
	known := vm.Def.Emulator == "" && slices.Contains(b.guest.Machines, b.machine)
	anyCPU := b.plainCPU()
	if known && anyCPU {
		return "", nil
	}
	a, err := h.domainAnswer(ctx, domainKind{b.arch, emulator, b.machine})
	switch {
	case err != nil:
		return "", err
	case a.why != "" && vm.Def.Emulator != "":
		return fmt.Sprintf("emulator %s: %s", emulator, a.why), nil
	case a.why != "" && !known:
		return lacks("machine type", b.machine, b.arch, b.guest.Machines), nil
	case a.why != "":
		return a.why, nil
	case !anyCPU && a.models != nil && !slices.Contains(a.models, vm.Def.CPU):
		return lacks("CPU", vm.Def.CPU, b.arch, a.models), nil
	}
	return "", nil
}

// lacks says that a host has no such thing for an architecture, and the nearest that it has.
func lacks(what, name, arch string, have []string) string {
	why := fmt.Sprintf("no %s %s for %s", what, name, arch)
	if hint := source.DidYouMean(name, have); hint != "" {
		why += ", " + hint
	}
	return why
}

// plainCPU reports whether a machine's CPU needs no question: it is the host's, farm's own choice, or
// goes to the emulator's command line.
func (b *builder) plainCPU() bool {
	model := b.def().CPU
	return b.guest.KVM && b.def().VirtDomain != "qemu" || model == "" || model == "max" || model == emulatedCPUs[b.arch] || strings.Contains(model, ",")
}

// there reports whether a file is on the host; "" always is.
func (h *Host) there(ctx context.Context, path string) (bool, error) {
	if path == "" {
		return true, nil
	}
	if there, ok := h.asked.files[path]; ok {
		return there, nil
	}
	out, err := h.cfg.Conn.Exec(ctx, engine.Cmd{Argv: []string{"/bin/sh", "-c", `if [ -r "$1" ] && [ ! -d "$1" ]; then echo there; fi`, "sh", path}})
	if err != nil {
		return false, fmt.Errorf("look for %s: %w", path, err)
	}
	if h.asked.files == nil {
		h.asked.files = map[string]bool{}
	}
	h.asked.files[path] = len(out.Stdout) > 0
	return h.asked.files[path], nil
}

// domainAnswer asks for libvirt's domain capabilities.
func (h *Host) domainAnswer(ctx context.Context, k domainKind) (domainAnswer, error) {
	if a, ok := h.asked.domains[k]; ok {
		return a, nil
	}
	given := func(text string) rpc.OptString {
		if text == "" {
			return nil
		}
		return rpc.OptString{text}
	}
	text, err := ask(ctx, h.link, op{what: "ask for domain capabilities", budget: probeBudget, again: true}, func(r *rpc.Libvirt) (string, error) {
		return r.ConnectGetDomainCapabilities(given(k.emulator), given(k.arch), given(k.machine), given("qemu"), 0)
	})
	var a domainAnswer
	var refusal *callError
	switch {
	case errors.As(err, &refusal):
		a.why = refusal.Message
	case err != nil:
		return a, err
	default:
		var answer libvirtxml.DomainCaps
		if err := answer.Unmarshal(text); err != nil {
			return a, fmt.Errorf("read libvirt's answer: %w", err)
		}
		a.models = emulatedModels(answer.CPU)
	}
	if h.asked.domains == nil {
		h.asked.domains = map[domainKind]domainAnswer{}
	}
	h.asked.domains[k] = a
	return a, nil
}

// emulatedModels are the CPUs that libvirt knows of an emulator; nil where it does not say.
func emulatedModels(cpu *libvirtxml.DomainCapsCPU) (names []string) {
	if cpu == nil {
		return nil
	}
	for _, mode := range cpu.Modes {
		if mode.Name != "custom" || mode.Supported != "yes" {
			continue
		}
		for _, m := range mode.Models {
			names = append(names, m.Name)
		}
	}
	return names
}

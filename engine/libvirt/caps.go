package libvirt

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"farm/engine"
	"farm/inventory"

	rpc "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"
)

// Capabilities is what the host can run; asked once and kept. The first question may
// take minutes: the daemon asks every emulator, and acceleration is tried by booting a guest.
func (h *Host) Capabilities(ctx context.Context) (engine.Capabilities, error) {
	c, err := h.caps.get(func() (engine.Capabilities, error) { return h.readCapabilities(ctx) })
	if err != nil {
		return c, fmt.Errorf("capabilities of %q: %w", h.cfg.Name, err)
	}
	return c, nil
}

func (h *Host) readCapabilities(ctx context.Context) (engine.Capabilities, error) {
	type answer struct {
		xml     string
		version uint64
	}
	a, err := ask(ctx, h.link, op{what: "ask for capabilities", budget: probeBudget, again: true}, func(r *rpc.Libvirt) (answer, error) {
		version, err := r.ConnectGetLibVersion()
		if err != nil {
			return answer{}, err
		}
		text, err := r.ConnectGetCapabilities()
		return answer{text, version}, err
	})
	if err != nil {
		return engine.Capabilities{}, err
	}
	var caps libvirtxml.Caps
	if err := caps.Unmarshal(a.xml); err != nil {
		return engine.Capabilities{}, fmt.Errorf("read libvirt's answer: %w", err)
	}
	firmware, err := h.firmware(ctx)
	if err != nil {
		return engine.Capabilities{}, err
	}
	b := h.basic
	c := engine.Capabilities{
		Arch: b.arch, VCPUs: b.vcpus, MemoryMiB: b.totalMiB, FreeMiB: b.availableMiB,
		Home: b.home, URI: h.cfg.URI, LibvirtVersion: versionText(a.version),
		Guests: guests(caps, firmware), Facts: b.facts(),
	}
	for _, arch := range sorted(c.Guests) {
		g := c.Guests[arch]
		if g.KVM, g.WhyNot, err = h.probeKVM(ctx, arch, g.Emulator, offersKVM(caps, arch)); err != nil {
			return engine.Capabilities{}, err
		}
		c.Guests[arch] = g
	}
	return c, nil
}

// guests lists the architectures that libvirt has an emulator for.
func guests(caps libvirtxml.Caps, firmware map[string][]inventory.Firmware) map[string]engine.GuestSupport {
	out := map[string]engine.GuestSupport{}
	for _, g := range caps.Guests {
		if g.OSType != "hvm" {
			continue
		}
		s := engine.GuestSupport{Emulator: g.Arch.Emulator, Firmware: firmware[g.Arch.Name]}
		add := func(ms []libvirtxml.CapsGuestMachine) {
			for _, m := range ms {
				if !slices.Contains(s.Machines, m.Name) {
					s.Machines = append(s.Machines, m.Name)
				}
			}
		}
		add(g.Arch.Machines)
		for _, d := range g.Arch.Domains {
			add(d.Machines)
			if s.Emulator == "" {
				s.Emulator = d.Emulator
			}
		}
		out[g.Arch.Name] = s
	}
	return out
}

func offersKVM(caps libvirtxml.Caps, arch string) bool {
	for _, g := range caps.Guests {
		if g.OSType != "hvm" || g.Arch.Name != arch {
			continue
		}
		for _, d := range g.Arch.Domains {
			if d.Type == "kvm" {
				return true
			}
		}
	}
	return false
}

// versionText writes libvirt's number, major*1000000 + minor*1000 + release.
func versionText(v uint64) string {
	return fmt.Sprintf("%d.%d.%d", v/1_000_000, v/1000%1000, v%1000)
}

// facts are the few of Ansible's that definitions of VMs read.
func (b basics) facts() map[string]any {
	return map[string]any{
		"ansible_architecture":         b.arch,
		"ansible_kernel":               b.kernel,
		"ansible_memfree_mb":           b.freeMiB,
		"ansible_memtotal_mb":          b.totalMiB,
		"ansible_processor_vcpus":      b.vcpus,
		"ansible_processor_nproc":      b.vcpus,
		"ansible_env":                  map[string]any{"HOME": b.home, "USER": b.user},
		"ansible_user_id":              b.user,
		"ansible_user_dir":             b.home,
		"ansible_user_uid":             b.uid,
		"ansible_system":               "Linux",
		"ansible_distribution":         b.distribution,
		"ansible_distribution_version": b.distVersion,
	}
}

// firmwareScript prints the firmware descriptors, those of the user before those of
// the administrator before the distribution's, each after a line with its path.
const firmwareScript = `for dir in "${XDG_CONFIG_HOME:-$HOME/.config}/qemu/firmware" /etc/qemu/firmware /usr/share/qemu/firmware; do
	for f in "$dir"/*.json; do
		[ -r "$f" ] || continue
		printf '\036%s\n' "$f"
		head -c 65536 "$f"
	done
done`

// firmware reads the UEFI descriptors of QEMU (docs/interop/firmware.json), by
// architecture, the best first.
func (h *Host) firmware(ctx context.Context) (map[string][]inventory.Firmware, error) {
	out, err := h.cfg.Conn.Exec(ctx, engine.Cmd{Script: firmwareScript, Keep: 4 << 20})
	if err != nil {
		return nil, fmt.Errorf("read the firmware descriptors: %w", err)
	}
	return h.present(ctx, parseFirmware(string(out.Stdout)))
}

// present drops firmware whose files are missing: distributions ship descriptors of
// files that they do not.
func (h *Host) present(ctx context.Context, all map[string][]inventory.Firmware) (map[string][]inventory.Firmware, error) {
	argv := []string{"/bin/sh", "-c", `for f; do [ ! -r "$f" ] || printf '%s\n' "$f"; done`, "sh"}
	for _, arch := range sorted(all) {
		for _, f := range all[arch] {
			argv = append(argv, f.Loader, f.NVRAMTemplate)
		}
	}
	out, err := h.cfg.Conn.Exec(ctx, engine.Cmd{Argv: argv, Keep: 1 << 20})
	if err != nil {
		return nil, fmt.Errorf("look for the firmware: %w", err)
	}
	there := strings.Split(string(out.Stdout), "\n")
	for arch, fs := range all {
		all[arch] = slices.DeleteFunc(fs, func(f inventory.Firmware) bool {
			return !slices.Contains(there, f.Loader) || !slices.Contains(there, f.NVRAMTemplate)
		})
	}
	return all, nil
}

type descriptor struct {
	Interfaces []string `json:"interface-types"`
	Mapping    struct {
		Device     string `json:"device"`
		Mode       string `json:"mode"`
		Executable struct {
			Filename string `json:"filename"`
			Format   string `json:"format"`
		} `json:"executable"`
		Template struct {
			Filename string `json:"filename"`
			Format   string `json:"format"`
		} `json:"nvram-template"`
	} `json:"mapping"`
	Targets []struct {
		Architecture string `json:"architecture"`
	} `json:"targets"`
	Features []string `json:"features"`
}

// parseFirmware keeps what can boot any system: flash with a variable store in raw
// form. Firmware that enforces Secure Boot, or that needs SMM for it, comes last.
func parseFirmware(text string) map[string][]inventory.Firmware {
	plain, secure := map[string][]inventory.Firmware{}, map[string][]inventory.Firmware{}
	seen := map[string]bool{}
	for _, part := range strings.Split(text, "\x1e")[1:] {
		file, body, _ := strings.Cut(part, "\n")
		name := file[strings.LastIndexByte(file, '/')+1:]
		if seen[name] {
			continue // a descriptor hides those of its name in later folders
		}
		seen[name] = true
		var d descriptor
		if json.Unmarshal([]byte(body), &d) != nil {
			continue
		}
		m := d.Mapping
		if !slices.Contains(d.Interfaces, "uefi") || m.Device != "flash" || m.Executable.Format != "raw" || m.Template.Filename == "" {
			continue
		}
		into := plain
		if slices.Contains(d.Features, "enrolled-keys") || slices.Contains(d.Features, "requires-smm") {
			into = secure
		}
		for _, t := range d.Targets {
			f := inventory.Firmware{Loader: m.Executable.Filename, NVRAMTemplate: m.Template.Filename}
			if !slices.Contains(into[t.Architecture], f) {
				into[t.Architecture] = append(into[t.Architecture], f)
			}
		}
	}
	for arch, fs := range secure {
		plain[arch] = append(plain[arch], fs...)
	}
	return plain
}

func sorted[T any](m map[string]T) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

package libvirt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"path"
	"slices"
	"strings"
	"time"

	"farm/engine"
)

// probeTime is how long an emulated probe guest gets; it takes about a second. The
// accelerated one gets that guest's time and probeSlack: where /dev/kvm opens but does not
// work it never ends, or it crawls, ten times slower than emulation.
const (
	probeTime  = 20 * time.Second
	probeSlack = time.Second
)

// probe is a guest that proves that the CPU executes it, by ending the emulator.
type probe struct {
	image  []byte
	args   []string // of the emulator; IMAGE stands for the image's path
	cpu    []string // further ones for acceleration
	status int      // of the emulator, when the guest ran
}

// digest changes with the probe, so that another version of farm asks anew.
func (p probe) digest() string {
	return fmt.Sprintf("%08x", crc32.ChecksumIEEE(fmt.Appendf(bytes.Clone(p.image), "%q", p.args)))
}

// probes are the guests, by architecture.
func probes() map[string]probe {
	x86 := probe{
		image: bootSector(),
		args: []string{"-machine", "pc", "-m", "32", "-drive", "file=IMAGE,format=raw,if=ide,snapshot=on",
			"-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"},
		status: 0x20<<1 | 1, // see QEMU's isa-debug-exit
	}
	return map[string]probe{
		"x86_64": x86,
		"i686":   x86,
		"aarch64": {
			image:  powerOff(),
			args:   []string{"-cpu", "max", "-machine", "virt", "-m", "64", "-kernel", "IMAGE"},
			cpu:    []string{"-machine", "gic-version=host", "-cpu", "host"},
			status: 0,
		},
	}
}

// bootSector writes 0x20 to the debug port and halts: BIOS code for real mode.
func bootSector() []byte {
	s := make([]byte, 512)
	copy(s, []byte{
		0xba, 0xf4, 0x00, // mov dx, 0xf4
		0xb0, 0x20, // mov al, 0x20
		0xee,       // out dx, al
		0xf4,       // hlt
		0xeb, 0xfd, // jmp to the hlt
	})
	s[510], s[511] = 0x55, 0xaa
	return s
}

// powerOff asks PSCI to turn the machine off (Arm DEN 0022, SYSTEM_OFF), by hypervisor call.
func powerOff() []byte {
	var b bytes.Buffer
	for _, word := range []uint32{
		0xd2b08000, // movz x0, #0x8400, lsl #16
		0xf2800100, // movk x0, #8
		0xd4000002, // hvc #0
		0x14000000, // b .
	} {
		_ = binary.Write(&b, binary.LittleEndian, word) // to memory: cannot fail
	}
	return b.Bytes()
}

// probeKVM tells whether guests of an architecture run accelerated, and if not why. An
// error is only that the host could not be asked.
func (h *Host) probeKVM(ctx context.Context, arch, emulator string, offered bool) (bool, string, error) {
	guest, known := probes()[arch]
	switch {
	case h.cfg.Accel == "tcg":
		return false, "emulation was asked for", nil
	case !offered && h.basic.kvm == "none":
		return false, "the host has no /dev/kvm", nil
	case !offered && h.basic.kvm == "denied" && sameFamily(arch, h.basic.arch):
		return false, fmt.Sprintf("%s may not open /dev/kvm; add the user to the group kvm", h.basic.user), nil
	case !offered && h.basic.kvm == "ok" && known && sameFamily(arch, h.basic.arch):
		usable, why, err := h.bootProbe(ctx, arch, emulator, guest)
		if usable {
			why = "KVM works, but libvirt does not offer it"
		}
		return false, why, err
	case !offered:
		return false, fmt.Sprintf("a %s host does not accelerate %s", h.basic.arch, arch), nil
	case h.cfg.Accel == "kvm":
		return true, "", nil
	case h.basic.kvm != "ok":
		return false, fmt.Sprintf("%s may not open /dev/kvm; add the user to the group kvm", h.basic.user), nil
	case !known:
		return false, fmt.Sprintf("there is no boot probe for %s; set the acceleration to kvm to use it untried", arch), nil
	}
	return h.bootProbe(ctx, arch, emulator, guest)
}

func sameFamily(guest, host string) bool {
	return guest == host || guest == "i686" && host == "x86_64"
}

// verdictScript prints the key of a probe's verdict, made of the probe, the host's boot
// and the emulator's version, then the verdict that is kept under that key, if any.
const verdictScript = `key="$4 $1 $("$2" --version 2>/dev/null | head -n 1)"
echo "$key"
[ -r "$3" ] && [ "$(head -n 1 "$3")" = "$key" ] && sed -n 2p "$3"
exit 0`

// bootProbe boots the probe guest once per boot of the host and version of the emulator.
func (h *Host) bootProbe(ctx context.Context, arch, emulator string, guest probe) (bool, string, error) {
	dir := path.Join(h.basic.home, ".cache/farm")
	kept := path.Join(dir, "kvm-"+arch)
	argv := []string{"/bin/sh", "-c", verdictScript, "sh", h.basic.bootID, emulator, kept, guest.digest()}
	out, err := h.cfg.Conn.Exec(ctx, engine.Cmd{Argv: argv, Keep: 8 << 10})
	if err != nil {
		return false, "", fmt.Errorf("look for the verdict on KVM: %w", err)
	}
	key, verdict, _ := strings.Cut(strings.TrimSpace(string(out.Stdout)), "\n")
	if verdict == "" {
		if verdict, err = h.runProbe(ctx, dir, arch, emulator, guest); err != nil {
			return false, "", err
		}
		if err := h.cfg.Conn.Upload(ctx, kept, 0o600, strings.NewReader(key+"\n"+verdict+"\n")); err != nil {
			return false, "", fmt.Errorf("keep the verdict on KVM: %w", err)
		}
	}
	if verdict == "usable" {
		return true, "", nil
	}
	return false, clean(verdict), nil
}

// runProbe returns "usable", or one line that says why not.
func (h *Host) runProbe(ctx context.Context, dir, arch, emulator string, guest probe) (string, error) {
	image := path.Join(dir, "probe-"+arch)
	if _, err := h.cfg.Conn.Exec(ctx, engine.Cmd{Argv: []string{"mkdir", "-p", "--", dir}}); err != nil {
		return "", fmt.Errorf("make %q: %w", dir, err)
	}
	if err := h.cfg.Conn.Upload(ctx, image, 0o600, bytes.NewReader(guest.image)); err != nil {
		return "", fmt.Errorf("write the probe guest: %w", err)
	}
	began := time.Now()
	why, err := h.bootGuest(ctx, probeTime, emulator, "tcg", image, guest)
	if err != nil || why != "" {
		return "not even emulated: " + why, err
	}
	limit := time.Since(began) + probeSlack
	guest.args = append(slices.Clone(guest.args), guest.cpu...)
	why, err = h.bootGuest(ctx, limit, emulator, "kvm", image, guest)
	if err != nil || why != "" {
		return "/dev/kvm opens, but " + why, err
	}
	return "usable", nil
}

// bootGuest returns "", or why the guest did not run.
func (h *Host) bootGuest(ctx context.Context, limit time.Duration, emulator, accel, image string, guest probe) (string, error) {
	argv := []string{emulator, "-accel", accel, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"}
	for _, a := range guest.args {
		argv = append(argv, strings.ReplaceAll(a, "IMAGE", optionText(image)))
	}
	turn, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	out, err := h.cfg.Conn.Exec(turn, engine.Cmd{Argv: argv, Keep: 8 << 10})
	var exit *engine.ExitError
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case turn.Err() != nil:
		return fmt.Sprintf("a probe guest did not end within %v", limit.Round(100*time.Millisecond)), nil
	case err != nil && !errors.As(err, &exit):
		return "", fmt.Errorf("boot the probe guest: %w", err)
	case out.Status != guest.status:
		// warnings come first, the reason last
		said := clean(string(out.Stderr))
		said = said[strings.LastIndexByte(said, '\n')+1:]
		return fmt.Sprintf("a probe guest ended with status %d instead of %d: %s", out.Status, guest.status, said), nil
	}
	return "", nil
}

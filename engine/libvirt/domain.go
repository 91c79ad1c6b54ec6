package libvirt

import (
	"fmt"
	"path"
	"strings"

	"farm/engine"
	"farm/inventory"

	"libvirt.org/go/libvirtxml"
)

// builder makes the XML of one domain. resolve comes first: it settles what the
// definition leaves open; domain follows when the port is known.
type builder struct {
	spec   engine.MachineSpec
	caps   engine.Capabilities
	mark   *mark
	asRoot bool // run the emulator as root: see the package's comment
	uuid   string

	arch      string
	guest     engine.GuestSupport
	kvm       bool
	machine   string // machine type
	loader    string // firmware; "" = the machine's own
	pflash    bool   // the loader is flash with a variable store, else a ROM
	nvramFrom string // file that the variable store is copied from
	template  *libvirtxml.Domain
	user      *userNet // the card whose port is forwarded; nil = none
}

// archNames are other projects' names for libvirt's architectures.
var archNames = map[string]string{
	"amd64": "x86_64", "arm64": "aarch64", "armhf": "armv7l", "i386": "i686",
	"ppc64el": "ppc64le", "ppc64": "ppc64",
}

// machineTypes are the machine types taken where a definition names none.
var machineTypes = map[string]string{
	"x86_64": "q35", "i686": "q35", "aarch64": "virt", "armv7l": "virt", "riscv64": "virt",
	"ppc64": "pseries", "ppc64le": "pseries", "s390x": "s390-ccw-virtio",
}

// emulatedCPUs are the models taken under emulation where a definition names none: new
// enough for current distributions, and quick to emulate. "max" on aarch64 would spend
// most of its time on pointer authentication.
var emulatedCPUs = map[string]string{
	"x86_64": "max", "i686": "max", "aarch64": "cortex-a57", "armv7l": "cortex-a15",
	"ppc64": "POWER9", "ppc64le": "POWER9", "s390x": "max",
}

func (b *builder) def() *inventory.Definition { return &b.spec.VM.Def }

func (b *builder) resolve() error {
	d := b.def()
	b.arch = d.Arch
	if b.arch == "" {
		b.arch = b.spec.VM.Arch
	}
	if libvirts := archNames[b.arch]; libvirts != "" {
		b.arch = libvirts
	}
	if b.spec.TemplateXML != "" {
		return b.readTemplate()
	}
	guest, ok := b.caps.Guests[b.arch]
	if !ok {
		return fmt.Errorf("no emulator for architecture %q there; it has %s", b.arch, list(b.caps.Guests))
	}
	b.guest = guest
	switch d.VirtDomain {
	case "", "kvm":
		b.kvm = b.spec.KVM // a wish for kvm cannot be met where a probe saw that it does not work
	case "qemu":
	default:
		return fmt.Errorf("domain type %q needs a template of its own", d.VirtDomain)
	}
	if b.machine = d.Machine; b.machine == "" {
		b.machine = machineTypes[b.arch]
	}
	if err := b.resolveFirmware(); err != nil {
		return err
	}
	return b.resolveNet()
}

// resolveFirmware finds the loader and what its variable store starts from.
func (b *builder) resolveFirmware() error {
	f := b.def().Firmware
	switch f.Loader {
	case "":
		if b.spec.NVRAM != "" {
			return fmt.Errorf("an NVRAM is given, but no firmware")
		}
		return nil
	case "auto":
		if len(b.guest.Firmware) == 0 {
			return fmt.Errorf("firmware auto: no UEFI for %s found there; install ovmf, qemu-efi-aarch64 or the like", b.arch)
		}
		found := b.guest.Firmware[0]
		if f.NVRAMTemplate == "" {
			f.NVRAMTemplate = found.NVRAMTemplate
		}
		f.Loader = found.Loader
	default:
		for _, known := range b.guest.Firmware {
			if f.NVRAMTemplate == "" && known.Loader == f.Loader {
				f.NVRAMTemplate = known.NVRAMTemplate
			}
		}
	}
	b.loader = f.Loader
	b.nvramFrom = b.spec.NVRAM
	if b.nvramFrom == "" {
		b.nvramFrom = f.NVRAMTemplate
	}
	if b.nvramFrom != "" {
		b.pflash = true
		b.mark.NVRAM = path.Join(b.spec.Dir, "nvram.fd")
	}
	return nil
}

// domain builds the XML; b.mark must be complete.
func (b *builder) domain() (*libvirtxml.Domain, error) {
	if b.template != nil {
		return b.fromTemplate(), nil
	}
	d := b.def()
	vcpus, ram := d.VCPUs, d.RAMMiB
	if vcpus <= 0 {
		vcpus = 1
	}
	if ram <= 0 {
		ram = 1024
	}
	dom := &libvirtxml.Domain{
		Type:       "qemu",
		Name:       b.spec.Name,
		UUID:       b.uuid,
		Metadata:   &libvirtxml.DomainMetadata{XML: b.mark.prefixed()},
		Memory:     &libvirtxml.DomainMemory{Value: uint(ram), Unit: "MiB"},
		VCPU:       &libvirtxml.DomainVCPU{Placement: "static", Value: uint(vcpus)},
		OS:         b.os(),
		Features:   b.features(),
		Clock:      &libvirtxml.DomainClock{Offset: "utc"},
		OnPoweroff: "destroy",
		OnReboot:   "restart",
		OnCrash:    "destroy",
		Devices:    &libvirtxml.DomainDeviceList{Emulator: d.Emulator},
	}
	if b.kvm {
		dom.Type = "kvm"
	}
	if dom.Devices.Emulator == "" {
		dom.Devices.Emulator = b.guest.Emulator
	}
	if b.asRoot {
		dom.SecLabel = []libvirtxml.DomainSecLabel{{Type: "static", Model: "dac", Relabel: "no", Label: "+0:+0"}}
	}
	b.setCPU(dom)
	b.addConsole(dom)
	b.addStandardDevices(dom)
	if err := b.addDisks(dom); err != nil {
		return nil, err
	}
	if err := b.addShares(dom); err != nil {
		return nil, err
	}
	return dom, b.addNets(dom)
}

func (b *builder) os() *libvirtxml.DomainOS {
	os := &libvirtxml.DomainOS{Type: &libvirtxml.DomainOSType{Arch: b.arch, Machine: b.machine, Type: "hvm"}}
	if b.loader != "" {
		os.Loader = &libvirtxml.DomainLoader{Path: b.loader, Readonly: "yes", Type: "rom"}
	}
	if b.pflash {
		os.Loader.Type = "pflash"
		os.NVRam = &libvirtxml.DomainNVRam{NVRam: b.mark.NVRAM}
	}
	d := b.def()
	if k := d.Kernel; k.Src != "" {
		os.Kernel = b.inPool(k.Src)
		os.Cmdline = k.Params
		if k.Initrd != "" {
			os.Initrd = b.inPool(k.Initrd)
		}
	}
	return os
}

// features: ACPI is what a power button needs, and a guest that is asked to shut down.
// libvirt refuses it on arm without UEFI, and the other architectures have none.
func (b *builder) features() *libvirtxml.DomainFeatureList {
	switch {
	case b.arch == "x86_64" || b.arch == "i686":
		return &libvirtxml.DomainFeatureList{ACPI: &libvirtxml.DomainFeature{}, APIC: &libvirtxml.DomainFeatureAPIC{}}
	case b.arch == "aarch64" && b.loader != "":
		return &libvirtxml.DomainFeatureList{ACPI: &libvirtxml.DomainFeature{}}
	}
	return nil
}

// setCPU picks the CPU. A model with options ("max,sve=off"), and "max" on aarch64, where
// quick pointer authentication is an option that libvirt's XML cannot say, go to
// QEMU's command line; its last -cpu counts.
func (b *builder) setCPU(dom *libvirtxml.Domain) {
	model := b.def().CPU
	switch {
	case b.kvm:
		dom.CPU = &libvirtxml.DomainCPU{Mode: "host-passthrough", Check: "none"}
		return
	case model == "":
		model = emulatedCPUs[b.arch]
	}
	if model == "max" && b.arch == "aarch64" {
		model = "max,pauth-impdef=on"
	}
	switch {
	case model == "":
	case strings.Contains(model, ","):
		qemuArgs(dom, "-cpu", model)
	case model == "max":
		dom.CPU = &libvirtxml.DomainCPU{Mode: "maximum", Check: "none"}
	default:
		dom.CPU = &libvirtxml.DomainCPU{Mode: "custom", Match: "exact", Check: "none",
			Model: &libvirtxml.DomainCPUModel{Fallback: "forbid", Value: model}}
	}
}

// addConsole gives the guest a serial console that is both a pty and a log file.
func (b *builder) addConsole(dom *libvirtxml.Domain) {
	log := &libvirtxml.DomainChardevLog{File: b.mark.Console, Append: "on"}
	pty := &libvirtxml.DomainChardevSource{Pty: &libvirtxml.DomainChardevSourcePty{}}
	if b.arch == "s390x" {
		dom.Devices.Consoles = []libvirtxml.DomainConsole{{Source: pty, Log: log, Target: &libvirtxml.DomainConsoleTarget{Type: "sclp"}}}
		return
	}
	dom.Devices.Serials = []libvirtxml.DomainSerial{{Source: pty, Log: log}}
}

func (b *builder) addStandardDevices(dom *libvirtxml.Domain) {
	dev := dom.Devices
	dev.Channels = []libvirtxml.DomainChannel{{
		Source: &libvirtxml.DomainChardevSource{UNIX: &libvirtxml.DomainChardevSourceUNIX{Mode: "bind"}},
		Target: &libvirtxml.DomainChannelTarget{VirtIO: &libvirtxml.DomainChannelTargetVirtIO{Name: "org.qemu.guest_agent.0"}},
	}}
	// without it sshd waits for entropy about as long as the kernel takes to boot
	dev.RNGs = []libvirtxml.DomainRNG{{
		Model:   "virtio",
		Backend: &libvirtxml.DomainRNGBackend{Random: &libvirtxml.DomainRNGBackendRandom{Device: "/dev/urandom"}},
	}}
	dev.MemBalloon = &libvirtxml.DomainMemBalloon{Model: "none"}
	if b.arch != "s390x" {
		dev.Controllers = append(dev.Controllers, libvirtxml.DomainController{Type: "usb", Model: "none"})
	}
	if c := b.def().Console; c == "vnc" {
		dev.Graphics = []libvirtxml.DomainGraphic{{VNC: &libvirtxml.DomainGraphicVNC{
			AutoPort: "yes",
			Listeners: []libvirtxml.DomainGraphicListener{{
				Address: &libvirtxml.DomainGraphicListenerAddress{Address: "127.0.0.1"}}},
		}}}
	}
}

func (b *builder) addShares(dom *libvirtxml.Domain) error {
	for i, s := range b.def().Shares {
		if !path.IsAbs(s.Src) {
			return fmt.Errorf("share %q: the host's folder must be an absolute path", s.Src)
		}
		tag := s.Tag
		if tag == "" {
			tag = fmt.Sprintf("share%d", i)
		}
		fs := libvirtxml.DomainFilesystem{
			AccessMode: "mapped",
			Source:     &libvirtxml.DomainFilesystemSource{Mount: &libvirtxml.DomainFilesystemSourceMount{Dir: s.Src}},
			Target:     &libvirtxml.DomainFilesystemTarget{Dir: tag},
		}
		if s.ReadOnly {
			fs.ReadOnly = &libvirtxml.DomainFilesystemReadOnly{}
		}
		dom.Devices.Filesystems = append(dom.Devices.Filesystems, fs)
	}
	return nil
}

// inPool makes a path of the definition absolute.
func (b *builder) inPool(file string) string {
	if path.IsAbs(file) {
		return file
	}
	return path.Join(b.def().Metadata.PoolDir, file)
}

func qemuArgs(dom *libvirtxml.Domain, args ...string) {
	if dom.QEMUCommandline == nil {
		dom.QEMUCommandline = &libvirtxml.DomainQEMUCommandline{}
	}
	for _, a := range args {
		dom.QEMUCommandline.Args = append(dom.QEMUCommandline.Args, libvirtxml.DomainQEMUCommandlineArg{Value: a})
	}
}

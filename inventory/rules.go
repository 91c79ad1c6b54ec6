package inventory

import (
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"farm/inventory/source"
	"farm/inventory/value"
)

// architectures are libvirt's names (virArch, https://libvirt.org/formatcaps.html) of
// those that QEMU emulates.
var architectures = []string{
	"x86_64", "aarch64", "armv7l", "armv6l", "i686", "ppc64le", "ppc64", "ppc", "riscv64", "riscv32", "s390x", "loongarch64",
	"alpha", "hppa", "m68k", "microblaze", "microblazeel", "mips", "mipsel", "mips64", "mips64el", "or1k", "parisc", "sh4", "sh4eb",
	"sparc", "sparc64", "xtensa", "xtensaeb",
}

// otherNames are what Debian and others call architectures.
var otherNames = map[string]string{
	"amd64": "x86_64", "x86-64": "x86_64", "x64": "x86_64", "arm64": "aarch64", "armhf": "armv7l", "arm": "armv7l", "armel": "armv6l",
	"i386": "i686", "i586": "i686", "x86": "i686", "ppc64el": "ppc64le", "powerpc64le": "ppc64le", "riscv": "riscv64", "s390": "s390x",
}

func architecture(v any) (what, hint string) {
	if right := otherNames[value.Text(v)]; right != "" {
		return fmt.Sprintf("is %q", value.Text(v)), "libvirt calls it " + right
	}
	return value.OneOf(architectures...)(v)
}

var (
	hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_-]{1,63})*$`)
	userName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,31}$`)
	printed  = regexp.MustCompile(`^[^\x00-\x1f\x7f]+$`)
	devName  = regexp.MustCompile(`^(vd|sd|hd|xvd|nvme)[a-z0-9]+$`)
	anURI    = regexp.MustCompile(`^(qemu|test)(\+[a-z0-9]+)?://\S*$`)
	shareTag = regexp.MustCompile(`^[^\x00-\x20/,\x7f]{1,31}$`)
)

const (
	asHostName = "letters, digits and -, in parts of at most 63 joined by dots"
	asUserName = "letters, digits, _ . and -, at most 32, not a digit first"
	asURI      = "a libvirt URI such as qemu:///session or qemu:///system"
)

// definitionRules are what the values of a definition must be, beyond their types.
var definitionRules = value.Rules{
	{Path: "metadata.name", Rule: value.Matching(printed, "text of one line")},
	{Path: "metadata.platform_name", Rule: value.Matching(printed, "text of one line")},
	{Path: "metadata.target_name", Rule: value.Matching(printed, "text of one line")},
	{Path: "metadata.hostname", Rule: value.Matching(hostName, asHostName)},
	{Path: "metadata.connection", Rule: value.Matching(anURI, asURI)},
	{Path: "metadata.auth.user", Rule: value.Matching(userName, asUserName)},
	{Path: "metadata.auth.become_user", Rule: value.Matching(userName, asUserName)},
	{Path: "metadata.auth.become_method", Rule: value.OneOf("sudo", "su", "doas")},
	{Path: "virt_domain", Rule: value.OneOf("kvm", "qemu", "lxc")},
	{Path: "domain_type", Rule: value.OneOf("kvm", "qemu", "lxc")},
	{Path: "arch", Rule: architecture},
	{Path: "emulator", Rule: value.Absolute},
	{Path: "firmware", Rule: loader},
	{Path: "firmware.loader", Rule: loader},
	{Path: "firmware.nvram_template", Rule: value.Absolute},
	{Path: "vcpus", Rule: value.Whole(1, 4096, "")},
	{Path: "ram", Rule: value.Whole(1, 64<<20, "in MiB")},
	{Path: "timeout_scale", Rule: value.Above0},
	{Path: "disk_mode", Rule: value.OneOf("snapshot", "persistent")},
	{Path: "default_bus", Rule: value.Matching(regexp.MustCompile(`^[A-Za-z0-9_.-]+$`), "a bus of the machine such as pcie.0 or pci.0")},
	{Path: "requires", Rule: requirement},
	{Path: "disks[].type", Rule: value.OneOf("qcow2", "raw")},
	{Path: "disks[].format", Rule: value.OneOf("qcow2", "raw")},
	{Path: "disks[].bus", Rule: value.OneOf("virtio", "scsi", "sata", "nvme", "ide", "usb")},
	{Path: "disks[].size", Rule: value.Size},
	{Path: "disks[].devname", Rule: value.Matching(devName, "a name such as vda or sdb")},
	{Path: "disks[].boot", Rule: value.Whole(0, 999, "1 boots first, 0 never")},
	{Path: "disks[].serial", Rule: value.Matching(regexp.MustCompile(`^[A-Za-z0-9 _.+-]{1,36}$`), "at most 36 letters, digits, blanks and _ . + -")},
	{Path: "disks[].cache", Rule: value.OneOf("default", "none", "writethrough", "writeback", "directsync", "unsafe")},
	{Path: "disks[].snapshot", Rule: value.OneOf("internal", "external", "manual", "no")},
	{Path: "net[].type", Rule: value.OneOf("user", "network", "bridge", "vde", "ethernet")},
	{Path: "net[].mac", Rule: value.MAC},
	{Path: "net[].ip", Rule: address},
	{Path: "net[].mask", Rule: value.IP},
	{Path: "net[].gateway", Rule: value.IP},
	{Path: "shares[].src", Rule: value.Absolute},
	{Path: "shares[].tag", Rule: value.Matching(shareTag, "at most 31 characters, no blank, comma or slash")},
	{Path: "shares[].mount", Rule: value.Absolute},
}

// address takes what can be dialled: an IP address or a name.
func address(v any) (what, hint string) {
	if what, hint = value.IP(v); what != "" && hostName.MatchString(value.Text(v)) && !dotted.MatchString(value.Text(v)) {
		return "", ""
	}
	return what, hint
}

// dotted is what was meant to be an IPv4 address.
var dotted = regexp.MustCompile(`^[0-9.]+$`)

func loader(v any) (what, hint string) {
	if _, isDict := v.(*value.Dict); isDict || v == "auto" {
		return "", ""
	}
	what, _ = value.Absolute(v)
	return what, "an absolute path on the hypervisor, or auto"
}

// check finds values that no VM can have. templates tells that a domain template of the
// user's may read keys that farm does not know.
func (def *Definition) check(raw *value.Dict, templates bool) error {
	errs := []error{definitionRules.Check(raw)}
	fail := func(pos source.Pos, hint, format string, args ...any) {
		errs = append(errs, &source.Error{Pos: pos, What: fmt.Sprintf(format, args...), Hint: hint})
	}
	// twice is where a value stood first, by what it is.
	twice := map[string]string{}
	once := func(what string, v any, name string, pos source.Pos) {
		if _, failed := v.(value.Omit); failed || v == nil || v == "" {
			return
		}
		key := what + value.Text(v)
		if first, ok := twice[key]; ok {
			fail(pos, "", "%s is %s, as %s is already", name, value.Text(v), first)
		} else {
			twice[key] = name
		}
	}
	each(raw, "disks", func(d *value.Dict, name string) {
		errs = append(errs, unknownKeys(d, diskKeys(), templates)...)
		if blank(d, "src", "source") && blank(d, "size") {
			fail(d.Pos(), "src: of an image, or the size of a blank disk", "%s has neither src nor size", name)
		}
		once("dev", get(d, "devname"), name+".devname", d.ValPos("devname"))
		if n, err := value.ParseInt(get(d, "boot")); err == nil && n > 0 {
			once("boot", n, name+".boot", d.ValPos("boot"))
		}
	})
	each(raw, "net", func(d *value.Dict, name string) {
		errs = append(errs, unknownKeys(d, netKeys(), templates)...)
		once("mac", strings.ToLower(textAt(d, "mac")), name+".mac", d.ValPos("mac"))
		kind := textAt(d, "type")
		switch text := textAt(d, "source"); {
		case kind == "user" || kind == "":
			for _, what := range badForwards(text) {
				fail(d.ValPos("source"), "such as hostfwd=tcp:127.0.0.1:8022-:22", "%s.source: %s", name, what)
			}
			for _, port := range hostPorts(text) {
				once("port", port, name+".source: host port", d.ValPos("source"))
			}
		case text == "" && (kind == "network" || kind == "bridge" || kind == "ethernet"):
			fail(d.ValPos("type"), sourceOf[kind], "%s is of type %s and has no source", name, kind)
		}
	})
	each(raw, "shares", func(d *value.Dict, name string) {
		for _, key := range []string{"src", "tag"} {
			if blank(d, key) {
				fail(d.Pos(), "{src: a folder of the hypervisor, tag: what the guest mounts}", "%s has no %s", name, key)
			}
		}
		once("tag", get(d, "tag"), name+".tag", d.ValPos("tag"))
	})
	if kernel, ok := get(raw, "kernel").(*value.Dict); ok && blank(kernel, "src") && !(blank(kernel, "params") && blank(kernel, "initrd")) {
		fail(kernel.Pos(), "", "kernel has no src")
	}
	metadata, _ := get(raw, "metadata").(*value.Dict)
	errs = append(errs, unknownKeys(metadata, metadataKeys(), true)...)
	auth, _ := get(metadata, "auth").(*value.Dict)
	errs = append(errs, unknownKeys(auth, authKeys(), true)...)
	each(metadata, "sources", func(d *value.Dict, name string) {
		errs = append(errs, unknownKeys(d, sourceKeys(), true)...)
		if blank(d, "before_provision") && blank(d, "on_provision") {
			fail(d.Pos(), "{before_provision: [{callback: fetch, ...}], on_provision: {src: ..., dest: ...}}", "metadata.%s has neither before_provision nor on_provision", name)
		}
	})
	return source.Join(errs...)
}

var sourceOf = map[string]string{"network": "the name of a libvirt network", "bridge": "the name of a bridge of the hypervisor", "ethernet": "the name of a tap of the hypervisor"}

// each calls f for the mappings of the list at key, or for one in place of a list.
func each(d *value.Dict, key string, f func(item *value.Dict, name string)) {
	switch t := get(d, key).(type) {
	case *value.Dict:
		f(t, key)
	case []any:
		for i, item := range t {
			if item, ok := item.(*value.Dict); ok {
				f(item, key+"["+strconv.Itoa(i)+"]")
			}
		}
	}
}

// blank reports whether d has nothing at any of keys. What could not be evaluated is something.
func blank(d *value.Dict, keys ...string) bool {
	for _, key := range keys {
		if v := get(d, key); v != nil && v != "" {
			return false
		}
	}
	return true
}

// unknownKeys finds keys that are none of known; with free those that are nearly one of
// them, as others may be for templates and callbacks of the user's.
func unknownKeys(d *value.Dict, known []string, free bool) []error {
	var errs []error
	for key := range d.All() {
		name := fmt.Sprint(key)
		if !contains(known, name) && (!free || source.Nearest(name, known) != "") {
			errs = append(errs, value.UnknownKey(d, name, known))
		}
	}
	return errs
}

// forward is one hostfwd option of QEMU's user networking (qemu(1), -netdev user).
var forward = regexp.MustCompile(`^hostfwd=(tcp|udp):([^:]*):(\d+)-([^:]*):(\d+)$`)

// badForwards says what is wrong with QEMU's options for user networking.
func badForwards(options string) []string {
	var all []string
	for _, o := range strings.Split(options, ",") {
		if !strings.HasPrefix(o, "hostfwd") {
			continue
		}
		m := forward.FindStringSubmatch(o)
		if m == nil {
			all = append(all, fmt.Sprintf("%q is no forward", o))
			continue
		}
		for _, port := range []string{m[3], m[5]} {
			if n, err := strconv.Atoi(port); err != nil || n < 1 || n > math.MaxUint16 {
				all = append(all, fmt.Sprintf("%q: %s is no port from 1 to 65535", o, port))
			}
		}
	}
	return all
}

// hostPorts lists the ports of the hypervisor that QEMU's options forward, as "tcp 8022".
func hostPorts(options string) []string {
	var ports []string
	for _, o := range strings.Split(options, ",") {
		if m := forward.FindStringSubmatch(o); m != nil {
			ports = append(ports, m[1]+" "+strings.TrimLeft(m[3], "0"))
		}
	}
	return ports
}

// HostPorts lists the ports of its hypervisor that a VM's definition takes, as "tcp 8022",
// and where they are asked for.
func (vm VM) HostPorts() ([]string, source.Pos) {
	var ports []string
	pos := vm.Pos
	each(vm.Def.Raw, "net", func(d *value.Dict, _ string) {
		if own := hostPorts(textAt(d, "source")); len(own) > 0 {
			ports = append(ports, own...)
			if at := d.ValPos("source"); !at.IsZero() {
				pos = at
			}
		}
	})
	if vm.Vars.Has("ansible_port") && !vm.Vars.ValPos("ansible_port").IsZero() {
		pos = vm.Vars.ValPos("ansible_port")
	}
	return ports, pos
}

// hasTemplates reports whether a folder of definitions has domain templates.
func hasTemplates(dir string) bool {
	files, err := filepath.Glob(filepath.Join(dir, "templates", "*.xml.j2"))
	return err == nil && len(files) > 0
}

package modules

import (
	"regexp"
	"strconv"
	"strings"

	"farm/inventory/value"
)

func (f facts) memory() {
	if f.bsd() {
		f.bsdMemory()
		return
	}
	kib := map[string]int64{}
	for line := range strings.SplitSeq(f.get("meminfo"), "\n") {
		name, rest, _ := strings.Cut(line, ":")
		if words := strings.Fields(rest); len(words) > 0 {
			kib[name], _ = strconv.ParseInt(words[0], 10, 64)
		}
	}
	if len(kib) == 0 {
		return
	}
	mb := func(names ...string) int64 {
		sum := int64(0)
		for _, n := range names {
			sum += kib[n]
		}
		return sum / 1024
	}
	f.set("memtotal_mb", mb("MemTotal"))
	f.set("memfree_mb", mb("MemFree"))
	f.set("swaptotal_mb", mb("SwapTotal"))
	f.set("swapfree_mb", mb("SwapFree"))
	free := mb("MemFree", "Buffers", "Cached")
	f.set("memory_mb", value.NewDict(
		"real", value.NewDict("total", mb("MemTotal"), "used", mb("MemTotal")-mb("MemFree"), "free", mb("MemFree")),
		"nocache", value.NewDict("free", free, "used", mb("MemTotal")-free),
		"swap", value.NewDict("total", mb("SwapTotal"), "free", mb("SwapFree"), "used", mb("SwapTotal")-mb("SwapFree"), "cached", mb("SwapCached"))))
}

// processor counts as Ansible does: sockets, cores a socket, threads a core, and their
// product, from /proc/cpuinfo where it tells (x86); else every processor is a socket.
func (f facts) processor() {
	sockets := map[string]bool{}
	var cores, siblings, processors int64
	model := []any{}
	for line := range strings.SplitSeq(f.get("cpuinfo"), "\n") {
		k, v, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		k, v = strings.TrimSpace(k), strings.TrimSpace(v)
		switch strings.ToLower(k) {
		case "processor":
			if n, err := strconv.Atoi(v); err == nil && n >= 0 {
				processors++
			}
			model = append(model, v)
		case "vendor_id", "model name", "vendor", "cpu":
			model = append(model, v)
		case "physical id":
			sockets[v] = true
		case "cpu cores":
			cores, _ = strconv.ParseInt(v, 10, 64)
		case "siblings":
			siblings, _ = strconv.ParseInt(v, 10, 64)
		}
	}
	online := f.r.number("nproc", 10)
	if online == 0 {
		online = f.r.number("ncpu", 10)
	}
	if processors == 0 {
		processors = max(online, 1)
	}
	if online == 0 {
		online = processors
	}
	count, perCore := int64(len(sockets)), int64(1)
	if count == 0 {
		count = processors
	}
	cores = max(cores, 1)
	if siblings > cores {
		perCore = siblings / cores
	}
	if m := f.get("model"); m != "" && len(model) == 0 {
		model = append(model, m)
	}
	f.set("processor", model)
	f.set("processor_count", count)
	f.set("processor_cores", cores)
	f.set("processor_threads_per_core", perCore)
	f.set("processor_vcpus", count*cores*perCore)
	f.set("processor_nproc", online)
}

func (f facts) mounts() {
	space := map[string][]string{}
	for line := range strings.SplitSeq(f.get("df"), "\n") {
		if w := strings.Fields(line); len(w) >= 6 {
			space[strings.Join(w[5:], " ")] = w
		}
	}
	list, mounted := []any{}, f.get("mounts")
	if f.bsd() {
		mounted = f.bsdMounts()
	}
	for line := range strings.SplitSeq(mounted, "\n") {
		w := strings.Fields(line)
		if len(w) < 4 || !strings.HasPrefix(w[0], "/") && !strings.Contains(w[0], ":/") {
			continue
		}
		where := unescapeMount(w[1])
		m := value.NewDict("device", unescapeMount(w[0]), "mount", where, "fstype", w[2], "options", w[3])
		if s := space[where]; s != nil {
			total, _ := strconv.ParseInt(s[1], 10, 64)
			free, _ := strconv.ParseInt(s[3], 10, 64)
			m.Set("size_total", total<<10)
			m.Set("size_available", free<<10)
		}
		list = append(list, m)
	}
	f.set("mounts", list)
	if booted := regexp.MustCompile(`^(?:\{ sec = )?([0-9]+)`).FindStringSubmatch(f.get("boottime")); booted != nil {
		began, _ := strconv.ParseInt(booted[1], 10, 64)
		if now := f.r.number("now", 10); now > began {
			f.set("uptime_seconds", now-began)
		}
	}
	if up, _, _ := strings.Cut(f.get("uptime"), "."); up != "" {
		if n, err := strconv.ParseInt(up, 10, 64); err == nil {
			f.set("uptime_seconds", n)
		}
	}
}

// unescapeMount reads the octal escapes of proc(5)'s mounts.
func unescapeMount(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

func (f facts) dmi() {
	for key, fact := range map[string]string{
		"product_name": "product_name", "product_version": "product_version", "product_serial": "product_serial", "product_uuid": "product_uuid",
		"sys_vendor": "system_vendor", "board_name": "board_name", "bios_version": "bios_version", "bios_date": "bios_date", "chassis_vendor": "chassis_vendor",
	} {
		f.set(fact, orNA(f.get("dmi_"+key)))
	}
}

// virtualization says whether the host is a guest (and of what) or runs guests itself.
func (f facts) virtualization() {
	kind, role := f.virtual()
	f.set("virtualization_type", kind)
	f.set("virtualization_role", role)
	tech := []any{}
	if kind != "NA" {
		tech = append(tech, kind)
	}
	guest, host := []any{}, []any{}
	if role == "guest" {
		guest = tech
	} else {
		host = tech
	}
	f.set("virtualization_tech_guest", guest)
	f.set("virtualization_tech_host", host)
}

func (f facts) virtual() (kind, role string) {
	container := f.get("virt_container")
	if _, name, ok := strings.Cut(firstLine(f.get("virt_env")), "="); ok && container == "" {
		container = name
	}
	if container != "" {
		return container, "guest"
	}
	if f.get("jailed") == "1" {
		return "jails", "guest"
	}
	if guest := f.bsdGuest(); guest != "" {
		return guest, "guest"
	}
	product, vendor := f.get("dmi_product_name"), f.get("dmi_sys_vendor")
	if f.bsd() {
		product, vendor = f.get("hw_product"), f.get("hw_vendor")
	}
	about := strings.Join([]string{product, vendor, f.get("virt_tree"), f.get("virt_compatible"), emulatedCPU.FindString(f.get("cpuinfo"))}, " ")
	detect := f.get("detect")
	switch {
	case detect == "kvm", detect == "qemu", detect == "bochs":
		return "kvm", "guest"
	case strings.Contains(about, "QEMU"), strings.Contains(about, "KVM"), strings.Contains(about, "Bochs"), strings.Contains(about, "linux,dummy-virt"):
		return "kvm", "guest"
	case strings.Contains(about, "VMware"):
		return "VMware", "guest"
	case strings.Contains(about, "VirtualBox"), detect == "oracle":
		return "virtualbox", "guest"
	case strings.Contains(vendor, "Microsoft") && strings.Contains(product, "Virtual"):
		return "VirtualPC", "guest"
	case f.bsd() && vendor == "OpenBSD":
		return "vmm", "guest"
	case f.r.has("virt_xen"):
		if strings.Contains(f.get("virt_xen"), "control_d") {
			return "xen", "host"
		}
		return "xen", "guest"
	case detect != "" && detect != "none":
		return detect, "guest"
	case underHypervisor.MatchString(f.get("cpuinfo")):
		return "kvm", "guest"
	case f.r.is("virt_kvm"):
		return "kvm", "host"
	}
	return "NA", "NA"
}

var (
	emulatedCPU     = regexp.MustCompile(`(?m)^(model name|vendor_id|cpu)\s*:.*(QEMU|KVM)`)
	underHypervisor = regexp.MustCompile(`(?m)^flags.* hypervisor`)
)

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

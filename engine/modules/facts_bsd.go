package modules

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"farm/inventory/value"
)

// bsd reports whether the system is one whose facts come from sysctl(8) and ifconfig(8), not from files.
func (f facts) bsd() bool {
	system := f.get("system")
	return strings.HasSuffix(system, "BSD") || system == "DragonFly"
}

var (
	freeRelease = regexp.MustCompile(`^([0-9]+)\.([0-9]+)-`)
	openRelease = regexp.MustCompile(`OpenBSD [0-9]+\.[0-9]+-(\S+)`)
)

// bsdDistribution names a system after its kernel.
func (f facts) bsdDistribution() {
	version, release := f.get("release"), f.get("release")
	if m := freeRelease.FindStringSubmatch(release); m != nil {
		version = m[1] + "." + m[2]
	}
	if f.get("system") == "OpenBSD" {
		release = "release"
		if m := openRelease.FindStringSubmatch(f.get("kern_version")); m != nil {
			release = m[1]
		}
	}
	major, _, _ := strings.Cut(version, ".")
	f.set("distribution", f.get("system"))
	f.set("distribution_version", version)
	f.set("distribution_major_version", major)
	f.set("distribution_release", release)
	f.set("os_family", f.get("system"))
}

// bsdMemory is by FreeBSD's counts of pages, or OpenBSD's vmstat(8).
func (f facts) bsdMemory() {
	total, free := f.r.number("physmem", 10), int64(-1)
	if p := numbers(f.get("vm_pages")); len(p) == 3 { // size of one, all, free ones
		total, free = p[0]*p[1], p[0]*p[2]
	} else if lines := strings.Split(strings.TrimSpace(f.get("vmstat")), "\n"); len(lines) > 1 {
		column := slices.Index(strings.Fields(lines[len(lines)-2]), "fre")
		if w := strings.Fields(lines[len(lines)-1]); column >= 0 && column < len(w) {
			free = sized(w[column])
		}
	}
	f.set("memtotal_mb", total>>20)
	if free >= 0 {
		f.set("memfree_mb", free>>20)
	}
	var swap, swapFree int64
	for line := range strings.SplitSeq(f.get("swap"), "\n") {
		w := strings.Fields(line)
		switch {
		case len(w) >= 4 && strings.HasPrefix(w[0], "/"): // swapinfo -k: device, KiB, used, free
			n := numbers(strings.Join(w[1:4], " "))
			if len(n) == 3 {
				swap, swapFree = swap+n[0], swapFree+n[2]
			}
		case len(w) >= 7 && w[0] == "total:": // swapctl -sk: total: 69268 1K-blocks allocated, 0 used, 69268 available
			swap, _ = strconv.ParseInt(w[1], 10, 64)
			swapFree, _ = strconv.ParseInt(w[6], 10, 64)
		}
	}
	f.set("swaptotal_mb", swap>>10)
	f.set("swapfree_mb", swapFree>>10)
}

// numbers reads words that are all numbers; nil if one is not.
func numbers(text string) (list []int64) {
	for w := range strings.FieldsSeq(text) {
		n, err := strconv.ParseInt(w, 10, 64)
		if err != nil {
			return nil
		}
		list = append(list, n)
	}
	return list
}

// sized is "512M" in bytes, and a number alone KiB.
func sized(word string) int64 {
	units := "KMGT"
	i := strings.IndexByte(units, word[len(word)-1])
	n, err := strconv.ParseInt(strings.TrimRight(word, units), 10, 64)
	if err != nil {
		return -1
	}
	return n << (10 * (max(i, 0) + 1))
}

var mountLine = regexp.MustCompile(`^(\S+) on (.+?) (?:type (\S+) )?\(([^)]*)\)$`)

// bsdMounts is what mount(8) prints, in the form of /proc/mounts.
func (f facts) bsdMounts() string {
	var b strings.Builder
	for line := range strings.SplitSeq(f.get("mount"), "\n") {
		m := mountLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		kind, options := m[3], strings.Split(m[4], ", ")
		if kind == "" && len(options) > 0 { // FreeBSD's first
			kind, options = options[0], options[1:]
		}
		if len(options) == 0 || options[0] == "" {
			options = []string{"rw"}
		}
		fmt.Fprintf(&b, "%s %s %s %s 0 0\n", m[1], strings.NewReplacer(" ", `\040`).Replace(m[2]), kind, strings.ReplaceAll(strings.Join(options, ","), " ", "_"))
	}
	return b.String()
}

// bsdGuest is the hypervisor that kern.vm_guest names, as Ansible calls it; "" if there is none.
func (f facts) bsdGuest() string {
	guest := f.get("vm_guest")
	if name, ok := map[string]string{"none": "", "generic": "", "vbox": "virtualbox", "vmware": "VMware", "hv": "Hyper-V"}[guest]; ok {
		return name
	}
	return guest
}

// bsdFace is an interface as ifconfig(8) shows it.
type bsdFace struct {
	name, mac, kind, status string
	flags                   []any
	mtu, metric             string
	v4, v6                  []any
}

func (n *bsdFace) dict() *value.Dict {
	d := value.NewDict("device", n.name, "ipv4", listOrEmpty(n.v4), "ipv6", listOrEmpty(n.v6), "type", n.kind, "flags", listOrEmpty(n.flags), "macaddress", n.mac)
	for key, v := range map[string]string{"mtu": n.mtu, "metric": n.metric, "status": n.status} {
		if v != "" {
			d.Set(key, v)
		}
	}
	return d
}

func listOrEmpty(list []any) []any {
	if list == nil {
		return []any{}
	}
	return list
}

var bsdFaceLine = regexp.MustCompile(`^([A-Za-z0-9_.-]+): flags=[0-9a-fA-Fx]+<([^>]*)>(.*)`)

// readIfconfig reads what "ifconfig -a" prints on BSDs.
func readIfconfig(out string) (faces []*bsdFace) {
	var n *bsdFace
	for line := range strings.SplitSeq(out, "\n") {
		if m := bsdFaceLine.FindStringSubmatch(line); m != nil {
			n = &bsdFace{name: m[1], kind: "unknown", mac: "unknown", flags: value.From(strings.Split(m[2], ",")).([]any)}
			if slices.Contains(strings.Split(m[2], ","), "LOOPBACK") {
				n.kind = "loopback"
			}
			n.mtu, n.metric = after(strings.Fields(m[3]), "mtu"), after(strings.Fields(m[3]), "metric")
			faces = append(faces, n)
			continue
		}
		w := strings.Fields(line)
		if n == nil || len(w) < 2 {
			continue
		}
		switch w[0] {
		case "ether", "lladdr":
			n.mac, n.kind = w[1], "ether"
		case "status:":
			n.status = w[1]
		case "inet":
			n.v4 = append(n.v4, bsdIPv4(w))
		case "inet6":
			d := value.NewDict("address", w[1])
			for key, word := range map[string]string{"prefix": "prefixlen", "scope": "scopeid"} {
				if v := after(w, word); v != "" {
					d.Set(key, v)
				}
			}
			n.v6 = append(n.v6, d)
		}
	}
	return faces
}

// bsdIPv4 reads "inet ADDRESS netmask 0xffffff00 broadcast ADDRESS".
func bsdIPv4(w []string) *value.Dict {
	d := value.NewDict("address", w[1])
	bits, err := strconv.ParseUint(strings.TrimPrefix(after(w, "netmask"), "0x"), 16, 32)
	addr, aerr := netip.ParseAddr(w[1])
	if err != nil || aerr != nil || !addr.Is4() {
		return d
	}
	mask, four := uint32(bits), addr.As4()
	dotted := func(n uint32) string {
		return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}).String()
	}
	host := uint32(four[0])<<24 | uint32(four[1])<<16 | uint32(four[2])<<8 | uint32(four[3])
	broadcast := after(w, "broadcast")
	if broadcast == "" {
		broadcast = dotted(host | ^mask)
	}
	d.Set("netmask", dotted(mask))
	d.Set("network", dotted(host&mask))
	d.Set("broadcast", broadcast)
	return d
}

// bsdNetwork sets the facts of the network from ifconfig and route(8).
func (f facts) bsdNetwork() {
	names, all4, all6 := []any{}, []any{}, []any{}
	byName := map[string]*bsdFace{}
	for _, n := range readIfconfig(f.get("ifconfig")) {
		names, byName[n.name] = append(names, n.name), n
		f.set(strings.NewReplacer("-", "_", ":", "_", ".", "_").Replace(n.name), n.dict())
		for _, a := range n.v4 {
			if addr, _ := a.(*value.Dict).Get("address"); !strings.HasPrefix(addr.(string), "127.") {
				all4 = append(all4, addr)
			}
		}
		for _, a := range n.v6 {
			if addr, _ := a.(*value.Dict).Get("address"); addr != "::1" && addr != "fe80::1%lo0" {
				all6 = append(all6, addr)
			}
		}
	}
	f.set("interfaces", names)
	f.set("all_ipv4_addresses", all4)
	f.set("all_ipv6_addresses", all6)
	f.set("default_ipv4", bsdDefault(f.get("bsdroute4"), byName, func(n *bsdFace) []any { return n.v4 }))
	f.set("default_ipv6", bsdDefault(f.get("bsdroute6"), byName, func(n *bsdFace) []any { return n.v6 }))
}

// bsdDefault reads what "route -n get ADDRESS" prints.
func bsdDefault(route string, faces map[string]*bsdFace, addrs func(*bsdFace) []any) *value.Dict {
	d := value.NewDict()
	keys := map[string]string{"interface": "interface", "gateway": "gateway", "if address": "address", "local addr": "address"}
	for line := range strings.SplitSeq(route, "\n") {
		k, v, ok := strings.Cut(strings.TrimSpace(line), ":")
		if name := keys[k]; ok && name != "" {
			d.Set(name, strings.TrimSpace(v))
		}
	}
	name, _ := d.Get("interface")
	n := faces[value.Text(name)]
	if n == nil {
		return d
	}
	for k, v := range n.dict().All() {
		if k != "ipv4" && k != "ipv6" {
			d.Set(k, v)
		}
	}
	own, _ := d.Get("address")
	list := addrs(n)
	i := slices.IndexFunc(list, func(a any) bool { x, _ := a.(*value.Dict).Get("address"); return x == own })
	if len(list) > 0 {
		for k, v := range list[max(i, 0)].(*value.Dict).All() {
			d.Set(k, v)
		}
	}
	return d
}

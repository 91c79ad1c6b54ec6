package modules

import (
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"farm/inventory/value"
)

// netFace is one network interface.
type netFace struct {
	name, mac, kind string
	mtu             int64
	active          bool
	v4, v6          []any
}

func (f facts) network() {
	if f.bsd() {
		f.bsdNetwork()
		return
	}
	faces := readAddr(f.get("addr"))
	if faces == nil {
		faces = f.facesFromSys()
	}
	names, all4, all6 := []any{}, []any{}, []any{}
	byName := map[string]*netFace{}
	for _, n := range faces {
		names = append(names, n.name)
		byName[n.name] = n
		f.set(strings.NewReplacer("-", "_", ":", "_", ".", "_").Replace(n.name), n.dict())
		for _, a := range n.v4 {
			if addr, _ := a.(*value.Dict).Get("address"); !strings.HasPrefix(addr.(string), "127.") {
				all4 = append(all4, addr)
			}
		}
		for _, a := range n.v6 {
			if addr, _ := a.(*value.Dict).Get("address"); addr != "::1" {
				all6 = append(all6, addr)
			}
		}
	}
	f.set("interfaces", names)
	f.set("all_ipv4_addresses", all4)
	f.set("all_ipv6_addresses", all6)
	f.set("default_ipv4", defaultRoute(firstLine(f.get("route4")), byName, func(n *netFace) []any { return n.v4 }))
	f.set("default_ipv6", defaultRoute(firstLine(f.get("route6")), byName, func(n *netFace) []any { return n.v6 }))
}

func (n *netFace) dict() *value.Dict {
	d := value.NewDict("device", n.name, "mtu", n.mtu, "active", n.active, "type", n.kind)
	if n.mac != "" {
		d.Set("macaddress", n.mac)
	}
	if len(n.v4) > 0 {
		d.Set("ipv4", n.v4[0])
	}
	if len(n.v4) > 1 {
		d.Set("ipv4_secondaries", n.v4[1:])
	}
	if len(n.v6) > 0 {
		d.Set("ipv6", n.v6)
	}
	return d
}

var faceLine = regexp.MustCompile(`^[0-9]+: ([^:@ ]+)[^:]*: <([^>]*)>(.*)`)

// readAddr reads what "ip addr" prints, iproute2's and busybox's; nil if there is nothing.
func readAddr(out string) (faces []*netFace) {
	var n *netFace
	for line := range strings.SplitSeq(out, "\n") {
		if m := faceLine.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			n = &netFace{name: m[1], kind: "unknown", active: slices.Contains(strings.Split(m[2], ","), "UP")}
			n.mtu, _ = strconv.ParseInt(after(strings.Fields(m[3]), "mtu"), 10, 64)
			faces = append(faces, n)
			continue
		}
		w := strings.Fields(line)
		if n == nil || len(w) < 2 {
			continue
		}
		switch {
		case strings.HasPrefix(w[0], "link/"):
			n.kind = strings.TrimPrefix(w[0], "link/")
			if n.kind == "loopback" {
				break
			}
			n.mac = w[1]
		case w[0] == "inet":
			n.v4 = append(n.v4, ipv4(w[1], after(w, "brd")))
		case w[0] == "inet6":
			p, err := netip.ParsePrefix(w[1])
			if err == nil {
				n.v6 = append(n.v6, value.NewDict("address", p.Addr().String(), "prefix", strconv.Itoa(p.Bits()), "scope", after(w, "scope")))
			}
		}
	}
	return faces
}

// after is the word that follows key; "" if there is none.
func after(words []string, key string) string {
	if i := slices.Index(words, key); i >= 0 && i+1 < len(words) {
		return words[i+1]
	}
	return ""
}

func ipv4(cidr, broadcast string) *value.Dict {
	p, err := netip.ParsePrefix(cidr)
	if err != nil {
		addr, _, _ := strings.Cut(cidr, "/")
		return value.NewDict("address", addr, "broadcast", broadcast)
	}
	mask := ^uint32(0) << (32 - p.Bits())
	if p.Bits() == 0 {
		mask = 0
	}
	m := netip.AddrFrom4([4]byte{byte(mask >> 24), byte(mask >> 16), byte(mask >> 8), byte(mask)})
	return value.NewDict("address", p.Addr().String(), "broadcast", broadcast, "netmask", m.String(),
		"network", p.Masked().Addr().String(), "prefix", strconv.Itoa(p.Bits()))
}

// defaultRoute is the interface and address that reach the world; empty where there is no way.
func defaultRoute(route string, faces map[string]*netFace, addrs func(*netFace) []any) *value.Dict {
	w := strings.Fields(route)
	d := value.NewDict()
	n := faces[after(w, "dev")]
	if n == nil || len(w) == 0 || w[0] == "unreachable" {
		return d
	}
	src := after(w, "src")
	d.Set("interface", n.name)
	d.Set("address", src)
	if via := after(w, "via"); via != "" {
		d.Set("gateway", via)
	}
	for _, a := range addrs(n) {
		if addr, _ := a.(*value.Dict).Get("address"); addr == src {
			for k, v := range a.(*value.Dict).All() {
				d.Set(k, v)
			}
		}
	}
	d.Set("macaddress", n.mac)
	d.Set("mtu", n.mtu)
	d.Set("type", n.kind)
	d.Set("alias", n.name)
	return d
}

var ifconfigLine = regexp.MustCompile(`^([A-Za-z0-9_.-]+):? .*`)

// facesFromSys is for systems without ip: names from /sys or ifconfig, addresses from ifconfig.
func (f facts) facesFromSys() (faces []*netFace) {
	find := func(name string) *netFace {
		for _, n := range faces {
			if n.name == name {
				return n
			}
		}
		n := &netFace{name: name, kind: "unknown"}
		faces = append(faces, n)
		return n
	}
	for key := range f.r.said {
		if name, ok := strings.CutPrefix(key, "net_"); ok {
			n := find(name)
			if w := strings.Fields(f.get(key)); len(w) > 0 {
				n.mtu, _ = strconv.ParseInt(w[0], 10, 64)
				if len(w) > 1 && name != "lo" {
					n.mac = w[1]
				}
			}
		}
	}
	slices.SortFunc(faces, func(a, b *netFace) int { return strings.Compare(a.name, b.name) })
	var n *netFace
	for line := range strings.SplitSeq(f.get("ifconfig"), "\n") {
		if m := ifconfigLine.FindStringSubmatch(line); m != nil {
			n = find(strings.TrimSuffix(m[1], ":"))
			n.active = n.active || strings.Contains(line, "UP")
		}
		w := strings.Fields(line)
		if n == nil || len(w) < 2 {
			continue
		}
		addr := strings.TrimPrefix(w[1], "addr:")
		if _, err := netip.ParseAddr(addr); w[0] == "inet" && err == nil {
			n.v4 = append(n.v4, value.NewDict("address", addr, "broadcast", after(w, "broadcast"), "netmask", after(w, "netmask")))
		}
		if w[0] == "ether" {
			n.mac = w[1]
		}
	}
	return faces
}

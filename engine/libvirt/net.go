package libvirt

import (
	"crypto/sha256"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"

	"farm/inventory"
	"farm/inventory/value"

	"libvirt.org/go/libvirtxml"
)

// Cards that QEMU gets past libvirt need PCI slots that libvirt will not use: it counts
// up from the lowest, so these count down from the highest free one. extraSlot is for disks.
const (
	lastSlot  = 0x1e
	extraSlot = 0x10
)

// userNet is a card on QEMU's own network, which needs no right on the host; the guest's
// sshd is reached by a port of the host's loopback.
type userNet struct {
	options string // QEMU's, without the forward to the guest's port 22
	preset  int    // port asked for; 0 = any
	listen  string // address of the forward on the host
}

// forward is one hostfwd option that leads to the guest's port 22.
var forward = regexp.MustCompile(`^hostfwd=tcp:([^:]*):(\d+)-[^:]*:22$`)

// parseUserNet takes QEMU's option string of a definition apart.
func parseUserNet(source string) (userNet, error) {
	n := userNet{listen: "127.0.0.1"}
	var rest []string
	for _, o := range strings.Split(source, ",") {
		m := forward.FindStringSubmatch(o)
		switch {
		case o == "":
		case m != nil && n.preset == 0:
			port, err := strconv.Atoi(m[2])
			if err != nil || port > 65535 {
				return n, fmt.Errorf("net source %q: no port %s", source, m[2])
			}
			n.preset = port
			if m[1] != "" {
				n.listen = m[1]
			}
		default:
			rest = append(rest, o)
		}
	}
	n.options = strings.Join(rest, ",")
	return n, nil
}

// resolveNet finds out how the guest is reached: by the first card that says.
func (b *builder) resolveNet() error {
	for i, n := range b.nets() {
		mac, err := b.mac(i, n)
		if err != nil {
			return err
		}
		if n.Type == "user" || n.Type == "" {
			u, err := parseUserNet(n.Source)
			if err != nil {
				return err
			}
			if b.user == nil {
				b.user = &u
			}
		}
		if b.mark.MAC == "" {
			b.mark.MAC = mac
		}
		if ip := net.ParseIP(n.IP); ip != nil && !ip.IsLoopback() && b.mark.Address == "" {
			b.mark.Address = net.JoinHostPort(n.IP, "22")
		}
	}
	if b.user != nil {
		b.mark.Address, b.mark.MAC = "", ""
		if b.user.preset == 0 {
			b.user.preset = presetPort(b.spec.VM.Vars)
		}
	}
	return nil
}

// presetPort is ansible_port of the VM where it is plainly a number.
func presetPort(vars *value.Dict) int {
	if vars == nil {
		return 0
	}
	v, ok := vars.Get("ansible_port")
	if !ok {
		return 0
	}
	n, err := strconv.Atoi(fmt.Sprint(v))
	if err != nil || n < 1 || n > 65535 {
		return 0
	}
	return n
}

// wishedPort is what takePort should reserve.
func (b *builder) wishedPort() portWish {
	if b.user == nil {
		return portWish{}
	}
	return portWish{any: true, port: b.user.preset}
}

// nets are the definition's cards; one user network where it names none.
func (b *builder) nets() []inventory.Net {
	if n := b.def().Net; len(n) > 0 {
		return n
	}
	return []inventory.Net{{Type: "user"}}
}

func (b *builder) addNets(dom *libvirtxml.Domain) error {
	reached := false // the forward is on one card only
	slot := lastSlot
	for i, n := range b.nets() {
		mac, err := b.mac(i, n)
		if err != nil {
			return err
		}
		switch n.Type {
		case "", "user":
			u, err := parseUserNet(n.Source)
			if err != nil {
				return err
			}
			options := u.options
			if !reached {
				reached = true
				options = join(options, fmt.Sprintf("hostfwd=tcp:%s:%d-:22", u.listen, b.mark.Port))
			}
			b.addNetdev(dom, i, slot, mac, join("user,id="+netID(i), options))
			slot--
		case "vde":
			b.addNetdev(dom, i, slot, mac, join("vde,id="+netID(i), vdeOption(n.Source)))
			slot--
		case "network", "bridge", "ethernet":
			card, err := cardXML(n, mac)
			if err != nil {
				return err
			}
			dom.Devices.Interfaces = append(dom.Devices.Interfaces, card)
		default:
			return fmt.Errorf("no net type %q; there are user, network, bridge, vde, ethernet", n.Type)
		}
	}
	return nil
}

func cardXML(n inventory.Net, mac string) (libvirtxml.DomainInterface, error) {
	card := libvirtxml.DomainInterface{
		MAC:   &libvirtxml.DomainInterfaceMAC{Address: mac},
		Model: &libvirtxml.DomainInterfaceModel{Type: "virtio"},
	}
	if n.Source == "" {
		return card, fmt.Errorf("net of type %s: source is missing", n.Type)
	}
	switch n.Type {
	case "network":
		card.Source = &libvirtxml.DomainInterfaceSource{Network: &libvirtxml.DomainInterfaceSourceNetwork{Network: n.Source}}
	case "bridge":
		card.Source = &libvirtxml.DomainInterfaceSource{Bridge: &libvirtxml.DomainInterfaceSourceBridge{Bridge: n.Source}}
	case "ethernet":
		card.Source = &libvirtxml.DomainInterfaceSource{Ethernet: &libvirtxml.DomainInterfaceSourceEthernet{}}
		card.Target = &libvirtxml.DomainInterfaceTarget{Dev: n.Source, Managed: "no"}
	}
	return card, nil
}

// addNetdev adds a card past libvirt: its XML has no port forward before passt, and no vde.
func (b *builder) addNetdev(dom *libvirtxml.Domain, i, slot int, mac, netdev string) {
	model, where := "virtio-net-pci", fmt.Sprintf(",romfile=,bus=%s,addr=0x%x", b.bus(), slot)
	if b.arch == "s390x" {
		model, where = "virtio-net-ccw", ""
	}
	qemuArgs(dom, "-netdev", netdev, "-device", fmt.Sprintf("%s,netdev=%s,mac=%s%s", model, netID(i), mac, where))
}

func netID(i int) string { return "farmnet" + strconv.Itoa(i) }

// bus is the PCI bus that takes cards: PCI Express' root where the machine has it.
func (b *builder) bus() string {
	switch {
	case b.def().DefaultBus != "":
		return b.def().DefaultBus
	case strings.HasPrefix(b.machine, "pc-q35"), b.machine == "q35", strings.HasPrefix(b.machine, "virt"):
		return "pcie.0"
	}
	return "pci.0"
}

// vdeOption takes a switch's folder, or an URL without its scheme.
func vdeOption(source string) string {
	source = strings.TrimPrefix(source, "vde://")
	switch {
	case source == "":
		return ""
	case strings.HasPrefix(source, "sock="):
		return source
	}
	return "sock=" + optionText(source)
}

// mac is the card's address: the definition's, or one made from the machine's name,
// which is unique among all hosts and users.
func (b *builder) mac(i int, n inventory.Net) (string, error) {
	if n.MAC != "" {
		hw, err := net.ParseMAC(n.MAC)
		if err != nil || len(hw) != 6 {
			return "", fmt.Errorf("net: %q is no MAC address", n.MAC)
		}
		return hw.String(), nil
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%d", b.spec.Name, i))
	return net.HardwareAddr{0x52, 0x54, 0x00, sum[0], sum[1], sum[2]}.String(), nil
}

// moveForward rewrites the forward from one host port to another; false if there is none.
func moveForward(d *libvirtxml.Domain, from, to int) bool {
	if d.QEMUCommandline == nil {
		return false
	}
	moved := false
	for i, a := range d.QEMUCommandline.Args {
		options := strings.Split(a.Value, ",")
		for j, o := range options {
			m := forward.FindStringSubmatch(o)
			if m != nil && m[2] == strconv.Itoa(from) {
				options[j] = strings.Replace(o, ":"+m[2]+"-", fmt.Sprintf(":%d-", to), 1)
				moved = true
			}
		}
		d.QEMUCommandline.Args[i].Value = strings.Join(options, ",")
	}
	return moved
}

func join(options ...string) string {
	var some []string
	for _, o := range options {
		if o != "" {
			some = append(some, o)
		}
	}
	return strings.Join(some, ",")
}

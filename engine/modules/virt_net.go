package modules

import (
	"context"
	"errors"
	"slices"
	"strings"

	"farm/engine"
	"farm/inventory/value"
)

// VirtNet manages libvirt's networks on the host of the task, by virsh.
type VirtNet struct {
	Name      string `yaml:"name|network"` // the network
	State     string `yaml:"state"`        // active, inactive, present (made from xml if it is missing) or absent; with list_nets those that are listed: active, inactive
	Command   string `yaml:"command"`      // define (from xml), modify, create or start, stop or destroy, undefine, status, get_xml; of the host: list_nets, facts, info
	Autostart *bool  `yaml:"autostart"`    // start it with the host; alone, without state and command
	URI       string `yaml:"uri"`          // of libvirt; qemu:///system by default
	XML       string `yaml:"xml"`          // the network, for define and present; for modify a <host mac='...' name='...' ip='...'/> of its DHCP
}

func newVirtNet() engine.Module { return &VirtNet{URI: "qemu:///system"} }

var (
	netCommands = []string{"define", "modify", "create", "start", "stop", "destroy", "undefine", "status", "get_xml"}
	netOfHost   = []string{"list_nets", "facts", "info"}
)

// Validate checks what goes together.
func (m *VirtNet) Validate() error {
	if err := checkVirtName(m.Name); err != nil {
		return err
	}
	switch {
	case m.Command == "list_nets":
		return oneOfOrNone("state", m.State, "active", "inactive")
	case m.State != "" && m.Command != "":
		return errors.New("state and command: give one of the two")
	case m.State != "" && m.Autostart != nil, m.Command != "" && m.Autostart != nil:
		return errors.New("autostart stands alone: give it in a task of its own")
	case m.State == "" && m.Command == "" && m.Autostart == nil:
		return errors.New("give state, command or autostart")
	case m.Name == "" && !slices.Contains(netOfHost, m.Command):
		return errors.New("name is missing")
	case m.Command == "define" && m.XML == "", m.Command == "modify" && m.XML == "":
		return errors.New(m.Command + " needs xml")
	}
	if m.Command == "define" || m.State == "present" && m.XML != "" {
		if err := checkXML("network", m.XML, &struct{}{}); err != nil {
			return err
		}
	}
	if err := oneOfOrNone("command", m.Command, append(slices.Clone(netCommands), netOfHost...)...); err != nil {
		return err
	}
	return oneOfOrNone("state", m.State, "active", "inactive", "present", "absent")
}

// Run does what the arguments say.
func (m *VirtNet) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	if err := m.Validate(); err != nil {
		return failed("virt_net: %v", err), nil
	}
	res, err := settled(m.perform(ctx, virsh{t, m.URI}))
	if t.Check && res.Changed && m.Command != "modify" {
		res.Values = nil // what libvirt would answer is not known
	}
	return res, err
}

func (m *VirtNet) perform(ctx context.Context, v virsh) (engine.Result, error) {
	all, err := v.names(ctx, "net-list", "--all", "--name")
	if err != nil {
		return engine.Result{}, err
	}
	for i := range all {
		all[i] = strings.TrimSpace(all[i])
	}
	there := slices.Contains(all, m.Name)
	switch m.Command {
	case "list_nets":
		return m.list(ctx, v, all)
	case "facts", "info":
		if m.Name != "" && m.Command == "facts" {
			if !there {
				return engine.Result{}, refuse("network %s not found", m.Name)
			}
			all = []string{m.Name}
		}
		return m.facts(ctx, v, all)
	}
	switch {
	case !there && (m.Command == "define" || m.Command == "modify" || m.State == "present"):
		return m.define(ctx, v)
	case there && (m.Command == "define" || m.State == "present"):
		return engine.Result{}, nil
	case !there && (m.State == "inactive" || m.State == "absent"):
		return engine.Result{}, nil
	case !there && m.Command == "undefine":
		return engine.Result{Values: value.NewDict(m.Command, nil)}, nil
	case !there && v.task.Check: // one before may define it
		return engine.Result{Changed: true}, nil
	case !there:
		return engine.Result{}, refuse("network %s not found", m.Name)
	}
	return m.ofNetwork(ctx, v)
}

func (m *VirtNet) list(ctx context.Context, v virsh, all []string) (engine.Result, error) {
	list := []any{}
	for _, name := range all {
		if m.State != "" {
			d, err := v.fields(ctx, "net-info", "--network", name)
			if err != nil {
				return engine.Result{}, err
			}
			if activity(d) != m.State {
				continue
			}
		}
		list = append(list, name)
	}
	return engine.Result{Values: value.NewDict("list_nets", list)}, nil
}

func (m *VirtNet) define(ctx context.Context, v virsh) (engine.Result, error) {
	if m.XML == "" {
		return engine.Result{}, refuse("network %q is not there, and xml does not say what it is to be", m.Name)
	}
	if err := checkXML("network", m.XML, &struct{}{}); err != nil {
		return engine.Result{}, refuse("%v", err)
	}
	res := engine.Result{Changed: true, Values: value.NewDict("created", m.Name)}
	if v.task.Check {
		return res, nil
	}
	_, err := v.with(ctx, m.XML, "net-define", "/dev/stdin")
	return res, err
}

func activity(d map[string]string) string {
	if d["Active"] == "yes" {
		return "active"
	}
	return "inactive"
}

// ofNetwork does what the arguments say to a network that is there.
func (m *VirtNet) ofNetwork(ctx context.Context, v virsh) (engine.Result, error) {
	d, err := v.fields(ctx, "net-info", "--network", m.Name)
	if err != nil {
		return engine.Result{}, err
	}
	active := activity(d) == "active"
	if m.Autostart != nil {
		if (d["Autostart"] == "yes") == *m.Autostart {
			return engine.Result{}, nil
		}
		args := []string{"net-autostart", "--network", m.Name}
		if !*m.Autostart {
			args = append(args, "--disable")
		}
		return done("msg"), v.change(ctx, args...)
	}
	switch m.Command + m.State {
	case "status":
		return engine.Result{Values: value.NewDict("status", activity(d))}, nil
	case "get_xml":
		text, err := v.do(ctx, "net-dumpxml", "--network", m.Name)
		return engine.Result{Values: value.NewDict("get_xml", text)}, err
	case "modify":
		return m.modify(ctx, v, active)
	case "create", "start":
		if active {
			return engine.Result{Values: value.NewDict(m.Command, nil)}, nil
		}
		return done(m.Command), v.change(ctx, "net-start", "--network", m.Name)
	case "stop", "destroy":
		if !active {
			return engine.Result{Values: value.NewDict(m.Command, nil)}, nil
		}
		return done(m.Command), v.change(ctx, "net-destroy", "--network", m.Name)
	case "undefine":
		return done(m.Command), v.change(ctx, "net-undefine", "--network", m.Name)
	case "active":
		if active {
			return engine.Result{}, nil
		}
		return done("msg"), v.change(ctx, "net-start", "--network", m.Name)
	case "inactive":
		if !active {
			return engine.Result{}, nil
		}
		return done("msg"), v.change(ctx, "net-destroy", "--network", m.Name)
	}
	return m.remove(ctx, v, active, d["Persistent"] == "yes")
}

// done is a change whose answer of libvirt is 0.
func done(key string) engine.Result {
	return engine.Result{Changed: true, Values: value.NewDict(key, int64(0))}
}

// remove ends a network and its definition. One that is not persistent is gone when it is ended.
func (m *VirtNet) remove(ctx context.Context, v virsh, active, persistent bool) (engine.Result, error) {
	if active {
		if err := v.change(ctx, "net-destroy", "--network", m.Name); err != nil {
			return engine.Result{}, err
		}
	}
	if !persistent {
		return done("msg"), nil
	}
	return done("msg"), v.change(ctx, "net-undefine", "--network", m.Name)
}

// network is what is read of a network's XML.
// https://libvirt.org/formatnetwork.html
type network struct {
	UUID   string `xml:"uuid"`
	Bridge struct {
		Name string `xml:"name,attr"`
	} `xml:"bridge"`
	Forward struct {
		Mode string `xml:"mode,attr"`
	} `xml:"forward"`
	Domain struct {
		Name string `xml:"name,attr"`
	} `xml:"domain"`
	MAC struct {
		Address string `xml:"address,attr"`
	} `xml:"mac"`
	Hosts []networkHost `xml:"ip>dhcp>host"`
}

type networkHost struct {
	MAC  string `xml:"mac,attr"`
	Name string `xml:"name,attr"`
	IP   string `xml:"ip,attr"`
}

func (v virsh) network(ctx context.Context, name string) (n network, err error) {
	text, err := v.do(ctx, "net-dumpxml", "--network", name)
	if err == nil {
		if bad := checkXML("network", text, &n); bad != nil {
			err = refuse("what libvirt says of network %s: %v", name, bad)
		}
	}
	return n, err
}

// modify adds or changes a host of the network's DHCP.
func (m *VirtNet) modify(ctx context.Context, v virsh, active bool) (engine.Result, error) {
	var host networkHost
	if err := checkXML("host", m.XML, &host); err != nil || host.MAC == "" {
		return engine.Result{}, refuse("virt_net: modify takes a <host mac='...' name='...' ip='...'/> of the network's DHCP, not %.200q", m.XML)
	}
	n, err := v.network(ctx, m.Name)
	if err != nil {
		return engine.Result{}, err
	}
	how := "add-last"
	for _, h := range n.Hosts {
		if h.MAC == host.MAC {
			how = "modify"
			if h.Name == host.Name && h.IP == host.IP {
				return engine.Result{Values: value.NewDict("modified", m.Name)}, nil
			}
		}
	}
	args := []string{"net-update", "--network", m.Name, how, "ip-dhcp-host", m.XML, "--config"}
	if active {
		args = append(args, "--live")
	}
	return engine.Result{Changed: true, Values: value.NewDict("modified", m.Name)}, v.change(ctx, args...)
}

// facts describes networks.
func (m *VirtNet) facts(ctx context.Context, v virsh, names []string) (engine.Result, error) {
	all := value.NewDict()
	for _, name := range names {
		d, err := v.fields(ctx, "net-info", "--network", name)
		if err != nil {
			return engine.Result{}, err
		}
		n, err := v.network(ctx, name)
		if err != nil {
			return engine.Result{}, err
		}
		one := value.NewDict("autostart", d["Autostart"], "persistent", d["Persistent"], "state", activity(d), "uuid", n.UUID)
		for _, p := range [][2]string{{"bridge", n.Bridge.Name}, {"forward_mode", n.Forward.Mode}, {"domain", n.Domain.Name}, {"macaddress", n.MAC.Address}} {
			if p[1] != "" {
				one.Set(p[0], p[1])
			}
		}
		leases, err := v.leases(ctx, name)
		if err != nil {
			return engine.Result{}, err
		}
		if leases != nil {
			one.Set("dhcp_leases", leases)
		}
		all.Set(name, one)
	}
	if m.Command == "info" {
		return engine.Result{Values: value.NewDict("networks", all)}, nil
	}
	return engine.Result{Facts: value.NewDict("ansible_libvirt_networks", all)}, nil
}

// leases are those of a network's DHCP; nil where libvirt's driver has none.
func (v virsh) leases(ctx context.Context, name string) ([]any, error) {
	out, err := v.do(ctx, "net-dhcp-leases", "--network", name)
	var bad *refusal
	if errors.As(err, &bad) {
		return nil, nil
	}
	list := []any{}
	for line := range strings.SplitSeq(out, "\n") {
		w := strings.Fields(line) // date, time, MAC, protocol, address, host, client
		if len(w) < 7 {
			continue
		}
		address, prefix, _ := strings.Cut(w[4], "/")
		kind := int64(0)
		if w[3] == "ipv6" {
			kind = 1
		}
		list = append(list, value.NewDict("mac", w[2], "type", kind, "ipaddr", address, "prefix", firstNumber(prefix),
			"hostname", orNone(w[5]), "clientid", orNone(w[6])))
	}
	return list, err
}

// orNone is a column of a table; nil where it is empty.
func orNone(word string) any {
	if word == "-" {
		return nil
	}
	return word
}

package inventory

import (
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"farm/inventory/source"
	"farm/inventory/value"
)

// settings are the variables of a host that make it a hypervisor.
type settings struct {
	Connection string   `yaml:"ansible_connection"`
	Address    string   `yaml:"ansible_host"`
	Port       int      `yaml:"ansible_port|ansible_ssh_port"`
	User       string   `yaml:"ansible_user|ansible_ssh_user"`
	KeyFile    string   `yaml:"ansible_ssh_private_key_file|ansible_private_key_file"`
	Password   string   `yaml:"ansible_password|ansible_ssh_pass"`
	CommonArgs string   `yaml:"ansible_ssh_common_args"`
	URI        string   `yaml:"ansible_libvirt_uri"`
	Labels     []string `yaml:"labels"`
	Capacity   capacity `yaml:"capacity"`
	Locked     string   `yaml:"locked"`
	Driver     string   `yaml:"driver"`
}

type capacity struct {
	VCPUs     int `yaml:"vcpus"`
	MemoryMiB int `yaml:"memory_mib"`
	VMs       int `yaml:"vms"`
}

// drivers are those of hypervisors; libvirt is the default.
var drivers = []string{"libvirt"}

// hypervisorRules are what the settings of a hypervisor must be, beyond their types.
var hypervisorRules = value.Rules{
	{Path: "ansible_connection", Rule: connectionKind},
	{Path: "ansible_host", Rule: value.Matching(oneWord, "an address or a name")},
	{Path: "ansible_port", Rule: value.Whole(1, math.MaxUint16, "")},
	{Path: "ansible_ssh_port", Rule: value.Whole(1, math.MaxUint16, "")},
	{Path: "ansible_user", Rule: value.Matching(oneWord, "a user's name without blanks")},
	{Path: "ansible_ssh_user", Rule: value.Matching(oneWord, "a user's name without blanks")},
	{Path: "ansible_libvirt_uri", Rule: value.Matching(anURI, asURI)},
	{Path: "labels[]", Rule: value.Matching(labelWord, "words of letters, digits and _ . : / @ + -")},
	{Path: "capacity.vcpus", Rule: value.Whole(1, math.MaxInt32, "or left out for all")},
	{Path: "capacity.memory_mib", Rule: value.Whole(1, math.MaxInt32, "or left out for all")},
	{Path: "capacity.vms", Rule: value.Whole(1, math.MaxInt32, "or left out for as many as fit")},
	{Path: "driver", Rule: value.OneOf(drivers...)},
}

var (
	oneWord   = regexp.MustCompile(`^[^\s\x00-\x1f\x7f]+$`)
	labelWord = regexp.MustCompile(`^\s*[\pL\pN_][\pL\pN_.:/@+-]*\s*(,\s*[\pL\pN_][\pL\pN_.:/@+-]*\s*)*$`)
)

// connectionKind takes local, ssh and Ansible's other names of it.
func connectionKind(v any) (what, hint string) {
	switch text := value.Text(v); {
	case text == "paramiko_ssh", text == "smart", strings.HasSuffix(text, ".ssh"):
		return "", ""
	}
	return value.OneOf("local", "ssh")(v)
}

// about puts a hypervisor's name before complaints.
func about(name string, err error) error {
	errs := source.Flatten(err)
	for i, one := range errs {
		if bad, ok := one.(*source.Error); ok {
			errs[i] = &source.Error{Pos: bad.Pos, What: "hypervisor " + strconv.Quote(name) + ": " + bad.What, Hint: bad.Hint}
		}
	}
	return source.Join(errs...)
}

// Hypervisors lists the hosts that run VMs; localhost where there is no such group.
func (inv *Inventory) Hypervisors() ([]Hypervisor, error) {
	var out []Hypervisor
	errs := inv.hypervisorGroup()
	for _, name := range inv.hypervisorNames() {
		h, err := inv.hypervisor(name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		out = append(out, h)
	}
	return out, source.Join(errs...)
}

// hypervisorGroup finds a group hypervisors without hosts, or one nearly of that name.
func (inv *Inventory) hypervisorGroup() []error {
	const group = "hypervisors"
	if gr := inv.graph.groups[group]; gr != nil {
		if len(gr.members()) == 0 {
			return []error{&source.Error{Pos: gr.pos, What: "the group hypervisors has no hosts", Hint: "without the group localhost is the hypervisor"}}
		}
		return nil
	}
	var errs []error
	for name, gr := range inv.graph.groups {
		if source.Nearest(name, []string{group}) != "" {
			errs = append(errs, &source.Error{Pos: gr.pos, What: "there is no group hypervisors, but " + strconv.Quote(name), Hint: source.DidYouMean(name, []string{group})})
		}
	}
	return errs
}

func (inv *Inventory) hypervisorNames() []string {
	gr := inv.graph.groups["hypervisors"]
	if gr == nil {
		return []string{"localhost"}
	}
	var names []string
	for _, h := range gr.members() {
		names = append(names, h.name)
	}
	return names
}

func (inv *Inventory) hypervisor(name string) (Hypervisor, error) {
	vars := inv.HostVars(name)
	raw := inv.RawHostVars(name)
	d := value.NewDict()
	d.SetPos(raw.Pos())
	if name == "localhost" {
		d.Set("ansible_connection", "local")
	}
	var errs []error
	for _, f := range settingNames {
		if !raw.Has(f) {
			continue
		}
		if loginOnly[f] && get(d, "ansible_connection") == "local" {
			continue // meant for guests
		}
		v, ok, err := vars.Get(f)
		if err != nil {
			errs = append(errs, err)
		} else if ok && v != nil {
			d.Set(f, v)
			d.CopyPos(f, raw)
		}
	}
	s := settings{Connection: "ssh", Port: 22, URI: "qemu:///session", Driver: "libvirt"}
	errs = append(errs, beside(about(name, hypervisorRules.Check(d)), value.Decode(d, &s)))
	if s.Connection == "paramiko_ssh" || s.Connection == "smart" || strings.HasSuffix(s.Connection, ".ssh") {
		s.Connection = "ssh"
	}
	if b, err := value.ParseBool(s.Locked); err == nil {
		if s.Locked = ""; b {
			s.Locked = "locked in the inventory"
		}
	}
	if s.Address == "" {
		s.Address = name
	}
	return Hypervisor{
		Name: name, Connection: s.Connection, Address: s.Address, Port: s.Port, User: s.User,
		KeyFile: ExpandHome(s.KeyFile), Password: s.Password, CommonArgs: s.CommonArgs, URI: s.URI,
		Labels: s.Labels, VCPUs: s.Capacity.VCPUs, MemoryMiB: s.Capacity.MemoryMiB, VMs: s.Capacity.VMs,
		Locked: s.Locked, Driver: s.Driver,
	}, source.Join(errs...)
}

var settingNames = []string{
	"ansible_connection", "ansible_host", "ansible_port", "ansible_ssh_port", "ansible_user", "ansible_ssh_user",
	"ansible_ssh_private_key_file", "ansible_private_key_file", "ansible_password", "ansible_ssh_pass",
	"ansible_ssh_common_args", "ansible_libvirt_uri", "labels", "capacity", "locked", "driver",
}

// loginOnly are the settings that only a login over SSH reads.
var loginOnly = map[string]bool{
	"ansible_host": true, "ansible_port": true, "ansible_ssh_port": true, "ansible_user": true, "ansible_ssh_user": true,
	"ansible_ssh_private_key_file": true, "ansible_private_key_file": true, "ansible_password": true, "ansible_ssh_pass": true,
	"ansible_ssh_common_args": true,
}

// ExpandHome puts the user's home folder in place of a leading "~".
func ExpandHome(path string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, rest)
		}
	}
	return path
}

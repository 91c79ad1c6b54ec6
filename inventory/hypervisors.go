package inventory

import (
	"os"
	"path/filepath"
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

// Hypervisors lists the hosts that run VMs; localhost where there is no such group.
func (inv *Inventory) Hypervisors() ([]Hypervisor, error) {
	var out []Hypervisor
	var errs []error
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
	var errs []error
	for _, f := range settingNames {
		if !raw.Has(f) {
			continue
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
	if name == "localhost" {
		s.Connection = "local"
	}
	errs = append(errs, value.Decode(d, &s))
	bad := func(key, what, hint string) {
		errs = append(errs, &source.Error{Pos: d.KeyPos(key), What: "hypervisor \"" + name + "\": " + what, Hint: hint})
	}
	if s.Connection == "paramiko_ssh" || s.Connection == "smart" || strings.HasSuffix(s.Connection, ".ssh") {
		s.Connection = "ssh"
	}
	if s.Connection != "local" && s.Connection != "ssh" {
		bad("ansible_connection", "unknown connection \""+s.Connection+"\"", "local or ssh")
	}
	if s.Driver != "libvirt" && s.Driver != "sim" {
		bad("driver", "unknown driver \""+s.Driver+"\"", "libvirt or sim")
	}
	if s.Port < 1 || s.Port > 65535 {
		bad("ansible_port", "no such port", "1 to 65535")
	}
	if s.Capacity.VCPUs < 0 || s.Capacity.MemoryMiB < 0 || s.Capacity.VMs < 0 {
		bad("capacity", "a capacity is below 0", "")
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
		KeyFile: expandHome(s.KeyFile), Password: s.Password, CommonArgs: s.CommonArgs, URI: s.URI,
		Labels: s.Labels, VCPUs: s.Capacity.VCPUs, MemoryMiB: s.Capacity.MemoryMiB, VMs: s.Capacity.VMs,
		Locked: s.Locked, Driver: s.Driver,
	}, source.Join(errs...)
}

var settingNames = []string{
	"ansible_connection", "ansible_host", "ansible_port", "ansible_ssh_port", "ansible_user", "ansible_ssh_user",
	"ansible_ssh_private_key_file", "ansible_private_key_file", "ansible_password", "ansible_ssh_pass",
	"ansible_ssh_common_args", "ansible_libvirt_uri", "labels", "capacity", "locked", "driver",
}

func expandHome(path string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, rest)
		}
	}
	return path
}

package modules

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"farm/engine"
	"farm/inventory/value"
)

// Virt manages libvirt's virtual machines on the host of the task, by virsh.
type Virt struct {
	Name      string   `yaml:"name|guest"` // the machine
	State     string   `yaml:"state"`      // running, shutdown, destroyed (switched off) or paused; with list_vms those that are listed: running, paused, shutdown, crashed
	Command   string   `yaml:"command"`    // define (from xml), undefine, create or start, shutdown, destroy, pause, unpause, status, get_xml; of the host: list_vms, info, nodeinfo, freemem, virttype
	Autostart *bool    `yaml:"autostart"`  // start it with the host
	URI       string   `yaml:"uri"`        // of libvirt; qemu:///system by default
	XML       string   `yaml:"xml"`        // of the machine, for define
	Flags     []string `yaml:"flags"`      // what undefine removes too: managed_save, snapshots_metadata, nvram, checkpoints_metadata; or keep_nvram
	Force     bool     `yaml:"force"`      // undefine removes all of these
}

func newVirt() engine.Module { return &Virt{URI: "qemu:///system"} }

var (
	virtStates  = []string{"running", "shutdown", "destroyed", "paused"}
	virtOfHost  = []string{"list_vms", "info", "nodeinfo", "freemem", "virttype"}
	virtChanges = map[string]string{"create": "start", "start": "start", "shutdown": "shutdown", "destroy": "destroy", "pause": "suspend", "unpause": "resume"}
	virtOthers  = []string{"define", "undefine", "status", "get_xml"}
	virtFlags   = []string{"managed_save", "snapshots_metadata", "nvram", "keep_nvram", "checkpoints_metadata"}
)

// Validate checks what goes together.
func (m *Virt) Validate() error {
	if err := checkVirtName(m.Name); err != nil {
		return err
	}
	for _, f := range m.Flags {
		if err := oneOf("flags", f, virtFlags...); err != nil {
			return err
		}
	}
	_, changes := virtChanges[m.Command]
	switch {
	case m.Command == "list_vms":
		return oneOfOrNone("state", m.State, "running", "paused", "shutdown", "crashed")
	case m.State != "" && m.Command != "":
		return errors.New("state and command: give one of the two")
	case m.State == "" && m.Command == "" && m.Autostart == nil:
		return errors.New("give state, command or autostart")
	case m.Command == "stop":
		return errors.New("command: stop is shutdown (the guest is asked) or destroy (it is switched off); Ansible's fails too")
	case m.Command == "define":
		_, _, err := m.definition()
		return err
	case m.Name == "" && !slices.Contains(virtOfHost, m.Command):
		return errors.New("name is missing")
	case slices.Contains(m.Flags, "nvram") && slices.Contains(m.Flags, "keep_nvram"):
		return errors.New("flags: nvram and keep_nvram exclude each other")
	case (len(m.Flags) > 0 || m.Force) && m.Command != "undefine":
		return errors.New("flags and force belong to command: undefine")
	case m.Command != "" && !changes && !slices.Contains(virtOthers, m.Command) && !slices.Contains(virtOfHost, m.Command):
		return oneOf("command", m.Command, append(append([]string{"create", "start", "shutdown", "destroy", "pause", "unpause"}, virtOthers...), virtOfHost...)...)
	}
	return oneOfOrNone("state", m.State, virtStates...)
}

func oneOfOrNone(name, v string, choices ...string) error {
	if v == "" {
		return nil
	}
	return oneOf(name, v, choices...)
}

// definition is the name and the UUID in the XML.
func (m *Virt) definition() (name, uuid string, err error) {
	if m.XML == "" {
		return "", "", errors.New("define needs xml")
	}
	var d struct {
		Name string `xml:"name"`
		UUID string `xml:"uuid"`
	}
	if err := checkXML("domain", m.XML, &d); err != nil {
		return "", "", err
	}
	if name = strings.TrimSpace(d.Name); name == "" {
		return "", "", errors.New("xml has no name")
	}
	return name, strings.TrimSpace(d.UUID), checkVirtName(name)
}

// Run does what the arguments say.
func (m *Virt) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	if err := m.Validate(); err != nil {
		return failed("virt: %v", err), nil
	}
	return settled(m.perform(ctx, virsh{t, m.URI}))
}

func (m *Virt) perform(ctx context.Context, v virsh) (engine.Result, error) {
	switch {
	case slices.Contains(virtOfHost, m.Command):
		return m.ofHost(ctx, v)
	case m.Command == "define":
		return m.define(ctx, v)
	}
	if err := m.exists(ctx, v); err != nil {
		return engine.Result{}, err
	}
	changed := false
	if m.Autostart != nil {
		var err error
		if changed, err = m.autostart(ctx, v, m.Name); err != nil {
			return engine.Result{}, err
		}
	}
	res, err := m.ofMachine(ctx, v)
	res.Changed = res.Changed || changed
	return res, err
}

func (m *Virt) exists(ctx context.Context, v virsh) error {
	names, err := v.names(ctx, "list", "--all", "--name")
	if err != nil {
		return err
	}
	if !slices.Contains(names, m.Name) {
		return refuse("virtual machine %s not found", m.Name)
	}
	return nil
}

// autostart sets it; changed says whether it was otherwise.
func (m *Virt) autostart(ctx context.Context, v virsh, name string) (changed bool, err error) {
	d, err := v.fields(ctx, "dominfo", "--domain", name)
	if err != nil || (d["Autostart"] == "enable") == *m.Autostart {
		return false, err
	}
	args := []string{"autostart", "--domain", name}
	if !*m.Autostart {
		args = append(args, "--disable")
	}
	return true, v.change(ctx, args...)
}

// status is a machine's state in the module's words.
func status(ctx context.Context, v virsh, name string) (string, error) {
	out, err := v.do(ctx, "domstate", "--domain", name)
	return virtStatus(strings.TrimSpace(out)), err
}

func virtStatus(state string) string {
	switch state {
	case "running", "idle", "no state":
		return "running"
	case "paused", "crashed":
		return state
	case "in shutdown", "shut off":
		return "shutdown"
	}
	return "unknown"
}

// ofMachine does what state or command says to a machine that is there.
func (m *Virt) ofMachine(ctx context.Context, v virsh) (engine.Result, error) {
	if m.State != "" {
		return m.reach(ctx, v)
	}
	key := func(k any, changed bool) engine.Result {
		return engine.Result{Changed: changed, Values: value.NewDict(m.Command, k)}
	}
	switch m.Command {
	case "":
		return engine.Result{}, nil
	case "status":
		state, err := status(ctx, v, m.Name)
		return key(state, false), err
	case "get_xml":
		text, err := v.do(ctx, "dumpxml", "--domain", m.Name)
		return key(text, false), err
	case "undefine":
		flags := m.Flags
		if m.Force {
			flags = []string{"managed_save", "snapshots_metadata", "nvram", "checkpoints_metadata"}
		}
		args := []string{"undefine", "--domain", m.Name}
		for _, f := range flags {
			args = append(args, "--"+strings.ReplaceAll(f, "_", "-"))
		}
		return key(int64(0), true), v.change(ctx, args...)
	}
	return key(int64(0), true), v.change(ctx, virtChanges[m.Command], "--domain", m.Name)
}

// reach brings a machine into the state.
func (m *Virt) reach(ctx context.Context, v virsh) (engine.Result, error) {
	now, err := status(ctx, v, m.Name)
	if err != nil {
		return engine.Result{}, err
	}
	command := ""
	switch {
	case m.State == "running" && now == "paused":
		command = "resume"
	case m.State == "running" && now != "running":
		command = "start"
	case m.State == "shutdown" && now != "shutdown":
		command = "shutdown"
	case m.State == "destroyed" && now != "shutdown":
		command = "destroy"
	case m.State == "paused" && now == "running":
		command = "suspend"
	default:
		return engine.Result{}, nil
	}
	return engine.Result{Changed: true, Values: value.NewDict("msg", int64(0))}, v.change(ctx, command, "--domain", m.Name)
}

// define makes or changes a machine. One of the same name that has another UUID, or is given none, stays as it is, for
// libvirt takes no second one.
func (m *Virt) define(ctx context.Context, v virsh) (engine.Result, error) {
	name, uuid, err := m.definition()
	if err != nil {
		return engine.Result{}, refuse("virt: %v", err)
	}
	if m.Name != "" {
		warn(v.task, "virt: xml says the name; name is not used")
	}
	names, err := v.names(ctx, "list", "--all", "--name")
	if err != nil {
		return engine.Result{}, err
	}
	res := engine.Result{Values: value.NewDict()}
	if !slices.Contains(names, name) {
		res.Changed = true
		res.Values.Set("created", name)
		if v.task.Check {
			return res, nil
		}
		_, err = v.with(ctx, m.XML, "define", "/dev/stdin")
	} else {
		err = m.redefine(ctx, v, name, uuid, &res)
	}
	if err != nil || m.Autostart == nil {
		return res, err
	}
	changed, err := m.autostart(ctx, v, name)
	if changed {
		res.Changed, res.Values = true, value.NewDict("change_reason", "autostart")
	}
	return res, err
}

func (m *Virt) redefine(ctx context.Context, v virsh, name, uuid string, res *engine.Result) error {
	have, err := v.do(ctx, "domuuid", "--domain", name)
	if err != nil || !strings.EqualFold(strings.TrimSpace(have), uuid) {
		return err
	}
	dump := []string{"dumpxml", "--inactive", "--domain", name}
	before, err := v.do(ctx, dump...)
	if err != nil {
		return err
	}
	after := m.XML
	if !v.task.Check {
		if _, err := v.with(ctx, m.XML, "define", "/dev/stdin"); err != nil {
			return err
		}
		if after, err = v.do(ctx, dump...); err != nil {
			return err
		}
	}
	if strings.TrimSpace(before) != strings.TrimSpace(after) {
		res.Changed = true
		res.Values.Set("change_reason", "config changed")
	}
	return nil
}

// ofHost answers questions about all machines, and about the host.
func (m *Virt) ofHost(ctx context.Context, v virsh) (engine.Result, error) {
	var answer any
	var err error
	switch m.Command {
	case "list_vms":
		answer, err = m.list(ctx, v)
	case "freemem":
		var d map[string]string
		d, err = v.fields(ctx, "freecell")
		answer = firstNumber(d["Total"]) << 10
	case "virttype":
		var d map[string]string
		d, err = v.fields(ctx, "version")
		answer, _, _ = strings.Cut(d["Using API"], " ")
	case "info":
		all, err := virtInfo(ctx, v)
		return engine.Result{Values: all}, err
	case "nodeinfo":
		d, err := v.fields(ctx, "nodeinfo")
		of := func(key string) string { return fmt.Sprint(firstNumber(d[key])) }
		return engine.Result{Values: value.NewDict("cpumodel", d["CPU model"], "phymemory", fmt.Sprint(firstNumber(d["Memory size"])>>10),
			"cpus", of("CPU(s)"), "cpumhz", of("CPU frequency"), "numanodes", of("NUMA cell(s)"), "sockets", of("CPU socket(s)"),
			"cpucores", of("Core(s) per socket"), "cputhreads", of("Thread(s) per core"))}, err
	}
	return engine.Result{Values: value.NewDict(m.Command, answer)}, err
}

func (m *Virt) list(ctx context.Context, v virsh) ([]any, error) {
	names, err := v.names(ctx, "list", "--all", "--name")
	list := []any{}
	for _, name := range names {
		if m.State != "" {
			now, err := status(ctx, v, name)
			if err != nil {
				return nil, err
			}
			if now != m.State {
				continue
			}
		}
		list = append(list, name)
	}
	return list, err
}

// virtInfo is what is known of each machine, by name. The processor time is known to a tenth of a second.
func virtInfo(ctx context.Context, v virsh) (*value.Dict, error) {
	names, err := v.names(ctx, "list", "--all", "--name")
	if err != nil {
		return nil, err
	}
	all := value.NewDict()
	for _, name := range names {
		d, err := v.fields(ctx, "dominfo", "--domain", name)
		if err != nil {
			return nil, err
		}
		autostart := int64(0)
		if d["Autostart"] == "enable" {
			autostart = 1
		}
		secs, _ := strconv.ParseFloat(strings.TrimSuffix(d["CPU time"], "s"), 64) // none while it is off
		all.Set(name, value.NewDict("state", virtStatus(d["State"]), "maxMem", fmt.Sprint(firstNumber(d["Max memory"])),
			"memory", fmt.Sprint(firstNumber(d["Used memory"])), "nrVirtCpu", firstNumber(d["CPU(s)"]),
			"cpuTime", fmt.Sprint(int64(secs*10)*100_000_000), "autostart", autostart))
	}
	return all, nil
}

// firstNumber is the number that text begins with, as in "1024 KiB"; 0 if it is none.
func firstNumber(text string) int64 {
	word, _, _ := strings.Cut(text, " ")
	n, _ := strconv.ParseInt(word, 10, 64)
	return n
}

package main

import (
	"fmt"
	"os"
	"strings"

	"farm/engine/ssh"
	"farm/engine/task"
	"farm/inventory"
	"farm/inventory/source"
	"farm/phases"
)

// check finds every fault of an inventory, of its definitions and of the task files of VMs
// that can be found without a host. later are faults of tasks that may not run, or are meant to fail.
func (a *app) check(inv *inventory.Inventory, vms []inventory.VM) (later []error, err error) {
	errs := []error{checkHypervisors(inv), inv.Check(vms, a.producedNames(inv, vms)), checkPorts(inv, vms)}
	files := task.New(a.taskOptions(inv)).Validation(inv.Engine())
	files.Topics, files.Hosts = []string{shutdownHypervisor}, hostNames(inv, vms)
	seen := map[string]bool{}
	visit := func(file string) {
		if !seen[file] {
			seen[file] = true
			files.File(file)
		}
	}
	for _, vm := range vms {
		errs = append(errs, checkSettings(inv, vm), inv.AtUser(vm, checkCallbacks(inv, vm, visit)))
		if !inv.Faulty(vm) {
			errs = append(errs, checkTemplate(inv, vm))
		}
		dir, err := phasesDir(inv, vm)
		if err != nil {
			if !seen[dir] {
				seen[dir] = true
				errs = append(errs, err)
			}
			continue
		}
		for _, phase := range []string{phases.Dependencies, phases.Init, phases.Main, phases.Terminate} {
			file, _ := phases.Find(dir, vm.Platform, vm.Target, phase)
			if file != "" {
				visit(file)
			}
		}
	}
	return files.Later(), inv.Likely(source.Join(append(errs, files.Err())...))
}

// warnLater tells of faults that end nothing yet.
func (a *app) warnLater(later []error) {
	for _, err := range later {
		a.warnOnce(err.Error() + ": the task fails if it comes to run")
	}
}

// hostNames are the names of an inventory's hosts and VMs.
func hostNames(inv *inventory.Inventory, vms []inventory.VM) []string {
	names := append([]string{}, inv.HostNames()...)
	for _, vm := range vms {
		names = append(names, vm.Name, vm.ID)
	}
	return names
}

// checkHypervisors finds faults in how hypervisors are reached.
func checkHypervisors(inv *inventory.Inventory) error {
	list, err := inv.Hypervisors()
	errs := []error{err}
	for _, h := range list {
		if h.Connection != "ssh" {
			continue
		}
		raw := inv.RawHostVars(h.Name)
		fail := func(format string, args []any, keys ...string) {
			pos := source.Pos{}
			for _, key := range keys {
				if raw.Has(key) {
					pos = raw.ValPos(key)
				}
			}
			errs = append(errs, &source.Error{Pos: pos, What: fmt.Sprintf("hypervisor %q: "+format, append([]any{h.Name}, args...)...)})
		}
		if err := ssh.CheckArgs(h.CommonArgs); err != nil {
			fail("ansible_ssh_common_args: %v", []any{err}, "ansible_ssh_common_args")
		}
		if why := badKeyFile(h.KeyFile); why != "" {
			fail("%s", []any{why}, "ansible_private_key_file", "ansible_ssh_private_key_file")
		}
	}
	return source.Join(errs...)
}

// badKeyFile says why a private key's file cannot be read; "" where none is named.
func badKeyFile(path string) string {
	if path == "" {
		return ""
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return fmt.Sprintf("there is no private key %s", path)
	case !info.Mode().IsRegular():
		return fmt.Sprintf("the private key %s is no file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Sprintf("the private key cannot be read: %v", err)
	}
	f.Close()
	return ""
}

// checkPorts finds ports of one hypervisor that several VMs want for themselves: of the one
// that they are pinned to, or of the only one.
func checkPorts(inv *inventory.Inventory, vms []inventory.VM) error {
	list, err := inv.Hypervisors()
	if err != nil {
		return nil // told elsewhere
	}
	type port struct{ host, port string }
	first := map[port]inventory.VM{}
	var errs []error
	for _, vm := range vms {
		host := vm.Host
		if host == "" && len(list) == 1 {
			host = list[0].Name
		}
		if host == "" {
			continue
		}
		ports, pos := vm.HostPorts()
		for _, p := range ports {
			if other, ok := first[port{host, p}]; ok {
				errs = append(errs, &source.Error{Pos: pos, Hint: "leave hostfwd and ansible_port out and farm allots one",
					What: fmt.Sprintf("%q wants port %s of hypervisor %q, as %q does", vm.ID, strings.TrimPrefix(p, "tcp "), host, other.ID)})
				continue
			}
			first[port{host, p}] = vm
		}
	}
	return source.Join(errs...)
}

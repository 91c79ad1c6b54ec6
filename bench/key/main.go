// Command key measures how long it takes to find out which of the states that are kept the VMs
// of an inventory want: the keys of 1,000 VMs whose phases read 50 files each, from nothing known. The
// exit status is 1 where the target is missed.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"farm/bench/target"
	"farm/engine"
	"farm/engine/modules"
	"farm/engine/runner"
	"farm/engine/task"
	"farm/inventory"
	"farm/phases"
)

const (
	platforms, targets = 50, 20 // their product is the number of VMs
	files              = 50     // that the phases of each VM read
	maxTime            = time.Second
)

func main() {
	runs := flag.Int("runs", 3, "how often; the median counts")
	flag.Parse()
	ok, err := measure(max(*runs, 1))
	target.Exit("bench/key", ok, err)
}

func measure(runs int) (bool, error) {
	dir, err := os.MkdirTemp("", "farm-bench-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	if err := write(dir); err != nil {
		return false, err
	}
	inv, err := inventory.Load(filepath.Join(dir, "inventory.yaml"), inventory.Options{})
	if err != nil {
		return false, err
	}
	vms, err := inv.Expand(context.Background(), inventory.ExpandOptions{})
	if err != nil {
		return false, err
	}
	var took []time.Duration
	fmt.Printf("%-6s  %5s  %5s  %9s  %10s\n", "run", "VMs", "files", "keys", "time")
	for i := range runs {
		r := reader{dir: dir, in: &phases.Inputs{
			Inventory: inv, Closures: task.NewClosures(task.Options{Modules: modules.All(), Project: dir, RolePaths: []string{filepath.Join(dir, "roles")}}),
			Vars: inv.VMVars, Seldom: func(string) bool { return false }, Secret: func(name string, _ any) bool { return runner.Secret(name) },
		}}
		begun := time.Now()
		keys, read, err := r.keys(vms)
		if err != nil {
			return false, err
		}
		took = append(took, time.Since(begun))
		fmt.Printf("%-6d  %5d  %5d  %9d  %10s\n", i+1, len(vms), read, keys, took[i].Round(time.Millisecond))
		if read != files || keys != platforms {
			return false, fmt.Errorf("%d files give %d keys, not %d and %d", read, keys, files, platforms)
		}
	}
	t := target.Median(took)
	return target.Met(t <= maxTime, "the keys of %d VMs with %d files each: %.2f s, target %.0f s", len(vms), files, t.Seconds(), maxTime.Seconds()), nil
}

// reader is engine.Tasks that runs nothing.
type reader struct {
	engine.Tasks
	dir string
	in  *phases.Inputs
}

func (r reader) PhaseFile(vm inventory.VM, phase string) (string, []string, error) {
	file, searched := phases.Find(r.dir, vm.Platform, vm.Target, phase)
	return file, searched, nil
}

func (r reader) Inputs(vm inventory.VM, file string) ([]engine.Input, error) {
	if before := filepath.Join(r.dir, "dependencies.yaml"); file != before {
		return r.in.Of(vm, file, before)
	}
	return r.in.Of(vm, file)
}

// keys works out the keys of VMs: how many different ones there are, and how many files a VM reads.
func (r reader) keys(vms []inventory.VM) (keys, read int, err error) {
	seen := map[string]bool{}
	for _, vm := range vms {
		vm.Def.Metadata.Hostname, vm.Def.Machine = "guest", "q35"
		states, err := runner.States(r, vm, "base", runner.Settings{Cache: true, Project: "bench", Revision: "0"})
		if err != nil {
			return 0, 0, err
		}
		s := states["init"]
		if s.Key == "" {
			return 0, 0, fmt.Errorf("VM %q has no key: %s", vm.ID, s.Why)
		}
		seen[s.Key] = true
		read = 0
		for _, in := range s.Inputs {
			if strings.HasPrefix(in.Name, "file ") {
				read++
			}
		}
	}
	return len(seen), read, nil
}

// write makes a project: each VM's platform has a variable that the phases read.
func write(dir string) error {
	all := map[string]string{}
	list := func(prefix string, n int) string {
		var items []string
		for i := range n {
			items = append(items, fmt.Sprintf("%s%d", prefix, i))
		}
		return strings.Join(items, ", ")
	}
	for i := range platforms {
		all[fmt.Sprintf("setup_vm/platforms/p%d.yaml", i)] = "extends: debian_12\n"
		all[fmt.Sprintf("group_vars/p%d.yaml", i)] = fmt.Sprintf("flavour: flavour %d\n", i)
	}
	for i := range targets {
		all[fmt.Sprintf("setup_vm/targets/t%d.yaml", i)] = "extends: amd64\n"
	}
	all["inventory.yaml"] = "all:\n  hosts: {localhost: {config: {permutations: {platforms: [" + list("p", platforms) + "], targets: [" + list("t", targets) + "]}}}}\n" +
		"  vars: {project: \"{{ flavour }} of {{ edition }}\", edition: third, unread: \"{{ edition }}\"}\n"
	phase := map[string]string{"dependencies": "", "init": ""}
	for i := range (files - 2) / 4 { // a task file with a template, a file and a file of variables
		name := "dependencies"
		if i%2 == 1 {
			name = "init"
		}
		phase[name] += fmt.Sprintf("- include_tasks: part%d.yaml\n  when: edition == 'third'\n", i)
		all[fmt.Sprintf("part%d.yaml", i)] = fmt.Sprintf(`- include_vars: more%[1]d.yaml
- {name: Render, template: {src: x%[1]d.j2, dest: /etc/x%[1]d}}
- {name: Copy, copy: {src: y%[1]d, dest: /etc/y%[1]d}}
- {name: Say, command: "echo {{ project }} {{ more%[1]d }}", changed_when: edition is defined}
`, i)
		all[fmt.Sprintf("vars/more%d.yaml", i)] = fmt.Sprintf("more%d: [1, 2, '{{ edition }}']\n", i)
		all[fmt.Sprintf("templates/x%d.j2", i)] = "{% for x in [1, 2] %}{{ project }} {{ x }}\n{% endfor %}\n"
		all[fmt.Sprintf("files/y%d", i)] = strings.Repeat("some text\n", 1000)
	}
	for name, text := range phase {
		all[name+".yaml"] = text
	}
	for name, text := range all {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

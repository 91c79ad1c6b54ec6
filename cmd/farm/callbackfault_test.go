package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"farm/callbacks"
	"farm/engine"
	"farm/engine/images"
	"farm/engine/local"
	"farm/engine/runner"
	"farm/inventory"
)

// TestCallbacksThatFailLeaveNoVerdict prepares the disks of a VM whose only callback is the user's own.
func TestCallbacksThatFailLeaveNoVerdict(t *testing.T) {
	for name, tt := range map[string]struct {
		file, text string
		want       engine.Fault
		says       string
	}{
		"a task fails":           {"mine.yaml", "- shell: exit 4\n", engine.FarmFault, "mine.yaml:1:3: task "},
		"a task says fail":       {"mine.yaml", "- fail: {msg: no release}\n", engine.FarmFault, "no release"},
		"a task is refused":      {"mine.yaml", "- shell: echo x\n  failed_when: true\n", engine.FarmFault, "failed_when"},
		"an undefined variable":  {"mine.yaml", "- shell: echo {{ zork }}\n", engine.UserFault, `"zork" is undefined`},
		"a wrong expression":     {"mine.yaml", "- shell: echo x\n  when: 1 + \n", engine.UserFault, "mine.yaml:2:"},
		"a status":               {"mine", "#!/bin/sh\nexit 4\n", engine.FarmFault, "status 4"},
		"an answer with failed":  {"mine", "#!/bin/sh\necho '{\"failed\": true, \"msg\": \"bad\"}'\n", engine.FarmFault, "mine: bad"},
		"garbage":                {"mine", "#!/bin/sh\necho garbage\n", engine.FarmFault, "is no JSON"},
		"too much":               {"mine", "#!/bin/sh\nhead -c 20000000 /dev/zero | tr '\\0' x\n", engine.FarmFault, "too long"},
		"a list":                 {"mine", "#!/bin/sh\necho '[]'\n", engine.FarmFault, "not an object"},
		"an unknown key":         {"mine", "#!/bin/sh\necho '{\"instaled\": []}'\n", engine.FarmFault, `unknown key "instaled"`},
		"a file that is missing": {"mine", "#!/bin/sh\necho '{\"installed\": [\"x\"]}'\n", engine.FarmFault, "no regular file"},
		"a link":                 {"mine.yaml", "- file: {src: /etc/passwd, dest: \"{{ vm.metadata.libvirt_pool_dir }}x\", state: link}\n", engine.FarmFault, "no regular file"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProject(t, map[string]string{
				"inventory.yaml":                        "all: {hosts: {localhost: {config: {permutations: {platforms: [p], targets: [amd64]}}}}}\n",
				"setup_vm/platforms/p.yaml":             "disks: [{size: 1G}]\nmetadata: {sources: [{before_provision: [{callback: mine}]}]}\n",
				"setup_hypervisor/callbacks/" + tt.file: tt.text,
			})
			if err := os.Chmod(filepath.Join(p.dir, "setup_hypervisor/callbacks", tt.file), 0o755); err != nil {
				t.Fatal(err)
			}
			inv, err := inventory.Load(filepath.Join(p.dir, "inventory.yaml"), inventory.Options{})
			if err != nil {
				t.Fatal(err)
			}
			s := &session{app: &app{}, inv: inv, mask: &runner.Mask{}}
			vms, err := inv.Expand(t.Context(), inventory.ExpandOptions{})
			if err != nil || len(vms) != 1 {
				t.Fatal(vms, err)
			}
			conn := local.New()
			defer conn.Close()
			store, err := images.Open(t.Context(), conn, filepath.Join(p.dir, "store"))
			if err != nil {
				t.Fatal(err)
			}
			vm := vms[0]
			_, err = store.Base(t.Context(), engine.Preparation{
				VM: vm, Local: conn, Callback: callbacks.Find(callbackDirs(inv, vm), s.callbackRunner(vm), nil),
				Emit: func(e engine.Event) {
					if e.Fault == engine.TestFault {
						t.Errorf("an event has the fault of a test: %+v", e)
					}
				},
			})
			if got := engine.FaultOf(err); err == nil || got != tt.want || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("the fault is %q, not %q: %v", got, tt.want, err)
			}
		})
	}
}

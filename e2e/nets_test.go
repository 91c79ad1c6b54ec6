//go:build e2e

package e2e

import (
	"path/filepath"
	"testing"
)

// TestGuestsAreReachedOverEveryKindOfNet runs a guest on a bridge, whose address is found out, one on a
// libvirt network and one at a VDE switch.
func TestGuestsAreReachedOverEveryKindOfNet(t *testing.T) {
	p := newProject(t, wishing("{permutations: {platforms: [bridged, networked, switched], targets: [amd64]}}"), map[string]string{
		"setup_vm/platforms/bridged.yaml":   "extends: tiny\nnet: {type: bridge, source: farmbr0}\n",
		"setup_vm/platforms/networked.yaml": "extends: tiny\nnet: {type: network, source: farmnet}\n",
		"setup_vm/platforms/switched.yaml":  "extends: tiny\nnet: {type: vde, source: \"{{ inventory_dir }}/switch\", ip: 10.78.0.10}\n",
		"phases/main.yaml": `- {name: Look, shell: "ip -4 -o addr show eth0 | tr -s ' ' | cut -d ' ' -f 4", register: address}
- debug: {msg: "guest: {{ address.stdout }}"}
- {name: To the hypervisor, command: "ping -c 1 -W 5 {{ '.'.join(address.stdout.split('.')[:3]) }}.1"}
`,
	})
	p.ownHome()
	nets, err := filepath.Abs("lab/nets")
	if err != nil {
		t.Fatal(err)
	}
	p.within = []string{nets, p.dir}
	o := p.run(0, "--keep=never", "-vv")
	o.says("3 passed", "guest: 10.77.0.1", "guest: 10.78.0.10/24")
	for _, vm := range []string{"bridged/amd64", "networked/amd64", "switched/amd64"} {
		o.ran(vm, "prepare", "startup", "create clean", "create init", "main", "shutdown")
	}
	p.nothingLeft()
}

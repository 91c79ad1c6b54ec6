//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"farm/engine"
)

// reached is a hypervisor of the lab as an inventory says it.
type reached struct{ user, port, key, hostKey string }

func lend(t *testing.T, n int) []reached {
	t.Helper()
	lines := lab(t, "hypervisors", "up", fmt.Sprint(n))
	t.Cleanup(func() { lab(t, "hypervisors", "down") })
	var all []reached
	for line := range strings.Lines(lines) {
		f := strings.Fields(line)
		all = append(all, reached{f[0], f[1], f[2], f[3] + " " + f[4]})
	}
	return all
}

// remotely is an inventory of the hypervisors, at the ports that are said, with two guests.
func remotely(t *testing.T, hosts []reached, ports ...string) *project {
	t.Helper()
	var inv, known strings.Builder
	inv.WriteString("all:\n  hosts:\n    localhost:\n      ansible_connection: local\n" +
		"      config: {permutations: {platforms: [tiny, other], targets: [amd64]}}\n  children:\n    hypervisors:\n      hosts:\n")
	for i, h := range hosts {
		fmt.Fprintf(&inv, "        %s: {ansible_host: 127.0.0.1, ansible_port: %s, ansible_user: %s, ansible_ssh_private_key_file: %s,\n"+
			"          ansible_ssh_common_args: \"-o UserKnownHostsFile={{ inventory_dir }}/known_hosts\", capacity: {vms: 2}}\n", h.user, ports[i], h.user, h.key)
		fmt.Fprintf(&known, "[127.0.0.1]:%s %s\n", ports[i], h.hostKey)
	}
	p := newProject(t, inv.String(), map[string]string{"phases/main.yaml": "- command: echo well\n"})
	p.write("known_hosts", known.String())
	for _, h := range hosts {
		p.elsewhere = append(p.elsewhere, "/home/"+h.user)
	}
	return p
}

func TestVMsAreDispatchedToHypervisors(t *testing.T) {
	hosts := lend(t, 2)
	p := remotely(t, hosts, hosts[0].port, hosts[1].port)
	o := p.run(0)
	o.says("2 passed")
	var used []string
	for _, vm := range []string{"tiny/amd64", "other/amd64"} {
		used = append(used, o.verdict(vm).Host)
	}
	slices.Sort(used)
	if want := []string{hosts[0].user, hosts[1].user}; !slices.Equal(used, want) {
		t.Errorf("ran on %q, want %q", used, want)
	}
	for _, h := range hosts {
		if layers, _ := filepath.Glob("/home/" + h.user + "/.local/share/farm/layers/*/layer.json"); len(layers) == 0 {
			t.Errorf("no image is cached on %s", h.user)
		}
	}
	p.nothingLeft()

	if again := p.run(0); again.verdict("tiny/amd64").Host != o.verdict("tiny/amd64").Host {
		t.Error("the second run placed the VM elsewhere")
	} else {
		again.ran("tiny/amd64", "prepare", "restore init", "startup", "main", "shutdown")
	}
	p.nothingLeft()

	t.Run("one is down", func(t *testing.T) {
		p := remotely(t, hosts, hosts[0].port, "9")
		o := p.run(0)
		o.says("2 passed", hosts[1].user, "connection refused")
		for _, vm := range []string{"tiny/amd64", "other/amd64"} {
			if got := o.verdict(vm).Host; got != hosts[0].user {
				t.Errorf("%s ran on %q", vm, got)
			}
		}
		p.nothingLeft()
	})
	t.Run("a kept machine is entered through its hypervisor", func(t *testing.T) {
		p := remotely(t, hosts, hosts[0].port, hosts[1].port)
		p.run(0, "-l", "tiny/amd64", "--keep", "always")
		p.farm("ssh", "tiny/amd64", "echo hi").says("hi")
		p.farm("down", "--all").exits(0)
		p.nothingLeft()
	})
}

func TestHypervisorsThatCannotBeUsedAreNamed(t *testing.T) {
	hosts := lend(t, 2)
	t.Run("all are down", func(t *testing.T) {
		p := remotely(t, hosts, "9", "10")
		o := p.farm("run", "inventory.yaml")
		o.exits(2)
		o.says(hosts[0].user, hosts[1].user, "connection refused")
		p.nothingLeft()
	})
	t.Run("another host key", func(t *testing.T) {
		p := remotely(t, hosts[:1], hosts[0].port)
		fake, err := os.ReadFile(filepath.Join(filepath.Dir(hosts[0].key), "key.pub"))
		if err != nil {
			t.Fatal(err)
		}
		p.write("known_hosts", "[127.0.0.1]:"+hosts[0].port+" "+string(fake))
		o := p.farm("run", "inventory.yaml")
		o.exits(2)
		o.says("host key")
		if slices.ContainsFunc(o.events, func(e engine.Event) bool { return e.Kind == engine.VMPlaced }) {
			t.Error("a VM was placed there")
		}
	})
}

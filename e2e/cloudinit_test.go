//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestCloudImageIsSetUpAtFirstBoot runs a cloud image as the catalogue's platforms do: checked
// against the published list, a larger disk, and a seed for cloud-init.
func TestCloudImageIsSetUpAtFirstBoot(t *testing.T) {
	t.Parallel() // one of two guests of one CPU that take long to boot
	need(t, "qemu-img")
	const image = "debian-12-generic-amd64.qcow2"
	m := newMirror(t, image)
	file := filepath.Join(m.dir, image)
	sums := run(t, "sha512sum", file)
	if err := os.WriteFile(filepath.Join(m.dir, "SHA512SUMS"), fmt.Appendf(nil, "%s  %s\n", sums[:128], image), 0o644); err != nil {
		t.Fatal(err)
	}
	p := newProject(t, wishing("{permutations: {platforms: [cloudy], targets: [amd64]}}"), map[string]string{
		"phases/dependencies.yaml": "- {name: Mark, copy: {content: marked, dest: /opt/mark}, become: yes}\n",
		"phases/main.yaml": `- name: Look around
  shell: 'echo "$(id -un) $(sudo -n id -un) $(hostname) $(cat /opt/mark) $(($(df --output=size -k / | tail -n 1) >> 20))"; cloud-init status'
  register: seen
- debug: {msg: "guest: {{ seen.stdout_lines[0] }}; cloud-init {{ seen.stdout_lines[1] }}"}
`,
	})
	p.ownHome()
	p.write("setup_vm/platforms/cloudy.yaml", "vars: {image_base: \""+m.url+"\", disk_size: 6G}\n"+`extends: debian_12
metadata: {hostname: cloudy.example}
vcpus: 1
ram: 1024
`)
	first := p.run(0, "--keep=never")
	t.Log(first.stdout)
	first.ran("cloudy/amd64", "prepare", "startup", "create clean", "dependencies", "create init", "main", "shutdown")
	first.says("guest: farm root cloudy marked 5; cloud-init status: done")
	for _, file := range files(p.home, "known_hosts.d/*") {
		t.Errorf("the host key was not put in, but taken on trust: %s", file)
	}

	second := p.run(0, "--keep=never")
	t.Log(second.stdout)
	second.ran("cloudy/amd64", "prepare", "restore init", "startup", "main", "shutdown")
	second.says("guest: farm root cloudy marked 5; cloud-init status: done")
	p.nothingLeft()
}

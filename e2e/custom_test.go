//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"testing"
)

// ownParts are what a user adds beside an inventory: a callback that is a program, one
// that is a task file, and a domain template.
var ownParts = map[string]string{
	"setup_hypervisor/callbacks/stamp": `#!/bin/sh
# the definition comes as JSON; the answer names what is in the pool
set -eu
field() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" request; }
cat >request
[ "$(field text)" != refused ] || { echo '{"failed": true, "msg": "the text is refused"}'; exit; }
truncate -s 1M "$(field pool_dir)/data.img"
printf '%s of %s' "$(field text)" "$(field platform_name)" | dd of="$(field pool_dir)/data.img" conv=notrunc status=none
echo "{\"installed\": [\"$(field pool_dir)/data.img\"]}"
`,
	"tasks/callbacks/second.yaml": `- name: Make a disk
  vars: {file: "{{ (vm.metadata.libvirt_pool_dir, task.dest) | path_join }}"}
  shell: "printf %-1048576s {{ (task.text ~ source_index) | quote }} >{{ file | quote }}"
`,
	"setup_vm/templates/mine.xml.j2": `<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>{{ vm.metadata.name }}</name>
  <memory unit='MiB'>{{ vm.ram }}</memory>
  <vcpu>{{ vm.vcpus }}</vcpu>
  <cpu mode='host-passthrough' check='none'/>
  <os>
    <type arch='{{ vm.arch }}' machine='{{ vm.machine }}'>hvm</type>
    <kernel>{{ vm.metadata.libvirt_pool_dir }}{{ vm.kernel.src }}</kernel>
    <initrd>{{ vm.metadata.libvirt_pool_dir }}{{ vm.kernel.initrd }}</initrd>
    <cmdline>{{ vm.kernel.params }} template={{ vm.metadata.template }}</cmdline>
  </os>
  <features><acpi/></features>
  <devices>
{% for disk in vm.disks %}
    <disk type='file' device='disk'>
      <driver name='qemu' type='{{ disk.type }}'/>
      <source file='{{ vm.metadata.libvirt_pool_dir }}{{ disk.src }}'/>
      <target dev='{{ disk.devname }}' bus='virtio'/>
    </disk>
{% endfor %}
    <serial type='pty'/>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
  </devices>
  <qemu:commandline>
    <qemu:arg value='-netdev'/><qemu:arg value='user,id=card,{{ vm.net.source }}'/>
    <qemu:arg value='-device'/><qemu:arg value='virtio-net-pci,netdev=card,bus={{ vm.default_bus | default("pcie.0") }},addr=0x0f'/>
  </qemu:commandline>
</domain>
`,
	"setup_vm/platforms/mine.yaml": `extends: tiny
metadata:
  template: mine
  sources+:
    - before_provision: [{callback: stamp, text: "{{ stamped | default('stamped') }}"}]
    - before_provision: [{callback: second, dest: second.img, text: source}]
disks:
  - {type: raw, devname: vda, src: data.img}
  - {type: raw, devname: vdb, src: second.img}
net: {type: user, source: "hostfwd=tcp:127.0.0.1:34571-:22"}
`,
	"phases/main.yaml": `- shell: 'head -c 15 /dev/vda; echo; head -c 7 /dev/vdb; echo; grep -o template=.* /proc/cmdline'
  register: seen
- debug: {msg: "guest: {{ seen.stdout_lines | join(', ') }}"}
`,
}

// TestUsersPartsAreUsed runs a guest whose disks come from the user's callbacks and whose
// domain comes from the user's template.
func TestUsersPartsAreUsed(t *testing.T) {
	p := newProject(t, wishing("{permutations: {platforms: [mine], targets: [amd64]}}"), ownParts)
	program := filepath.Join(p.dir, "setup_hypervisor/callbacks/stamp")
	if err := os.Chmod(program, 0o755); err != nil {
		t.Fatal(err)
	}
	p.run(0, "--keep=never").says("guest: stamped of mine, source3, template=mine")
	p.nothingLeft()

	p.run(2, "--keep=never", "-estamped=refused").says("the text is refused")

	if err := os.Rename(filepath.Join(p.dir, "setup_vm/templates/mine.xml.j2"), filepath.Join(p.dir, "setup_vm/templates/mime.xml.j2")); err != nil {
		t.Fatal(err)
	}
	p.run(65).says(`domain template "mine" of mine/amd64 is not in`, "mime")
}

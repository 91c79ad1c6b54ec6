//go:build e2e

package e2e

import (
	"path/filepath"
	"testing"
)

func TestDebianIsBuiltRebootedAndGoneOnFrom(t *testing.T) {
	t.Parallel() // as TestCloudImageIsSetUpAtFirstBoot
	p := newProject(t, wishing("{list: [{platform: debian_12_bootstrap, target: amd64, vcpus: 1}]}"), map[string]string{
		"group_vars/debian_12_bootstrap.yaml": "greeting: hello\n",
		"phases/dependencies.yaml": `- assert: {that: [ansible_distribution == 'Debian', ansible_architecture == 'x86_64']}
- {name: As root, copy: {content: "{{ greeting }}\n", dest: /etc/farm-e2e, mode: "0640"}, become: true}
- {user: {name: builder, shell: /bin/sh}, become: true}
`,
		"phases/init.yaml": `- {template: {src: "{{ inventory_dir }}/unit.j2", dest: /etc/systemd/system/e2e.service}, become: true}
- {systemd: {name: e2e, enabled: true, daemon_reload: true}, become: true}
`,
		"unit.j2": `[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c "echo {{ greeting }} from $(cat /proc/sys/kernel/random/boot_id) >/run/e2e"
[Install]
WantedBy=multi-user.target
`,
		"phases/main.yaml": `- {command: cat /proc/sys/kernel/random/boot_id, register: before}
- {name: Restart, reboot: {}, become: true, register: restart}
- {command: cat /proc/sys/kernel/random/boot_id, register: after}
- {command: systemctl is-system-running --wait, register: up, failed_when: false}
- {command: cat /run/e2e, register: unit}
- assert:
    that: [restart.rebooted, before.stdout != after.stdout, "unit.stdout == greeting ~ ' from ' ~ after.stdout"]
- {name: As another user, command: id -un, become: true, become_user: builder, register: who}
- assert: {that: who.stdout == 'builder'}
- {name: Read, command: cat /etc/farm-e2e, become: true, register: made}
- debug: {msg: "made: {{ made.stdout }}, system: {{ up.stdout }}"}
`,
	})
	p.write("group_vars/all.yaml", "phases_lookup_dir_path: phases\nproject_revision: 0\n") // farm's own key, as every image has it
	unique := "-eproject_id=" + filepath.Base(filepath.Dir(t.TempDir()))
	p.run(0, unique).says("made: hello")
	p.nothingLeft()
	second := p.run(0, unique)
	second.ran("debian_12_bootstrap/amd64", "prepare", "restore init", "startup", "main", "shutdown")
	second.says("made: hello")
	p.nothingLeft()
}

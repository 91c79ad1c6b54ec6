package modules

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"farm/bench/sshd"
	"farm/engine/ssh"
	"farm/inventory/value"

	xssh "golang.org/x/crypto/ssh"
)

// overSSH has the bench's task act through a login to an sshd of this machine.
func (b *bench) overSSH() {
	b.Helper()
	if _, err := exec.LookPath("/usr/sbin/sshd"); err != nil {
		b.Skip("needs OpenSSH's sshd")
	}
	server, err := sshd.Start(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(server.Stop)
	conn, err := ssh.Dial(b.Context(), ssh.Config{Name: "guest", Addr: server.Addr, User: server.User, KeyFiles: []string{server.KeyFile},
		HostKeys: []string{string(xssh.MarshalAuthorizedKey(server.HostKey))}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	b.task.Conn, b.task.Local = conn, nil
}

// realAnsible is a bench for the controller's own ansible-playbook.
func realAnsible(t *testing.T) *bench {
	t.Helper()
	for _, program := range []string{"ansible-playbook", "ssh", "python3"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("needs %s", program)
		}
	}
	b := newBench(t)
	b.overSSH()
	t.Setenv("HOME", t.TempDir()) // no configuration of the user's
	return b
}

func TestAnsibleRunsThePlaybookThroughTheLogin(t *testing.T) {
	b := realAnsible(t)
	b.vars["group_names"] = []any{"web"}
	b.vars["greeting"] = "hällo {{ lookup('pipe', 'touch " + b.dir + "/evaluated') }}"
	b.write(filepath.Join(b.source, "playbooks/site.yml"), `
- name: site
  hosts: web
  gather_facts: false
  tasks:
    - name: write
      copy: {content: "{{ greeting }} {{ extra.n + 1 }}", dest: "{{ dir }}/f"}
      notify: told
    - {name: none, debug: {msg: x}, when: false}
    - {name: may fail, command: "false", ignore_errors: true}
    - {name: loop, command: "echo {{ item }}", loop: [1, 2], changed_when: false}
  handlers:
    - {name: told, debug: {msg: "as {{ ansible_user }}"}}
`)
	r := b.check("ansible", "{playbook: site.yml, extra_vars: {dir: DIR, extra: {n: 41}}}", "changed")
	b.holds("f", value.Text(b.vars["greeting"])+" 42", 0)
	b.only("", "f")
	var got []string
	tasks, _ := r.Values.Get("tasks")
	for _, one := range tasks.([]any) {
		name, _ := one.(*value.Dict).Get("name")
		status, _ := one.(*value.Dict).Get("status")
		got = append(got, value.Text(name)+" "+value.Text(status))
	}
	if all := strings.Join(got, ", "); all != "write changed, none skipped, may fail ignored, loop ok, told ok" {
		t.Errorf("tasks: %s", all)
	}
	stats, _ := r.Values.Get("stats")
	mine, _ := stats.(*value.Dict).Get("guest")
	if n, _ := mine.(*value.Dict).Get("changed"); n != int64(2) {
		t.Errorf("stats: %v", value.Text(stats))
	}
}

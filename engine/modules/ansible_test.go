package modules

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"farm/bench/sshd"
	"farm/engine"
	"farm/engine/enginetest"
	"farm/engine/ssh"
	"farm/inventory/value"

	xssh "golang.org/x/crypto/ssh"
)

// overSSH has the bench's task act through a login to an sshd of this machine.
func (b *bench) overSSH() {
	b.Helper()
	enginetest.Need(b, "/usr/sbin/sshd")
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
	enginetest.Need(t, "ansible-playbook", "ssh", "python3")
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

// fakeAnsible puts a script on PATH in place of ansible-playbook. $out is a folder for what it notes.
func (b *bench) fakeAnsible(script string) (out string) {
	b.Helper()
	bin, out := b.TempDir(), b.TempDir()
	text := "#!/bin/sh\nout=" + quote(out) + "\n" + `note() { printf '%s\n' "$*" >>"$out/log"; }
event() { printf '%s\n' "$1" >&3; }
for a do note "arg $a"; done
` + script
	if err := os.WriteFile(filepath.Join(bin, "ansible-playbook"), []byte(text), 0o755); err != nil {
		b.Fatal(err)
	}
	b.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	return out
}

func (b *bench) read(path string) string {
	b.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	return string(text)
}

// onePlay is what the plugin tells of a play with one task.
const onePlay = `event '{"kind": "play", "name": "p"}'
event '{"kind": "task", "id": "1", "name": "do", "action": "ansible.builtin.copy", "file": "site.yml:3:7"}'
event '{"kind": "result", "id": "1", "name": "do", "action": "ansible.builtin.copy", "file": "site.yml:3:7", "host": "guest", "status": "changed", "ms": 5, "result": {"changed": true, "msg": "done", "n": 1}}'
event '{"kind": "stats", "hosts": {"guest": {"ok": 1, "changed": 1}}}'
`

func TestAnsibleGivesWhatTheStepSays(t *testing.T) {
	b := newBench(t)
	b.write(filepath.Join(b.source, "playbooks/site.yml"), "[]")
	b.write(filepath.Join(b.source, "roles/web/tasks/main.yml"), "[]")
	b.write(filepath.Join(b.source, "files/vault"), "secret")
	for k, v := range map[string]any{"plain": "a\nb", "trick": "{{ lookup('pipe', 'id') }}", "n": int64(7), "f": 1.5, "none": nil, "list": []any{true, "é"}, "group_names": []any{"web", "all"},
		"groups": "magic", "ansible_password": "pw-of-login", "ansible_ssh_common_args": "-J x", "ansible_host": "10.0.0.3", "not-a-name": "x"} {
		b.vars[k] = v
	}
	b.task.Become = &engine.Become{User: "app", Method: "su"}
	b.task.BecomePassword = func() (string, error) { return "pw-of-become", nil }
	b.task.Check, b.task.Diff = true, true
	b.task.Dir = b.source
	b.task.Env = map[string]string{"ANSIBLE_CONFIG": "/none.cfg"}
	t.Setenv("FARM_BECOME_PASSWORD", "pw-of-env")
	b.overSSH()
	out := b.fakeAnsible(`env >"$out/env"; pwd >"$out/pwd"
d=$(dirname "$2"); cp "$2" "$out/inventory"; cp "$d/extra.yaml" "$d/roles.yaml" "$d/known_hosts" "$out"
stat -c '%a %n' "$d" "$d"/* | sed "s|$d|.|" >"$out/modes"; echo "$d" >"$out/dir"
` + onePlay)
	r := b.check("ansible", "{playbook: site.yml, roles: [web, ns.coll.role], collections: ns.coll, tags: [a, b], skip_tags: c, extra_vars: {x: '{{ y }}', k: 1}, vault_password_file: vault}", "changed")
	b.values(r, "rc", 0)
	dir := strings.TrimSpace(b.read(out + "/dir"))
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the folder is left: %v", err)
	}
	want := strings.Join([]string{"-i", dir + "/inventory.yaml", "--check", "--diff", "--become", "--become-user=app", "--become-method=su", "--tags=a,b",
		"--skip-tags=c", "--extra-vars=@" + dir + "/extra.yaml", "--vault-password-file=" + b.source + "/files/vault", "--", dir + "/roles.yaml", b.source + "/playbooks/site.yml"}, "\narg ")
	if got := strings.TrimSpace(b.read(out + "/log")); got != "arg "+want {
		t.Errorf("arguments:\n%s\nwant\narg %s", got, want)
	}
	if got := b.read(out + "/pwd"); got != b.source+"\n" {
		t.Errorf("runs in %s", got)
	}
	for file, all := range map[string][]string{
		"inventory": {`? "plain" : !unsafe "a\U0000000ab"`, `? "trick" : !unsafe "{{ lookup('pipe', 'id') }}"`, `? "n" : 7`, `? "f" : !!float "1.5"`, `? "none" : null`, `[true, !unsafe "\U000000e9"]`,
			`? "web" : {? "hosts" : {? "guest" : null}}`, `? "ansible_host" : !unsafe "10.0.0.3"`, `? "ansible_become_password" : !unsafe "pw-of-become"`, "UserKnownHostsFile=\\\"" + dir + "/known_hosts", `"ansible_ssh_common_args" : !unsafe ""`},
		"extra.yaml":  {`{? "x" : !unsafe "{{ y }}", ? "k" : 1}`},
		"roles.yaml":  {`? "roles" : [!unsafe "web", !unsafe "ns.coll.role"], ? "collections" : [!unsafe "ns.coll"]`},
		"known_hosts": {"farm ssh-ed25519 "},
		"env":         {"\nANSIBLE_STDOUT_CALLBACK=farm_events\n", "\nANSIBLE_CONFIG=/none.cfg\n", "\nFARM_ANSIBLE_COLLECTIONS=ns.coll\n"},
		"modes":       {"700 .\n", "600 ./inventory.yaml\n", "600 ./key\n", "600 ./extra.yaml\n"},
	} {
		for _, part := range all {
			if text := "\n" + b.read(filepath.Join(out, file)); !strings.Contains(text, part) {
				t.Errorf("%s does not have %s:%s", file, part, text)
			}
		}
	}
	for _, part := range []string{"pw-of-login", "magic", "not-a-name", "-J x"} {
		if strings.Contains(b.read(out+"/inventory"), part) {
			t.Errorf("the inventory has %s", part)
		}
	}
	for _, part := range []string{"pw-of-become", "pw-of-env"} {
		if strings.Contains(b.read(out+"/env")+b.read(out+"/log"), part) {
			t.Errorf("%s is shown", part)
		}
	}
}

func TestAnsibleTellsEachTask(t *testing.T) {
	b := newBench(t)
	b.overSSH()
	b.fakeAnsible(onePlay + `echo '[WARNING]: this is
old' >&2; echo '[DEPRECATION WARNING]: no' >&2`)
	b.write(filepath.Join(b.source, "playbooks/site.yml"), "[]")
	r := b.check("ansible", "{playbook: site.yml}", "changed")
	var got []string
	for _, e := range b.events {
		got = append(got, strings.Join([]string{string(e.Kind), e.Task, e.Module, e.File, string(e.Status), e.Text}, ","))
	}
	want := "task_started,do,copy,site.yml:3:7,,|task_ended,do,copy,site.yml:3:7,changed,done|warning,,,,,Ansible: this is old"
	if all := strings.Join(got, "|"); all != want {
		t.Errorf("events %s\nwant   %s", all, want)
	}
	tasks, _ := r.Values.Get("tasks")
	if text := value.Text(tasks); text != `[{"play":"p","name":"do","action":"ansible.builtin.copy","file":"site.yml:3:7","host":"guest","status":"changed","result":{"changed":true,"msg":"done","n":1}}]` {
		t.Errorf("tasks: %s", text)
	}
}

func TestAnsibleTellsWhatIsWrong(t *testing.T) {
	result := func(status, host, res string) string {
		return `event '{"kind": "result", "name": "do", "action": "apt", "file": "site.yml:3:7", "host": "` + host + `", "status": "` + status + `", "result": ` + res + `}'` + "\n"
	}
	stats := `event '{"kind": "stats", "hosts": {"guest": {"ok": 1}}}'` + "\n"
	for name, c := range map[string]struct{ script, want string }{
		"a task":         {result("failed", "guest", `{"msg": "no space", "failed": true}`) + stats + "exit 2", `task "do" (site.yml:3:7): no space`},
		"an item":        {result("failed", "guest", `{"msg": "One or more items failed", "results": [{"failed": false, "msg": "x"}, {"failed": true, "msg": "bad item"}]}`) + "exit 2", "One or more items failed: bad item"},
		"on localhost":   {result("failed", "localhost", `{"msg": "no"}`) + "exit 2", `task "do (on localhost)"`},
		"no Python":      {result("failed", "guest", `{"msg": "The module failed", "rc": 127, "module_stdout": "/bin/sh: 1: /usr/bin/python3: not found"}`) + "exit 2", "`package: {name: python3}`"},
		"the playbook":   {"echo '[WARNING]: w' >&2; echo 'ERROR! no such keyword' >&2; exit 4", "ansible-playbook ended with status 4: no such keyword"},
		"nothing":        {"exit 3", "ended with status 3: it says nothing"},
		"no play for it": {`event '{"kind": "play", "name": "p"}'; event '{"kind": "no_hosts"}'; event '{"kind": "stats", "hosts": {}}'`, "no play is for guest: `hosts: all`"},
		"a collection":   {`event '{"kind": "missing", "collections": ["a.b"]}'; exit 1`, "ansible-galaxy collection install a.b"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.overSSH()
			b.fakeAnsible(c.script)
			b.write(filepath.Join(b.source, "playbooks/site.yml"), "[]")
			r := b.check("ansible", "{playbook: site.yml}", "failed")
			if !strings.Contains(r.Msg, c.want) {
				t.Errorf("says %q, want %q", r.Msg, c.want)
			}
		})
	}
}

func TestAnsibleThatRescuesHasNotFailed(t *testing.T) {
	b := newBench(t)
	b.overSSH()
	b.fakeAnsible(`event '{"kind": "result", "name": "do", "action": "apt", "host": "guest", "status": "failed", "result": {"msg": "no"}}'` + "\n" + onePlay)
	b.write(filepath.Join(b.source, "playbooks/site.yml"), "[]")
	b.check("ansible", "{playbook: site.yml}", "changed")
}

func TestAnsibleErrors(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		want   error
		text   string
	}{
		"unreachable": {`event '{"kind": "result", "name": "do", "action": "apt", "host": "guest", "status": "unreachable", "result": {"msg": "gone"}}'; exit 4`, engine.ErrUnreachable, "gone"},
		"no event":    {`event 'hello'; head -c 200000 /dev/zero >&3`, nil, `the events of ansible-playbook: "hello"`},
		"no status":   {`event '{"kind": "result", "status": "great", "result": {}}'`, nil, `there is no status "great"`},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.overSSH()
			b.fakeAnsible(c.script)
			b.write(filepath.Join(b.source, "playbooks/site.yml"), "[]")
			_, err := b.module("ansible", "{playbook: site.yml}").Run(t.Context(), b.task)
			if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%v", err)
			}
		})
	}
	t.Run("not installed", func(t *testing.T) {
		b := newBench(t)
		t.Setenv("PATH", t.TempDir())
		_, err := b.module("ansible", "{playbook: site.yml}").Run(t.Context(), b.task)
		if err == nil || engine.FaultOf(err) != engine.FarmFault || !strings.Contains(err.Error(), "package ansible, or ansible-core") {
			t.Errorf("%v", err)
		}
	})
	t.Run("no SSH", func(t *testing.T) {
		b := newBench(t)
		b.fakeAnsible("exit 0")
		b.task.Local = nil
		b.write(filepath.Join(b.source, "playbooks/site.yml"), "[]")
		_, err := b.module("ansible", "{playbook: site.yml}").Run(t.Context(), b.task)
		if engine.FaultOf(err) != engine.UserFault || !strings.Contains(err.Error(), "SSH") {
			t.Errorf("%v", err)
		}
	})
}

func TestAnsibleOnTheControllerNeedsNoSSH(t *testing.T) {
	b := newBench(t)
	out := b.fakeAnsible(`cp "$2" "$out/inventory"` + "\n" + onePlay)
	b.write(filepath.Join(b.source, "playbooks/site.yml"), "[]")
	b.check("ansible", "{playbook: site.yml}", "changed")
	if text := b.read(out + "/inventory"); !strings.Contains(text, `? "ansible_connection" : !unsafe "local"`) {
		t.Error(text)
	}
}

// busy notes its process group, which a child is in too, and goes on.
const busy = `sleep 1000 &
ps -o pgid= -p $$ >"$out/group.new"; mv "$out/group.new" "$out/group"
wait`

func TestAnsibleIsEndedWithAllThatItStarted(t *testing.T) {
	b := newBench(t)
	b.overSSH()
	out := b.fakeAnsible(busy)
	b.write(filepath.Join(b.source, "playbooks/site.yml"), "[]")
	gone := func() {
		t.Helper()
		group := strings.TrimSpace(b.read(out + "/group"))
		for began := time.Now(); ; time.Sleep(50 * time.Millisecond) { // one that was killed may be about to end
			list, err := exec.Command("ps", "-e", "-o", "pgid=,stat=,args=").Output()
			if err != nil || !strings.Contains(string(list), " ps -e ") {
				t.Fatalf("ps: %v", err)
			}
			left := ""
			for line := range strings.Lines(string(list)) { // one that is ended may not be waited for yet
				if f := strings.Fields(line); f[0] == group && f[1][0] != 'Z' {
					left += line
				}
			}
			if left == "" {
				return
			}
			if time.Since(began) > 20*time.Second {
				t.Errorf("run on: %s", left)
				return
			}
		}
	}
	r := b.check("ansible", "{playbook: site.yml, timeout: 1}", "failed")
	if r.Msg != "not done within 1s; ansible-playbook was ended" {
		t.Error(r.Msg)
	}
	gone()

	os.Remove(out + "/group")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			<-tick.C
			if _, err := os.Stat(out + "/group"); err == nil || t.Context().Err() != nil {
				cancel()
				return
			}
		}
	}()
	if _, err := b.module("ansible", "{playbook: site.yml}").Run(ctx, b.task); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	gone()
}

func TestAnsibleValidates(t *testing.T) {
	b := newBench(t)
	for args, want := range map[string]string{
		"{}":                              "give playbook or roles",
		"{roles: ['']}":                   "a name is empty",
		"{playbook: a, collections: [a]}": `"a" is not of the form NAMESPACE.NAME`,
		"{playbook: a, tags: [--x]}":      `"--x" is no tag`,
		"{playbook: a, timeout: -1}":      "less than nothing",
	} {
		if r := b.check("ansible", args, "failed"); !strings.Contains(r.Msg, want) {
			t.Errorf("%s: %s", args, r.Msg)
		}
	}
}

func TestAnsibleSaysWhatIsMissing(t *testing.T) {
	b := realAnsible(t)
	b.vars["ansible_python_interpreter"] = "/nonexistent/python3"
	b.write(filepath.Join(b.source, "playbooks/site.yml"), "- {hosts: all, gather_facts: false, tasks: [{ping: }]}\n")
	if r := b.check("ansible", "{playbook: site.yml}", "failed"); !strings.Contains(r.Msg, "`package: {name: python3}`") {
		t.Errorf("without Python: %s", r.Msg)
	}
	if r := b.check("ansible", "{playbook: site.yml, collections: [no.such_thing]}", "failed"); !strings.Contains(r.Msg, "ansible-galaxy collection install no.such_thing") {
		t.Errorf("without a collection: %s", r.Msg)
	}
}

func TestAnsibleOnlyChecksInCheckMode(t *testing.T) {
	b := realAnsible(t)
	b.write(filepath.Join(b.source, "roles/web/tasks/main.yml"), "- {copy: {content: new, dest: '{{ dir }}/f'}}\n")
	b.write("f", "old")
	b.task.Diff = true
	r := b.dry("ansible", "{roles: web, extra_vars: {dir: DIR}}", "changed")
	b.holds("f", "old", 0)
	tasks, _ := r.Values.Get("tasks")
	if text := value.Text(tasks.([]any)[1]); !strings.Contains(text, `"after":"new"`) || !strings.Contains(text, `"name":"web : copy"`) {
		t.Errorf("the task: %s", text)
	}
}

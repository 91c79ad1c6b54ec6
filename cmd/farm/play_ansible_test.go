package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	xssh "golang.org/x/crypto/ssh"

	"farm/bench/sshd"
	"farm/engine"
	"farm/engine/enginetest"
)

// The page's example, here and over SSH.
func TestAnsibleOfThePageRuns(t *testing.T) {
	enginetest.Need(t, "ansible-playbook", "python3", "/usr/sbin/sshd")
	dir := t.TempDir()
	server, err := sshd.Start(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	hostKey := filepath.Join(dir, "host.pub")
	if err := os.WriteFile(hostKey, xssh.MarshalAuthorizedKey(server.HostKey), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", t.TempDir()) // no configuration of the user's
	for host, args := range map[string][]string{
		"localhost": {"--on", "local"},
		"127.0.0.1": {"--on", "ssh://" + server.User + "@" + server.Addr, "--key", server.KeyFile, "--host-key", hostKey},
	} {
		t.Run(host, func(t *testing.T) {
			status, out := runHere(t, "ansible.md", append([]string{"play", "step.yaml", "--json"}, args...)...)
			var p played
			if err := json.Unmarshal([]byte(out), &p); err != nil || status != 0 {
				t.Fatalf("exit status %d, %v\n%s", status, err, out)
			}
			h := p.Hosts[host]
			parts := 0
			for _, task := range h.Tasks {
				if task.Within == "configure" {
					parts++
				}
			}
			// farm's facts, the step and the assertion; Ansible's facts and the greeting
			if p.Status != engine.OK || h.OK != 3 || parts != 2 {
				t.Errorf("%d parts; %s", parts, out)
			}
		})
	}
}

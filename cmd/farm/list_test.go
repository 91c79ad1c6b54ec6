package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const twoVMs = `
all:
  hosts: {localhost: {config: {permutations: {platforms: [debian_12], targets: [amd64, arm64]}}}}
  children: {vms: {vars: {ansible_password: hunter2, nested: {api_token: hunter2}, ansible_ssh_private_key_file: ~/.ssh/k, told: "as joe with hunter2, {{ project_id }} hunter2", mirror: "http://joe:apple7@mirror/"}}}
`

// runLine runs one command line of farm over an inventory and returns its status and output.
func runLine(t *testing.T, text string, args ...string) (status int, out, complaint string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "inventory.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "INV", path)
	}
	var stdout, stderr bytes.Buffer
	a := &app{in: strings.NewReader(""), out: &stdout, err: &stderr, getenv: func(string) string { return "" }}
	status = a.main(context.Background(), args)
	return status, stdout.String(), stderr.String()
}

func TestListMasksSecrets(t *testing.T) {
	status, out, complaint := runLine(t, twoVMs, "list", "INV", "--json")
	var vms []struct {
		ID, Arch string
		Vars     map[string]any
	}
	if err := json.Unmarshal([]byte(out), &vms); err != nil || status != 0 {
		t.Fatal(status, complaint, err)
	}
	if len(vms) != 2 || vms[1].ID != "debian_12/arm64" || vms[1].Arch != "aarch64" || strings.Contains(out, "hunter2") || strings.Contains(out, "apple7") || vms[0].Vars["ansible_ssh_private_key_file"] != "~/.ssh/k" {
		t.Errorf("got %s", out)
	}
}

func TestInventoryCommandsExitStatus(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		args   []string
		status int
		want   string
	}{
		"nothing selected": {twoVMs, []string{"list", "INV", "-l", "*/amd46"}, 3, "none of 2 VMs"},
		"nothing wanted":   {"all: {}\n", []string{"list", "INV"}, 3, "asks for no VM"},
		"bad pattern":      {twoVMs, []string{"list", "INV", "-l", "~("}, 64, "bad host pattern"},
		"bad inventory":    {"all: {host: }\n", []string{"list", "INV"}, 65, `did you mean "hosts"?`},
		"unknown host":     {twoVMs, []string{"inventory", "INV", "--host", "x"}, 64, `no host "x"`},
		"bad expression":   {twoVMs, []string{"eval", "INV", "1 +"}, 65, "EXPR:1:"},
		"good expression":  {twoVMs, []string{"eval", "INV", "--host", "debian_12/arm64", "vm.arch"}, 0, "aarch64"},
		"template":         {twoVMs, []string{"eval", "-e", "a=1", "{{ a | int + 1 }}"}, 0, "2\n"},
		"catalogue":        {"", []string{"catalog", "show", "arm64"}, 0, "arch: aarch64"},
		"not in catalogue": {"", []string{"catalog", "show", "arm46"}, 64, `did you mean "arm64"?`},
	} {
		t.Run(name, func(t *testing.T) {
			status, out, complaint := runLine(t, c.text, c.args...)
			if status != c.status || !strings.Contains(out+complaint, c.want) {
				t.Errorf("status %d, said %s%s", status, out, complaint)
			}
		})
	}
}

package main

import (
	"os"
	"path/filepath"
	"testing"

	"farm/engine/runner"
	"farm/inventory"
)

func TestSecretsOfEachVMOfACountAreHidden(t *testing.T) {
	path := filepath.Join(t.TempDir(), "inventory.yaml")
	text := `
all:
  hosts: {localhost: {config: {list: [{platform: debian_12, target: amd64, count: 2}]}}}
vms: {vars: {api_token: "hunter-{{ vm_index }}"}}
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	inv, err := inventory.Load(path, inventory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	vms, err := inv.Expand(t.Context(), inventory.ExpandOptions{})
	if err != nil || len(vms) != 2 {
		t.Fatal(vms, err)
	}
	s := &session{inv: inv, vms: vms, mask: &runner.Mask{}}
	s.hideSecrets()
	if got, want := s.mask.Text("hunter-1 hunter-2 hunter-3"), "******** ******** hunter-3"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

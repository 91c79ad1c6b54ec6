package main

import (
	"testing"

	"farm/engine/runner"
)

func TestSecretsOfEachVMOfACountAreHidden(t *testing.T) {
	text := `
all:
  hosts: {localhost: {config: {list: [{platform: debian_12, target: amd64, count: 2}]}}}
vms: {vars: {api_token: "hunter-{{ vm_index }}"}}
`
	inv, vms, err := expand(t, text)
	if err != nil || len(vms) != 2 {
		t.Fatal(vms, err)
	}
	s := &session{inv: inv, vms: vms, mask: &runner.Mask{}}
	s.hideSecrets()
	if got, want := s.mask.Text("hunter-1 hunter-2 hunter-3"), "******** ******** hunter-3"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

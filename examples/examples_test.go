// Package examples_test keeps the examples true: each expands to the VMs that it promises.
package examples_test

import (
	"context"
	"slices"
	"testing"

	"farm/inventory"
)

func TestExamplesExpand(t *testing.T) {
	for _, tc := range []struct {
		inventory, vars string
		want            []string
	}{
		{"quickstart/inventory.yaml", "quickstart/vars/project.yaml", []string{"debian_12/amd64", "debian_12/arm64"}},
		{"vde/inventory.yaml", "vde/vars/vde.yaml",
			[]string{"arch/amd64", "debian_12/amd64", "debian_12/arm64", "debian_12/ppc64el"}},
	} {
		inv, err := inventory.Load(tc.inventory, inventory.Options{Vars: []string{tc.vars}})
		if err != nil {
			t.Fatal(err)
		}
		vms, err := inv.Expand(context.Background(), inventory.ExpandOptions{})
		if err != nil {
			t.Fatalf("%s: %v", tc.inventory, err)
		}
		var got []string
		for _, vm := range vms {
			got = append(got, vm.ID)
			d := vm.Def
			if vm.Platform != "debian_12" {
				continue
			}
			if source := d.Metadata.Sources[0].BeforeProvision[0]; source.Callback != "bootstrap" || d.Kernel.Src == "" || d.Kernel.Initrd == "" {
				t.Errorf("%s %s: source %+v, kernel %+v: want bootstrap and its kernel", tc.inventory, vm.ID, source, d.Kernel)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s expands to %q, want %q", tc.inventory, got, tc.want)
		}
	}
}

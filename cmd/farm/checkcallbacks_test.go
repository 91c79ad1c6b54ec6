package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"farm/inventory"
	"farm/inventory/catalog"
)

func TestCatalogueCallsCallbacksRight(t *testing.T) {
	checked := 0
	for _, platform := range catalog.Names("platforms") {
		for _, target := range catalog.Names("targets") {
			path := filepath.Join(t.TempDir(), "inventory.yaml")
			text := fmt.Sprintf("all: {hosts: {localhost: {config: {list: [{platform: %s, target: %s}]}}}}\n", platform, target)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			inv, err := inventory.Load(path, inventory.Options{})
			if err != nil {
				t.Fatal(err)
			}
			vms, err := inv.Expand(t.Context(), inventory.ExpandOptions{})
			if err != nil {
				continue // not every platform is there for every target
			}
			for _, vm := range vms {
				checked++
				if err := checkCallbacks(inv, vm); err != nil {
					t.Errorf("%s: %v", vm.ID, err)
				}
			}
		}
	}
	if checked < len(catalog.Names("platforms")) {
		t.Errorf("only %d definitions were checked", checked)
	}
}

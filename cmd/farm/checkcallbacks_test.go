package main

import (
	"fmt"
	"testing"

	"farm/inventory/catalog"
)

func TestCatalogueCallsCallbacksRight(t *testing.T) {
	checked := 0
	for _, platform := range catalog.Names("platforms") {
		for _, target := range catalog.Names("targets") {
			text := fmt.Sprintf("all: {hosts: {localhost: {config: {list: [{platform: %s, target: %s}]}}}}\n", platform, target)
			inv, vms, err := expand(t, text)
			if err != nil {
				continue // not every platform is there for every target
			}
			for _, vm := range vms {
				checked++
				if err := checkCallbacks(inv, vm, func(string) {}); err != nil {
					t.Errorf("%s: %v", vm.ID, err)
				}
			}
		}
	}
	if checked < len(catalog.Names("platforms")) {
		t.Errorf("only %d definitions were checked", checked)
	}
}

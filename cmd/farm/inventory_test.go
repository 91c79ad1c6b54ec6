package main

import (
	"os"
	"path/filepath"
	"testing"

	"farm/inventory"
)

// expand loads an inventory from its text and makes the VMs that it asks for.
func expand(t *testing.T, text string) (*inventory.Inventory, []inventory.VM, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "inventory.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	inv, err := inventory.Load(path, inventory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	vms, err := inv.Expand(t.Context(), inventory.ExpandOptions{})
	return inv, vms, err
}

package callbacks

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"farm/engine"
	"farm/inventory"
	"farm/inventory/catalog"
	"farm/inventory/value"
)

// Every platform of the catalogue comes about in one of two ways, neither of which writes into
// a file system that it did not make: bootstrap, or a foreign image with a seed for its
// cloud-init. What a foreign image has its root on, xfs or btrfs, then does not matter.
func TestCatalogueNeedsNoFileSystemOfForeignImages(t *testing.T) {
	targets := map[string][]string{}
	for _, platform := range catalog.Names("platforms") {
		for _, target := range catalog.Names("targets") {
			for _, vm := range catalogueVMs(t, platform, target) {
				targets[platform] = append(targets[platform], target)
				if err := comesAbout(t, vm); err != nil {
					t.Errorf("%s: %v", vm.ID, err)
				}
			}
		}
		if !slices.Contains(targets[platform], "amd64") {
			t.Errorf("%s is there for %q only", platform, targets[platform])
		}
	}
	if got := strings.Join(targets["arch"], " "); got != "amd64" {
		t.Errorf("arch is there for %s", got)
	}
}

// catalogueVMs is the VM of a platform and a target; none if it is not there for the target.
func catalogueVMs(t *testing.T, platform, target string) []inventory.VM {
	t.Helper()
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
		return nil
	}
	for i, vm := range vms {
		for j, src := range vm.Def.Metadata.Sources {
			for k, task := range src.BeforeProvision {
				v, err := inv.VMVars(vm).Eval(task.Args)
				if err != nil {
					t.Fatalf("%s: %v", vm.ID, err)
				}
				vms[i].Def.Metadata.Sources[j].BeforeProvision[k].Args = v.(*value.Dict)
			}
		}
	}
	return vms
}

// comesAbout follows a definition from its callbacks to its disks.
func comesAbout(t *testing.T, vm inventory.VM) error {
	made := map[string]string{} // file: who makes it
	for _, src := range vm.Def.Metadata.Sources {
		for _, task := range src.BeforeProvision {
			i := slices.IndexFunc(All(), func(d engine.CallbackDef) bool { return d.Name == task.Callback })
			if i < 0 {
				return fmt.Errorf("there is no callback %q", task.Callback)
			}
			c := All()[i].New()
			if err := value.Decode(task.Args, c); err != nil {
				return fmt.Errorf("%s: %w", task.Callback, err)
			}
			switch c := c.(type) {
			case *bootstrap:
				im, _ := bootstrapImage()
				im.VM = vm
				if _, err := c.recipe(t.Context(), im); err != nil {
					return fmt.Errorf("bootstrap: %w", err)
				}
				made[c.Dest], made[c.Kernel], made[c.Initrd] = "bootstrap", "bootstrap", "bootstrap"
			case *fetch:
				if c.Checksum == "" {
					return fmt.Errorf("%q is fetched without a checksum", c.Src)
				}
				made[c.Dest] = "fetch"
			case *setupCloudinitISO:
				made[c.Dest] = "seed"
			default:
				return fmt.Errorf("%s writes into file systems of certain kinds only", task.Callback)
			}
		}
	}
	ways := []string{}
	for _, d := range vm.Def.Disks {
		way := made[d.Src]
		if way == "seed" && !(d.ReadOnly && d.Type == "raw") {
			return fmt.Errorf("the seed %q is no read-only raw disk", d.Src)
		}
		ways = append(ways, way)
	}
	switch got := strings.Join(ways, " "); {
	case got == "bootstrap" && made[vm.Def.Kernel.Src] == "bootstrap" && made[vm.Def.Kernel.Initrd] == "bootstrap":
	case got == "fetch seed" && vm.Def.Kernel.Src == "":
	default:
		return fmt.Errorf("its disks are made by %q, its kernel %q by %q", got, vm.Def.Kernel.Src, made[vm.Def.Kernel.Src])
	}
	return nil
}

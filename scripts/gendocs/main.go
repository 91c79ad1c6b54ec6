// Command gendocs writes the pages of docs/reference, and the manual that is built into farm,
// from the code's comments and from what docs/reference/text adds. It is run in the module's root (`make docs`).
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// folder is where the pages go, below the module's root.
const folder = "docs/reference"

func main() {
	if err := write("."); err != nil {
		fmt.Fprintln(os.Stderr, "gendocs:", err)
		os.Exit(1)
	}
}

func write(root string) error {
	all, err := pages(root)
	if err != nil {
		return err
	}
	for name, text := range all {
		if err := os.WriteFile(filepath.Join(root, folder, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

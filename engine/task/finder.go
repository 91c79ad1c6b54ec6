package task

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"farm/inventory/source"
)

// Folders is an engine.Finder over folders of the controller, the first match winning.
type Folders []string

// Find looks name up in each folder, first below its subfolder kind.
func (f Folders) Find(kind, name string) (string, error) {
	if rest, ok := strings.CutPrefix(name, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			name = filepath.Join(home, rest)
		}
	}
	if filepath.IsAbs(name) {
		if _, err := os.Stat(name); err != nil {
			return "", fmt.Errorf("find %q: %w", name, err)
		}
		return name, nil
	}
	var searched []string
	for _, dir := range f {
		for _, sub := range []string{kind, ""} {
			path := filepath.Join(dir, sub, name)
			if _, err := os.Stat(path); err == nil {
				return path, nil
			}
			searched = append(searched, path)
		}
	}
	return "", fmt.Errorf("find %q: %w (searched %s)", name, fs.ErrNotExist, strings.Join(searched, ", "))
}

// ReadFile reads a file that Find found, within the limits of package source.
func (f Folders) ReadFile(path string) ([]byte, error) { return source.ReadText(path) }

// Open opens a file that Find found.
func (f Folders) Open(path string) (fs.File, error) { return os.Open(path) }

package phases

import (
	"os"
	"path/filepath"

	"farm/inventory/source"
)

// Find looks up a phase's file: platform/target, platform, target, then the root of the
// phases folder; in each .yaml before .yml. It returns "" and the folders searched if there is none.
func Find(root, platform, target, phase string) (file string, searched []string) {
	for _, dir := range []string{
		filepath.Join(root, platform, target), filepath.Join(root, platform), filepath.Join(root, target), root,
	} {
		searched = append(searched, dir)
		for _, ext := range []string{".yaml", ".yml"} {
			path := filepath.Join(dir, phase+ext)
			if st, err := os.Stat(path); err == nil && !st.IsDir() {
				return path, searched
			}
		}
	}
	return "", searched
}

func hint(name string) string {
	if h := source.DidYouMean(name, names); h != "" {
		return " (" + h + ")"
	}
	return ""
}

// Package catalog holds the targets and platforms that come with farm: definitions in
// the native form, in the folders targets and platforms.
package catalog

import (
	"embed"
	"sort"
	"strings"
)

//go:embed targets/*.yaml platforms/*.yaml
var files embed.FS

// Read returns the text of a definition; kind is "targets" or "platforms".
func Read(kind, name string) (text []byte, ok bool) {
	if strings.ContainsAny(name, `/\`) {
		return nil, false
	}
	text, err := files.ReadFile(kind + "/" + name + ".yaml")
	return text, err == nil
}

// Names lists the definitions of a kind, sorted. Those whose name begins with "_"
// only serve others and are left out.
func Names(kind string) []string {
	entries, err := files.ReadDir(kind)
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		if name := strings.TrimSuffix(e.Name(), ".yaml"); !strings.HasPrefix(name, "_") {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return names
}

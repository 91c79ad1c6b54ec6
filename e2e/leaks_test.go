//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"strings"
)

// nothingLeft fails the test if any of the project's runs left something: a machine, its
// process, its folder, its port, its pinned key, or a half-made image.
func (p *project) nothingLeft() {
	p.t.Helper()
	for _, what := range p.leaks() {
		p.t.Errorf("left behind: %s", what)
	}
}

func (p *project) leaks() []string {
	runs := p.runs()
	ours := func(text string) bool {
		for _, id := range runs {
			if strings.Contains(text, id) {
				return true
			}
		}
		return false
	}
	var left []string
	for _, name := range p.domains() {
		if ours(name) {
			left = append(left, "domain "+name)
		}
	}
	home, err := p.userHome()
	if err != nil {
		p.t.Fatal(err)
	}
	for _, h := range append([]string{home}, p.elsewhere...) {
		left = append(left, leftIn(h)...)
	}
	left = append(left, files(p.home, "known_hosts.d/*")...)
	return append(left, processes(ours)...)
}

// domains lists the machine's domains. Root's daemon ends by itself two minutes after its last
// guest and client, and asking does not start it: then there is what it keeps in files.
func (p *project) domains() []string {
	p.t.Helper()
	names, err := virsh("list", "--all", "--name")
	if err == nil {
		return strings.Fields(names)
	}
	if !strings.Contains(names, "Failed to connect socket") {
		p.t.Fatalf("virsh: %v: %s", err, names)
	}
	var kept []string
	for _, file := range files("/etc/libvirt/qemu", "*.xml") {
		kept = append(kept, strings.TrimSuffix(filepath.Base(file), ".xml"))
	}
	return kept
}

func files(root, pattern string) []string {
	found, _ := filepath.Glob(filepath.Join(root, pattern)) // the patterns here are well-formed
	return found
}

// processes lists those whose command line is ours; a zombie has none.
func processes(ours func(string) bool) []string {
	var found []string
	for _, file := range files("/proc", "[0-9]*/cmdline") {
		line, err := os.ReadFile(file)
		if err == nil && ours(string(line)) {
			text := strings.ReplaceAll(string(line), "\x00", " ")
			found = append(found, "process "+filepath.Base(filepath.Dir(file))+": "+text[:min(len(text), 200)])
		}
	}
	return found
}

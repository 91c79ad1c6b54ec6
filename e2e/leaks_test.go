//go:build e2e

package e2e

import (
	"os"
	"os/exec"
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
	domains := "" // without a run there is none, nor a daemon to ask
	if len(runs) > 0 {
		domains = p.output("virsh", "-c", "qemu:///session", "list", "--all", "--name")
	}
	for name := range strings.Lines(domains) {
		if ours(name) {
			left = append(left, "domain "+strings.TrimSpace(name))
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

func (p *project) output(name string, args ...string) string {
	p.t.Helper()
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		p.t.Fatalf("%s: %v", name, err)
	}
	return string(out)
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

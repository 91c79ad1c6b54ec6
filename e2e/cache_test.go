//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"farm/engine"
)

// TestImagesComeFromTheCacheWhenTheServerIsAway runs a guest whose files a server published, then
// without the server, and sees a file refused whose checksum is another.
func TestImagesComeFromTheCacheWhenTheServerIsAway(t *testing.T) {
	tiny, err := tinyFiles()
	if err != nil {
		t.Fatal(err)
	}
	p := newProject(t, one, map[string]string{"phases/main.yaml": "- command: uname -m\n  register: arch\n- debug: {msg: 'on {{ arch.stdout }}'}\n"})
	p.ownHome()
	m := newMirror(t)
	for _, name := range []string{"kernel", "initrd"} {
		text, err := os.ReadFile(filepath.Join(tiny, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(m.dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p.run(0, "-etiny="+m.url, "--keep=never").says("on x86_64")

	m.stop()
	away := p.run(0, "-etiny="+m.url, "--keep=never")
	away.ran("tiny/amd64", "prepare", "restore init", "startup", "main", "shutdown")
	warned := func(e engine.Event) bool {
		return e.Kind == engine.Warning && strings.Contains(e.Text, "cannot be reached")
	}
	if !slices.ContainsFunc(away.events, warned) {
		t.Errorf("farm does not warn of the server\n%s", away.stderr)
	}
	if offline := p.run(0, "-etiny="+m.url, "--keep=never", "--offline"); slices.ContainsFunc(offline.events, warned) {
		t.Errorf("farm asks the server in spite of --offline\n%s", offline.stderr)
	}

	m.start()
	if err := os.WriteFile(filepath.Join(m.dir, "kernel"), []byte("another kernel"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(m.dir, "SHA256SUMS"), fmt.Appendf(nil, "%x  kernel\n", digest(t, filepath.Join(tiny, "kernel"))), 0o644); err != nil {
		t.Fatal(err)
	}
	inventory := p.read("inventory.yaml")
	p.write("inventory.yaml", strings.Replace(inventory, "/kernel\", dest: kernel}", "/kernel\", dest: kernel, checksum: \"{{ tiny }}/SHA256SUMS\"}", 1))
	p.run(0, "-etiny="+m.url, "--keep=never").says("on x86_64") // the right one is in the cache, by content

	p.write("inventory.yaml", strings.Replace(inventory, "/kernel\", dest: kernel}", "/kernel\", dest: kernel, sha256: "+strings.Repeat("5", 64)+"}", 1))
	wrong := p.run(2, "-etiny="+m.url, "--keep=never")
	wrong.says("checksum")
	p.nothingLeft()
}

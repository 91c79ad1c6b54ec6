//go:build e2e

package e2e

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"farm/engine"
)

// cloudFiles is the folder of the cloud image, which is built once.
var cloudFiles = sync.OnceValues(func() (string, error) {
	cache, err := labCache()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "published")
	out, err := exec.Command("lab/cloud", dir).CombinedOutput()
	if err != nil {
		return "", &os.PathError{Op: string(out), Path: "lab/cloud", Err: err}
	}
	return dir, nil
})

// mirror is a web server on the loopback that publishes a folder of links to images.
type mirror struct {
	t    *testing.T
	dir  string
	url  string
	addr string
	stop func()
}

// newMirror publishes the cloud image under names, and what the test puts into its folder.
func newMirror(t *testing.T, names ...string) *mirror {
	t.Helper()
	m := &mirror{t: t, dir: t.TempDir(), addr: "127.0.0.1:0"}
	for _, name := range names {
		dir, err := cloudFiles()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join(dir, "disk.qcow2"), filepath.Join(m.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	m.start()
	t.Cleanup(func() { m.stop() })
	return m
}

// start serves, at the same address each time.
func (m *mirror) start() {
	m.t.Helper()
	l, err := net.Listen("tcp", m.addr)
	if err != nil {
		m.t.Fatal(err)
	}
	m.addr = l.Addr().String()
	m.url = "http://" + m.addr
	s := &http.Server{Handler: http.FileServer(http.Dir(m.dir))}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.Serve(l) // ends when stop closes it
	}()
	m.stop = sync.OnceFunc(func() {
		s.Close()
		<-ended
	})
}

// compatPhases do to the guest what the example's phases do, without the public's
// repositories: they take root by su, and write and read files.
var compatPhases = map[string]string{
	"own_phases/debian_12/dependencies.yaml": `- name: Become root
  command: id -un
  become: yes
  register: who
- name: Mark what init goes on from
  copy: {content: "{{ who.stdout }} {{ project_id }}", dest: /opt/mark}
  become: yes
`,
	"own_phases/main.yaml": `- name: Look around
  shell: 'echo "$(id -un) $(cat /opt/mark) $(hostname) $(($(df --output=size -k / | tail -n 1) >> 20))"'
  register: seen
- debug: {msg: "guest: {{ seen.stdout }}, {{ ansible_architecture }} {{ ansible_distribution }}"}
`,
}

// TestOldFormRunsUnchanged runs the example in the old form. Only the hypervisors of its
// inventory are others, the image comes from a server of ours and the phases are ours.
func TestOldFormRunsUnchanged(t *testing.T) {
	need(t, "qemu-img", "parted", "debugfs")
	const image = "debian-12-nocloud-amd64-daily-20230403-1339.qcow2"
	m := newMirror(t, image)
	p := newProject(t, one, compatPhases)
	home := p.ownHome()
	if err := os.CopyFS(p.dir, os.DirFS("../examples/ansible_farm_compat")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(p.dir, "group_vars/all.yaml")); err != nil { // the other tests'
		t.Fatal(err)
	}
	hosts := p.read("hosts.yaml")
	from, rest, _ := strings.Cut(hosts, "        notebook_amd64:\n")
	_, to, found := strings.Cut(rest, "          ansible_user: pi\n")
	if !found {
		t.Fatal("the example's hypervisors are not where they were")
	}
	p.write("hosts.yaml", from+"        here:\n          ansible_connection: local\n"+to)
	farm := func(args ...string) outcome {
		t.Helper()
		o := p.farm(append([]string{"run", "hosts.yaml", "--vars", "vars/vde.yaml", "-l", "debian_12/amd64", "--keep", "never",
			"-euri_base=" + m.url, "-ephases_lookup_dir_path=own_phases"}, args...)...)
		o.exits(0)
		t.Log(o.stdout)
		return o
	}

	first := farm()
	first.ran("debian_12/amd64", "prepare", "startup", "create clean", "dependencies", "create init", "main", "shutdown")
	first.says("guest: user root example_04.vde vm.amd64.debian-12 9, x86_64 Debian")
	for _, callback := range []string{"fetch", "copy", "extend_and_convert", "setup_image", "install_to_libvirt"} {
		first.prepared("debian_12/amd64", callback)
	}
	p.nothingLeft()
	if _, err := os.Stat(filepath.Join(home, ".ssh/id_ssh_rsa_vm")); err != nil {
		t.Errorf("the guests' key: %v", err)
	}

	second := farm()
	second.ran("debian_12/amd64", "prepare", "restore init", "startup", "main", "shutdown")
	second.says("guest: user root example_04.vde vm.amd64.debian-12 9, x86_64 Debian")
	p.nothingLeft()
}

// prepared wants a callback to have run for a VM.
func (o outcome) prepared(vm, callback string) {
	o.t.Helper()
	for _, e := range o.events {
		if e.Kind == engine.Progress && e.VM == vm && strings.Contains(e.Text, callback) {
			return
		}
	}
	o.t.Errorf("no callback %s ran for %s\n%s", callback, vm, o.stderr)
}

//go:build e2e

package e2e

import (
	"encoding/xml"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"farm/engine"
)

func TestFailedBuildIsToldAndItsMachineCanBeEntered(t *testing.T) {
	p := newProject(t, wishing("{permutations: {platforms: [tiny, other], targets: [amd64]}}"), map[string]string{
		"phases/main.yaml": `- command: echo all well` + "\n",
		"phases/tiny/main.yaml": `- {name: Unpack, copy: {content: "int main", dest: /tmp/main.c}}
- name: Build
  shell: "cat /tmp/main.c; echo; echo undefined reference to frob >&2; exit 3"
- {name: Never, command: echo never}
`,
		"phases/terminate.yaml": "- {name: Collect, command: echo collected}\n",
	})
	o := p.run(1, "--keep", "on-failure", "--junit", "junit.xml")
	o.says("Build", "exit 3", "int main", "undefined reference to frob", "phases/tiny/main.yaml:2",
		"farm ssh tiny/amd64", "farm logs tiny/amd64", "farm down tiny/amd64", "1 passed, 1 failed")
	if v := o.verdict("other/amd64"); v.Status != engine.OK {
		t.Errorf("the other VM ended %s: %s", v.Status, v.Text)
	}
	for _, e := range o.events {
		if e.Task == "Never" {
			t.Error("a task ran after the one that failed")
		}
	}

	in := p.farm("ssh", "tiny/amd64", "echo hi; cat /tmp/main.c; exit 7")
	in.exits(7)
	in.says("hi\nint main")
	logs := p.farm("logs", "tiny/amd64")
	logs.exits(0)
	logs.says("TASK Build", "| undefined reference to frob", "PHASE terminate", "collected")
	console := p.farm("logs", "tiny/amd64", "--console")
	console.exits(0)
	console.says("tiny guest is up")

	var report struct {
		Suites []struct {
			Name     string `xml:"name,attr"`
			Failures int    `xml:"failures,attr"`
			Errors   int    `xml:"errors,attr"`
			Cases    []struct {
				Name    string `xml:"name,attr"`
				Failure string `xml:"failure"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal([]byte(p.read("junit.xml")), &report); err != nil {
		t.Fatal(err)
	}
	failures := map[string]string{}
	for _, s := range report.Suites {
		failures[s.Name] = fmt.Sprint(s.Failures, " ", s.Errors)
		for _, c := range s.Cases {
			if (c.Failure != "") != (s.Name == "tiny/amd64" && c.Name == "main") {
				t.Errorf("JUnit: case %s of %s: failure %q", c.Name, s.Name, c.Failure)
			}
		}
	}
	if failures["tiny/amd64"] != "1 0" || failures["other/amd64"] != "0 0" {
		t.Errorf("JUnit: failures and errors %v", failures)
	}

	p.farm("down", "tiny/amd64").exits(0)
	p.farm("ssh", "tiny/amd64", "true").exits(64)
	p.nothingLeft()
}

// image is a definition whose only source is fetched from url.
func image(url, checksum string) string {
	return fmt.Sprintf(`metadata:
  auth: {user: root}
  sources:
    - before_provision: [{callback: fetch, src: "%s", checksum: "%s", dest: disk.qcow2}]
      on_provision: {src: disk.qcow2}
disks: [{type: qcow2, src: disk.qcow2}]
net: {type: user}
vcpus: 1
ram: 256
`, url, checksum)
}

func TestImageThatCannotBeFetchedIsNamed(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/there.qcow2" {
			fmt.Fprint(w, "not what was published")
			return
		}
		http.NotFound(w, r)
	}))
	defer server.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + listener.Addr().String() + "/disk.qcow2"
	listener.Close()
	sum := "sha256:" + strings.Repeat("ab", 32)

	p := newProject(t, wishing("{list: [{platform: closed, target: amd64}, {platform: missing, target: amd64}, {platform: other_bytes, target: amd64}]}"), map[string]string{
		"setup_vm/platforms/closed.yaml":      image(closed, sum),
		"setup_vm/platforms/missing.yaml":     image(server.URL+"/gone.qcow2", sum),
		"setup_vm/platforms/other_bytes.yaml": image(server.URL+"/there.qcow2", sum),
		"phases/main.yaml":                    "- command: echo well\n",
	})
	o := p.run(2)
	for vm, texts := range map[string][]string{
		"closed/amd64":      {closed, "connection refused"},
		"missing/amd64":     {server.URL + "/gone.qcow2", "404"},
		"other_bytes/amd64": {server.URL + "/there.qcow2", sum, "checksum"},
	} {
		v := o.verdict(vm)
		if v.Status != engine.NoVerdict {
			t.Errorf("%s ended %q", vm, v.Status)
		}
		for _, text := range texts {
			if !strings.Contains(v.Text, text) {
				t.Errorf("%s: no %q in %q", vm, text, v.Text)
			}
		}
		t.Log(v.Text)
	}
	p.nothingLeft()
}

func TestGuestThatNeverBootsShowsItsConsole(t *testing.T) {
	definition := func(params string) string {
		return "extends: tiny\nkernel: {params: " + params + "}\ntimeout_scale: 1\n"
	}
	p := newProject(t, wishing("{permutations: {platforms: [panics, lost], targets: [amd64]}}"), map[string]string{
		"setup_vm/platforms/panics.yaml": definition("console=ttyS0 rdinit=/nothing"),
		"setup_vm/platforms/lost.yaml":   definition("console=ttyS0 root=/dev/vdz"),
		"phases/main.yaml":               "- command: echo well\n",
	})
	o := p.run(2, "-e", `{"phase_timeout": {"startup": "20s"}}`, "--keep", "on-failure")
	if o.took > time.Minute {
		t.Errorf("it took %s to say so", o.took)
	}
	for vm, texts := range map[string][]string{
		"panics/amd64": {"the guest's kernel gave up: Kernel panic - not syncing"}, // which is not waited out
		"lost/amd64":   {"20s", "  | "},
	} {
		v := o.verdict(vm)
		if v.Status != engine.NoVerdict || v.Fault != engine.FarmFault {
			t.Errorf("%s ended %q, fault %q", vm, v.Status, v.Fault)
		}
		for _, text := range append(texts, "the console's last lines") {
			if !strings.Contains(v.Text, text) {
				t.Errorf("%s: no %q in %q", vm, text, v.Text)
			}
		}
	}
	p.farm("logs", "panics/amd64", "--console").says("Kernel panic")
	p.nothingLeft() // nobody could enter them
}

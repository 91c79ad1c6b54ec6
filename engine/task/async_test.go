package task_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"farm/engine"
	"farm/engine/local"
	"farm/engine/modules"
)

// guest gives a bench the real modules and a shell of this machine, with a home of its own.
func (b *bench) guest(t *testing.T) {
	t.Helper()
	t.Setenv("HOME", t.TempDir())
	conn := local.New()
	t.Cleanup(func() { conn.Close() })
	b.host.Conn = conn
	own := b.o.Modules
	b.o.Modules = modules.All()
	for _, d := range own {
		if d.Name == "say" {
			b.o.Modules = append(b.o.Modules, d)
		}
	}
	t.Cleanup(b.host.EndJobs)
}

func TestAsyncLeavesATaskInTheBackground(t *testing.T) {
	b := newBench(t, map[string]string{"main.yaml": `
- shell: while [ ! -e {{ dir }}/go ]; do sleep 0.05; done; echo done; exit 3
  async: 60
  poll: 0
  register: job
- say: "{{ job.started }} {{ job.finished }} {{ job is changed }} {{ job is finished }}"
- async_status: {jid: "{{ job.ansible_job_id }}"}
  register: now
- say: "{{ now.finished }} {{ now is changed }} {{ now.stdout_lines }}"
- copy: {content: x, dest: "{{ dir }}/go"}
- async_status: {jid: "{{ job.ansible_job_id }}"}
  register: end
  until: end is finished
  retries: 100
  delay: 0.05
  failed_when: false
- say: "{{ end.rc }} {{ end.stdout }} {{ end is changed }} {{ end.results_file == job.results_file }}"
- async_status: {jid: "{{ job.ansible_job_id }}", mode: cleanup}
  register: gone
- say: "{{ gone.erased == job.results_file }} {{ gone is changed }}"
- async_status: {jid: "{{ job.ansible_job_id }}"}
  ignore_errors: true
  register: lost
- say: "{{ lost.msg }} {{ lost.finished }}"
`}, "dir", t.TempDir())
	b.guest(t)
	if err := b.run(); err != nil {
		t.Fatal(err)
	}
	want := "1 0 True False|0 False []|3 done True True|True False|could not find job 1"
	if got := b.said(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestAsyncEndsWithItsTimeOrItsHost(t *testing.T) {
	dir := t.TempDir()
	b := newBench(t, map[string]string{"main.yaml": `
- {command: sleep 60, async: 0.2, poll: 0, register: short}
- {command: sleep 60, async: 60, poll: 0}
- {command: sleep 60, async: 0.2, poll: 1, ignore_errors: true, register: waited}
- say: "{{ waited.msg }} {{ waited.async_result.finished }}"
- {command: 'true', async: 60, register: quick}
- say: "{{ quick.finished }} {{ quick.rc }} {{ quick.ansible_job_id is match('j[0-9]{12}[.][0-9]+$') }}"
- async_status: {jid: "{{ short.ansible_job_id }}"}
  register: end
  until: end is finished
  retries: 100
  delay: 0.05
  ignore_errors: true
- say: "{{ end.msg }}"
`, "debug.yaml": "- {debug: , async: 5, poll: 0}\n"}, "ansible_async_dir", dir)
	b.guest(t)
	if err := b.run(); err != nil {
		t.Fatal(err)
	}
	if want := "not done within 0.2s 0|1 0 True|not done within 0.2s"; b.said() != want {
		t.Errorf("got  %s\nwant %s", b.said(), want)
	}
	b.host.EndJobs() // waits: the test would not end for a minute
	files, _ := filepath.Glob(filepath.Join(dir, "j*"))
	if st, err := os.Stat(dir); err != nil || len(files) != 2 {
		t.Errorf("%v in %v: %v", files, st, err)
	}
	if err := b.runFile("debug.yaml"); faultOf(err) != engine.UserFault || !strings.Contains(err.Error(), "debug cannot run in the background") {
		t.Errorf("debug with async: %v", err)
	}
	b.o.Check = true
	if err := b.run(); err == nil || !strings.Contains(err.Error(), "check mode") {
		t.Errorf("async in check mode: %v", err)
	}
}

func (b *bench) runFile(name string) error {
	return newRunner(b).RunFile(context.Background(), filepath.Join(b.dir, name), b.host, nil)
}

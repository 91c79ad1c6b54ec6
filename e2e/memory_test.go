//go:build e2e

package e2e

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"farm/engine"
)

// withPerl puts this machine's Perl into the tiny guest, which is of the same release; it comes
// last, so that farm does not find one that cannot run.
const withPerl = `- copy: {src: "{{ item.src }}", dest: "{{ item.dest }}", mode: "0755"}
  loop:
    - {src: /lib/x86_64-linux-gnu/libcrypt.so.1, dest: /usr/lib/libcrypt.so.1}
    - {src: /lib/x86_64-linux-gnu/libm.so.6, dest: /usr/lib/libm.so.6}
    - {src: /usr/bin/perl, dest: /usr/bin/perl}
- command: perl -e 'print "perl works"'
- {name: Only in memory, shell: echo kept >/run/mark}
`

// identity prints what a guest that resumed must not share with others.
const identity = `- shell: |
    echo "mark $(cat /run/mark)"
    echo "clock $(date +%s)"
    echo "random $(head -c 16 /dev/urandom | md5sum | cut -c 1-32)"
    echo "boot $(cat /proc/sys/kernel/random/boot_id)"
  register: out
- debug: {msg: "{{ out.stdout_lines | join('; ') }}"}
`

// told is what the guest of a VM printed, word by word.
func told(o outcome, vm string) map[string]string {
	o.t.Helper()
	for _, e := range o.events {
		if e.VM != vm || e.Kind != engine.TaskEnded || e.Module != "debug" {
			continue
		}
		words := map[string]string{}
		for _, part := range strings.Split(e.Text, "; ") {
			name, value, _ := strings.Cut(part, " ")
			words[name] = value
		}
		words["at"] = strconv.FormatInt(e.Time.Unix(), 10)
		return words
	}
	o.t.Fatalf("%s has told nothing\n%s", vm, o.stderr)
	return nil
}

// startup is what the phase of that name said of a VM.
func startup(o outcome, vm string) (text string, took time.Duration) {
	for _, e := range o.events {
		if e.VM == vm && e.Kind == engine.PhaseEnded && e.Phase == "startup" {
			return e.Text, time.Duration(e.ElapsedMS) * time.Millisecond
		}
	}
	return "", 0
}

func TestGuestsResumeFromTheMemoryOfALayer(t *testing.T) {
	p := newProject(t, wishing("{list: [{platform: tiny, target: amd64, count: 2, metadata: {hostname: same}}]}"), map[string]string{
		"phases/dependencies.yaml": withPerl,
		"phases/main.yaml":         identity,
	})
	p.ownHome()
	cached := []string{"prepare", "restore init", "startup", "main", "shutdown"}

	first := p.run(0, "-l", "tiny/amd64#1", "-e", `{"snapshot_memory": true}`)
	first.ran("tiny/amd64#1", "prepare", "startup", "create clean", "dependencies", "create init", "main", "shutdown")
	_, boot := startup(first, "tiny/amd64#1")
	maker := told(first, "tiny/amd64#1")
	p.nothingLeft()
	p.farm("cache", "list").says("MEMORY")

	time.Sleep(3 * time.Second) // so that a clock that stood still shows
	both := p.run(0, "-e", `{"snapshot_memory": true}`)
	seen := map[string]string{maker["random"]: "the first", maker["boot"]: "the first"}
	for _, vm := range []string{"tiny/amd64#1", "tiny/amd64#2"} {
		both.ran(vm, cached...)
		text, took := startup(both, vm)
		if !strings.Contains(text, "resumed from the memory") {
			t.Errorf("%s: %q\n%s", vm, text, both.stderr)
		}
		t.Logf("%s: boot %v, resume %v: %s", vm, boot, took, text)
		got := told(both, vm)
		if got["mark"] != "kept" {
			t.Errorf("%s: what was in memory only is gone: %v", vm, got)
		}
		if off := number(t, got["clock"]) - number(t, got["at"]); off < -1 || off > 1 {
			t.Errorf("%s: its clock is %d s off", vm, off)
		}
		for _, name := range []string{"random", "boot"} {
			if other := seen[got[name]]; other != "" || got[name] == "" {
				t.Errorf("%s: %s %q is also that of %s", vm, name, got[name], other)
			}
			seen[got[name]] = vm
		}
	}
	for _, e := range both.events {
		if e.Kind == engine.Warning {
			t.Errorf("warning: %s", e.Text)
		}
	}
	p.nothingLeft()

	p.write("inventory.yaml", strings.Replace(p.read("inventory.yaml"), "ram: 384", "ram: 400", 1))
	other := p.run(0, "-l", "tiny/amd64#1", "-e", `{"snapshot_memory": "auto"}`)
	other.ran("tiny/amd64#1", cached...)
	if text, _ := startup(other, "tiny/amd64#1"); !strings.Contains(text, "booted from the disks") || !strings.Contains(text, `memory was "393216 KiB"`) {
		t.Errorf("with more memory: %q", text)
	}
	plain := p.run(0, "-l", "tiny/amd64#1")
	plain.ran("tiny/amd64#1", cached...)
	if text, _ := startup(plain, "tiny/amd64#1"); text != "" {
		t.Errorf("without the setting: %q", text)
	}
	p.nothingLeft()
}

func number(t *testing.T, text string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(fmt.Errorf("%q: %w", text, err))
	}
	return n
}

//go:build e2e

package e2e

import (
	"strings"
	"testing"
)

// onDisk writes and reads text at an offset of the tiny guest's disk.
const (
	onDisk   = `- {name: Write, shell: "printf %-8s WHAT | dd of=/dev/vda bs=8 seek=SEEK conv=notrunc"}` + "\n"
	fromDisk = `- {name: Read, command: head -c 16 /dev/vda, register: disk}
- {debug: {msg: "disk: {{ disk.stdout }}"}}
`
)

func disk(what, seek string) string {
	return strings.NewReplacer("WHAT", what, "SEEK", seek).Replace(onDisk)
}

func TestRunGoesOnFromTheInitLayer(t *testing.T) {
	p := newProject(t, one, map[string]string{
		"phases/dependencies.yaml": disk("deps1", "0"),
		"phases/init.yaml":         disk("init1", "1"),
		"phases/main.yaml":         fromDisk,
		"phases/terminate.yaml":    disk("spoiled", "0"),
	})
	fresh := []string{"prepare", "startup", "create clean", "dependencies", "init", "create init", "main", "terminate", "shutdown"}
	again := []string{"prepare", "restore clean", "startup", "dependencies", "init", "create init", "main", "terminate", "shutdown"}
	cached := []string{"prepare", "restore init", "startup", "main", "terminate", "shutdown"}
	unique := "-eunique=" + t.Name() + strings.ReplaceAll(t.TempDir(), "/", "_") // layers of earlier tests do not fit

	first := p.run(0, unique)
	if got := first.phases("tiny/amd64"); got[1] == "restore clean" { // an earlier test made the same clean state
		fresh = again
	}
	first.ran("tiny/amd64", fresh...)
	first.says("disk: deps1   init1")
	p.nothingLeft()

	second := p.run(0, unique)
	second.ran("tiny/amd64", cached...)
	second.says("disk: deps1   init1") // what terminate wrote is gone
	p.nothingLeft()

	p.write("phases/dependencies.yaml", disk("deps2", "0"))
	changed := p.run(0, unique)
	changed.ran("tiny/amd64", again...)
	changed.says("disk: deps2   init1")

	bumped := p.run(0, unique, "-eproject_revision=1")
	bumped.ran("tiny/amd64", again...)

	p.write("phases/dependencies.yaml", disk("deps1", "0"))
	p.run(0, unique).ran("tiny/amd64", cached...) // the first state is still there
	p.nothingLeft()
}

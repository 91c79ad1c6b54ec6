//go:build e2e

package e2e

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"farm/engine"
)

// TestEarlierRunIsTakenUpFromTheStateBeforeAPhase goes back to the state before main of a run whose test fails every third time.
func TestEarlierRunIsTakenUpFromTheStateBeforeAPhase(t *testing.T) {
	p := newProject(t, one, map[string]string{
		"phases/dependencies.yaml": disk("deps1", "0"),
		"phases/init.yaml":         disk("init1", "1"),
		"phases/main.yaml": fromDisk + disk("spoiled", "0") + `- name: Flaky
  delegate_to: localhost
  shell: "n=$(( $(cat {{ count }} 2>/dev/null || echo 0) + 1 )); echo $n >{{ count }}; exit $(( n % 3 == 1 ))"
`,
	})
	unique := "project_id=" + t.Name() + strings.ReplaceAll(t.TempDir(), "/", "_")
	failed := p.run(1, "--keep=never", "-e", unique, "-e", "count="+filepath.Join(p.dir, "count"))
	run := filepath.Base(failed.dir)
	failed.says("retry  farm retry " + run + " tiny/amd64    (from main; farm shell tiny/amd64 enters the state before it)")
	p.nothingLeft()

	inside := p.farm("shell", "tiny/amd64", "--at", "main", "--", "head -c 16 /dev/vda; exit 7")
	inside.exits(7)
	if inside.stdout != "deps1   init1   " {
		t.Errorf("the shell printed %q", inside.stdout)
	}
	inside.ran("tiny/amd64", "prepare", "restore init", "startup", "shell", "shutdown")
	p.nothingLeft()

	again := p.farm("retry", "last", "tiny/amd64") // the shell was no run
	again.exits(0)
	again.ran("tiny/amd64", "prepare", "restore init", "startup", "main", "shutdown")
	again.says("disk: deps1   init1", "1 passed")
	p.nothingLeft()
	p.farm("retry", "last", "tiny/amd64").exits(64) // it did not fail

	many := p.farm("retry", run, "tiny/amd64", "--until-fail", "-n", "5", "--keep=on-failure", "--json")
	many.exits(1)
	var got struct {
		Attempts       []struct{ Status engine.Status }
		Passed, Failed int
		State          string
		Failures       struct{ Rate, Low, High float64 }
	}
	if err := json.Unmarshal([]byte(many.stdout), &got); err != nil {
		t.Fatalf("%v: %s", err, many.stdout)
	}
	if len(got.Attempts) != 2 || got.Passed != 1 || got.Failed != 1 || got.State != "init" || got.Failures.Rate != 0.5 || got.Failures.Low < 0.09 || got.Failures.High > 0.91 {
		t.Errorf("%s", many.stdout)
	}
	p.farm("ssh", "tiny/amd64", "head -c 8 /dev/vda").says("spoiled")
	p.farm("down", "tiny/amd64").exits(0)
	p.nothingLeft()

	p.write("phases/init.yaml", disk("init2", "1"))
	changed := p.farm("shell", "tiny/amd64", "--run", run, "--at", "init", "--", "head -c 16 /dev/vda | tr '\\000' .")
	changed.exits(0)
	changed.says("first comes dependencies")
	if changed.stdout != "deps1   ........" {
		t.Errorf("the shell printed %q", changed.stdout)
	}
	if slices.Contains(changed.phases("tiny/amd64"), "create init") {
		t.Error("a layer was made of another init")
	}
	p.nothingLeft()
}

//go:build e2e

package e2e

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestInterruptRunsTerminateAndShutdown(t *testing.T) {
	p := newProject(t, one, map[string]string{
		"phases/main.yaml":      "- {name: Long, command: sleep 600}\n- {name: Next, command: echo next}\n",
		"phases/terminate.yaml": "- {name: Collect, command: echo collected}\n",
	})
	f := p.start("run", "inventory.yaml", "-vv", "--junit", "junit.xml")
	f.awaitTask("Long")
	interrupted := time.Now()
	f.signal(syscall.SIGINT)
	o := f.wait()
	o.exits(130)
	o.says("terminate and shutdown still run", "collected", "1 interrupted")
	if got := strings.Join(o.phases("tiny/amd64"), " "); !strings.HasSuffix(got, "main terminate shutdown") {
		t.Errorf("phases %s", got)
	}
	if took := time.Since(interrupted); took > time.Minute {
		t.Errorf("it took %s to end", took)
	}
	if strings.Contains(o.stderr, "main: Next") {
		t.Error("a task was started after the interrupt")
	}
	if !strings.Contains(p.read("junit.xml"), "</testsuites>") {
		t.Error("the JUnit report is not complete")
	}
	p.nothingLeft()
}

func TestSecondInterruptSwitchesOff(t *testing.T) {
	p := newProject(t, one, map[string]string{
		"phases/main.yaml":      "- {name: Long, command: sleep 600}\n",
		"phases/terminate.yaml": "- {name: Endless, command: sleep 600}\n",
	})
	f := p.start("run", "inventory.yaml")
	f.awaitTask("Long")
	f.signal(syscall.SIGTERM)
	f.awaitTask("Endless")
	second := time.Now()
	f.signal(syscall.SIGINT)
	o := f.wait()
	o.exits(130)
	o.says("switching off")
	if took := time.Since(second); took > 20*time.Second {
		t.Errorf("it took %s to switch off", took)
	}
	p.nothingLeft()
}

func TestGCRemovesWhatAKilledRunLeft(t *testing.T) {
	p := newProject(t, one, map[string]string{"phases/main.yaml": "- {name: Long, command: sleep 600}\n"})
	f := p.start("run", "inventory.yaml")
	f.awaitTask("Long")
	during := p.farm("gc", "inventory.yaml")
	during.exits(0)
	during.says("0 removed") // a run under way is left alone
	f.signal(syscall.SIGKILL)
	<-f.ended
	if len(p.leaks()) == 0 {
		t.Fatal("the killed run left nothing: this test shows nothing")
	}
	dry := p.farm("gc", "--dry-run")
	dry.exits(0)
	dry.says("1 to be removed")
	first := p.farm("gc")
	first.exits(0)
	first.says("1 removed", "tiny/amd64")
	p.nothingLeft()
	second := p.farm("gc")
	second.exits(0)
	second.says("0 removed")
	p.run(1, "--keep", "never", "-e", `{"phase_timeout": {"main": "1s"}}`).says("main took longer than its deadline") // the next run is not hindered
	p.nothingLeft()
}

func TestNextRunRemovesWhatAKilledRunLeft(t *testing.T) {
	p := newProject(t, one, map[string]string{"phases/main.yaml": "- {name: Long, command: sleep 600}\n"})
	f := p.start("run", "inventory.yaml")
	f.awaitTask("Long")
	f.signal(syscall.SIGKILL)
	<-f.ended
	p.write("phases/main.yaml", "- command: echo well\n")
	p.run(0)
	p.nothingLeft()
}

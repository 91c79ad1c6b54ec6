package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"farm/engine"
	"farm/engine/runner"
	"farm/engine/store"
)

// withRuns makes a state folder with two runs of a VM, each with a task log.
func withRuns(t *testing.T) *app {
	t.Helper()
	a := appAt(t.TempDir())
	s, err := a.openStore()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i, id := range []string{"run1", "run2"} {
		dir := filepath.Join(t.TempDir(), id)
		vm := filepath.Join(dir, runner.FileName("debian_12/arm64"))
		if err := os.MkdirAll(vm, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(vm, "tasks.log"), []byte("tasks of "+id+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.Begin(store.Run{ID: id, Inventory: "i.yaml", Dir: dir, Started: time.Unix(int64(1000+i), 0)}); err != nil {
			t.Fatal(err)
		}
		events := fmt.Sprintf("{\"kind\":\"run_started\",\"run\":%[1]q}\n{\"vm\":\"debian_12/arm64\",\"run\":%[1]q}\n{\"vm\":\"other/arm64\"}\n{\"vm\":\"debian_12/a", id)
		if err := os.WriteFile(filepath.Join(dir, eventsName), []byte(events), 0o600); err != nil {
			t.Fatal(err)
		}
		sink := s.Sink()
		if err := sink.Event(engine.Event{Kind: engine.VMEnded, Run: id, Seq: 1, VM: "debian_12/arm64"}, nil); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

func TestLogsPrintsAVMsLog(t *testing.T) {
	a := withRuns(t)
	for name, c := range map[string]struct {
		args   []string
		status int
		want   string
	}{
		"the last run":        {[]string{"logs", "debian_12/arm64"}, exitPassed, "tasks of run2\n"},
		"a run":               {[]string{"logs", "debian_12/arm64", "--run", "run1"}, exitPassed, "tasks of run1\n"},
		"events":              {[]string{"logs", "debian_12/arm64", "--json"}, exitPassed, "{\"vm\":\"debian_12/arm64\",\"run\":\"run2\"}\n"},
		"events or console":   {[]string{"logs", "debian_12/arm64", "--json", "--console"}, exitUsage, "one of the two"},
		"no console":          {[]string{"logs", "debian_12/arm64", "--console"}, exitNoVerdict, "has no console.log"},
		"another VM":          {[]string{"logs", "debian_12/amd64"}, exitUsage, `no VM "debian_12/amd64" in any run (the last run, run2, has: `},
		"another run":         {[]string{"logs", "debian_12/arm64", "--run", "run3"}, exitUsage, "in run run3"},
		"an empty id":         {[]string{"logs", ""}, exitUsage, `no VM "" in any run`},
		"outside of a folder": {[]string{"logs", "../.."}, exitUsage, `no VM "../.."`},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			b := &app{in: strings.NewReader(""), out: &out, err: &out, getenv: a.getenv}
			if status := b.main(context.Background(), c.args); status != c.status || !strings.Contains(out.String(), c.want) {
				t.Errorf("status %d: %s", status, out.String())
			}
		})
	}
}

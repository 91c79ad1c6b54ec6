package report

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"farm/engine"
	"farm/inventory/value"
)

var update = flag.Bool("update", false, "rewrite the golden files")

type closer struct{ io.Writer }

func (closer) Close() error { return nil }

// story is a run of three VMs: one passes, one fails its test, one fits nowhere.
func story() []engine.Event {
	begun := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var seq int64
	at := func(secs int, e engine.Event) engine.Event {
		seq++
		e.V, e.Seq, e.Run, e.Time = engine.EventVersion, seq, "r1", begun.Add(time.Duration(secs)*time.Second)
		return e
	}
	failed := value.NewDict("cmd", "make check", "rc", 2, "stdout", "ok 1\nnot ok 2\n", "stderr", "make: *** [check] Error 2\n")
	return []engine.Event{
		at(0, engine.Event{Kind: engine.RunStarted}),
		at(0, engine.Event{Kind: engine.VMEnded, VM: "p/s390x", Status: engine.NoVerdict, Fault: engine.FarmFault, Text: "no hypervisor can run p/s390x (hv: no emulator)"}),
		at(1, engine.Event{Kind: engine.VMPlaced, VM: "p/amd64", Host: "hv", Text: "accelerated"}),
		at(1, engine.Event{Kind: engine.PhaseStarted, VM: "p/amd64", Phase: "startup"}),
		at(5, engine.Event{Kind: engine.PhaseEnded, VM: "p/amd64", Phase: "startup", Status: engine.OK, ElapsedMS: 4000}),
		at(5, engine.Event{Kind: engine.PhaseEnded, VM: "p/amd64", Phase: "init", Status: engine.Skipped, Text: "no file init.yaml"}),
		at(6, engine.Event{Kind: engine.PhaseEnded, VM: "p/amd64", Phase: "main", Status: engine.OK, ElapsedMS: 1000}),
		at(7, engine.Event{Kind: engine.VMEnded, VM: "p/amd64", Host: "hv", Status: engine.OK, ElapsedMS: 6000}),
		at(7, engine.Event{Kind: engine.VMPlaced, VM: "p/arm64", Host: "hv", Text: "emulated"}),
		at(20, engine.Event{Kind: engine.PhaseEnded, VM: "p/arm64", Phase: "startup", Status: engine.OK, ElapsedMS: 12000}),
		at(20, engine.Event{Kind: engine.PhaseEnded, VM: "p/arm64", Phase: "create clean", Status: engine.Ignored, Fault: engine.FarmFault, Text: "no space", ElapsedMS: 1}),
		at(25, engine.Event{Kind: engine.TaskOutput, VM: "p/arm64", Phase: "main", Task: "Test", Text: "too soon for a line"}),
		at(60, engine.Event{Kind: engine.TaskOutput, VM: "p/arm64", Phase: "main", Task: "Test", Text: "ok 1"}),
		at(90, engine.Event{Kind: engine.TaskEnded, VM: "p/arm64", Phase: "main", Task: "Test", File: "main.yaml:3:3", Module: "shell",
			Status: engine.Failed, Text: "non-zero return code", ElapsedMS: 70000, Result: failed}),
		at(90, engine.Event{Kind: engine.FilesKept, VM: "p/arm64", Phase: "main", Task: "Collect", Path: "/runs/r1/p-arm64/artifacts/junit", Text: "1 report kept"}),
		at(90, engine.Event{Kind: engine.TestsRead, VM: "p/arm64", Phase: "main", Task: "Collect", Path: "/runs/r1/p-arm64/artifacts/junit/t.xml",
			Text: "t.xml: 1 passed", Tests: []engine.Test{{Name: "an earlier try", Status: engine.OK}}}),
		at(90, engine.Event{Kind: engine.TestsRead, VM: "p/arm64", Phase: "main", Task: "Collect", Path: "/runs/r1/p-arm64/artifacts/junit/t.xml",
			Text: "t.xml: 1 passed, 1 failed, 1 with errors, 1 skipped", Tests: []engine.Test{
				{Name: "good", Class: "c", Status: engine.OK, ElapsedMS: 1500}, {Name: "bad", Class: "c", Status: engine.Failed, Text: "2 <> 3\nat line 7"},
				{Name: "odd", Status: engine.NoVerdict, Text: "crash\x01"}, {Name: "later", Class: "d", Status: engine.Skipped, Text: "no network"}}}),
		at(90, engine.Event{Kind: engine.PhaseEnded, VM: "p/arm64", Phase: "main", Status: engine.Failed, Fault: engine.TestFault, Text: `task "Test" failed`, ElapsedMS: 70000}),
		at(91, engine.Event{Kind: engine.PhaseEnded, VM: "p/arm64", Phase: "terminate", Status: engine.Failed, Fault: engine.TestFault, Text: `task "Collect" failed`, ElapsedMS: 100}),
		at(95, engine.Event{Kind: engine.VMEnded, VM: "p/arm64", Host: "hv", Status: engine.Failed, Fault: engine.TestFault, Text: `task "Test" failed`, ElapsedMS: 88000}),
		at(95, engine.Event{Kind: engine.RunEnded, Status: engine.Failed}),
	}
}

func play(t *testing.T, sink engine.Sink) *engine.State {
	t.Helper()
	state := &engine.State{}
	for _, e := range story() {
		state.Apply(e)
		if err := sink.Event(e, state); err != nil {
			t.Fatal(err)
		}
	}
	if err := sink.Close(); err != nil {
		t.Fatal(err)
	}
	return state
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func folder(vm string) string { return strings.ReplaceAll(vm, "/", "-") }

func TestSummaryTellsHowToGoOn(t *testing.T) {
	time.Local = time.UTC
	var b bytes.Buffer
	state := play(t, NewNDJSON(closer{io.Discard}))
	s := Summary{State: state, Dir: "/runs/r1", Again: "farm run i.yaml -l %s", Folder: folder,
		Retry: func(vm, phase string) string { return "farm retry r1 " + vm + " (from " + phase + ")" },
		Kept:  map[string]time.Time{"p/arm64": time.Date(2026, 1, 2, 3, 40, 0, 0, time.UTC)}}
	if err := s.Write(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "summary.txt", b.String())
}

func TestPlainPrintsALineForWhatMatters(t *testing.T) {
	time.Local = time.UTC
	var b bytes.Buffer
	play(t, NewPlain(&b, 0))
	golden(t, "plain.txt", b.String())
}

func TestJUnitTellsFailuresFromErrors(t *testing.T) {
	var b bytes.Buffer
	play(t, NewJUnit(closer{&b}))
	golden(t, "junit.xml", b.String())
}

func TestNDJSONIsALineAnEvent(t *testing.T) {
	var b bytes.Buffer
	play(t, NewNDJSON(closer{&b}))
	golden(t, "events.ndjson", b.String())
}

func TestTaskLogHoldsTheFailedCommand(t *testing.T) {
	time.Local = time.UTC
	dir := t.TempDir()
	play(t, NewTaskLog(dir, folder))
	text, err := os.ReadFile(filepath.Join(dir, "p-arm64", "tasks.log"))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "tasks.log", string(text))
}

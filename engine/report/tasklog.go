package report

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"farm/engine"
)

// TaskLog keeps a log for every VM in a folder of its own: each task, its outcome and
// everything it printed.
type TaskLog struct {
	dir    string
	folder func(vm string) string
	files  map[string]*os.File
}

// NewTaskLog returns a sink that writes DIR/FOLDER(vm)/tasks.log.
func NewTaskLog(dir string, folder func(vm string) string) *TaskLog {
	return &TaskLog{dir, folder, map[string]*os.File{}}
}

// Event appends to the VM's log.
func (l *TaskLog) Event(e engine.Event, _ *engine.State) error {
	if e.VM == "" {
		return nil
	}
	text := logText(e)
	if text == "" {
		return nil
	}
	f, err := l.file(e.VM)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return err
}

func (l *TaskLog) file(vm string) (*os.File, error) {
	if f := l.files[vm]; f != nil {
		return f, nil
	}
	path := filepath.Join(l.dir, l.folder(vm), "tasks.log")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err == nil {
		l.files[vm] = f
	}
	return f, err
}

func logText(e engine.Event) string {
	clock := e.Time.Local().Format(time.TimeOnly)
	switch e.Kind {
	case engine.VMPlaced:
		return fmt.Sprintf("%s placed on %s (%s)\n", clock, e.Host, e.Text)
	case engine.PhaseStarted:
		return fmt.Sprintf("\n%s PHASE %s\n", clock, e.Phase)
	case engine.PhaseEnded:
		return fmt.Sprintf("%s END %s: %s in %s%s\n", clock, e.Phase, e.Status, elapsed(e), because(e.Text))
	case engine.TaskStarted:
		return fmt.Sprintf("\n%s TASK %s (%s)\n", clock, e.Task, e.File)
	case engine.TaskEnded:
		text := fmt.Sprintf("%s %s in %s%s\n", clock, e.Status, elapsed(e), because(e.Text))
		if e.Status == engine.Failed {
			text += indent("  ", taskDetail(&e)) + "\n"
		}
		if e.Diff != "" {
			text += indent("  ", strings.TrimSuffix(e.Diff, "\n")) + "\n"
		}
		return text
	case engine.TaskOutput:
		return indent("  | ", e.Text) + "\n"
	case engine.Warning:
		return fmt.Sprintf("%s WARNING %s\n", clock, e.Text)
	case engine.Progress:
		return fmt.Sprintf("%s %s\n", clock, e.Text)
	case engine.FilesKept:
		return fmt.Sprintf("%s %s\n", clock, e.Text)
	case engine.TestsRead:
		return fmt.Sprintf("%s TESTS %s\n%s", clock, e.Text, notPassed(e.Tests))
	case engine.VMEnded:
		return fmt.Sprintf("\n%s %s in %s%s\n", clock, verdict(e.Status), elapsed(e), because(e.Text))
	}
	return ""
}

// notPassed lists the tests that did not pass, with why.
func notPassed(tests []engine.Test) string {
	var b strings.Builder
	for _, t := range tests {
		if t.Status == engine.OK {
			continue
		}
		status := string(t.Status)
		if t.Status == engine.NoVerdict {
			status = "error"
		}
		fmt.Fprintf(&b, "  %s %s %s\n", status, t.Class, t.Name)
		if t.Text != "" {
			b.WriteString(indent("    | ", t.Text) + "\n")
		}
	}
	return b.String()
}

func because(text string) string {
	if text == "" {
		return ""
	}
	return ": " + text
}

// Close closes the logs.
func (l *TaskLog) Close() error {
	var first error
	for _, f := range l.files {
		if err := f.Close(); err != nil && first == nil {
			first = err
		}
	}
	return first
}

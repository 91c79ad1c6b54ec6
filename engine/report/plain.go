package report

import (
	"fmt"
	"io"
	"strings"
	"time"

	"farm/engine"
)

// Plain prints a line for what a reader of a log wants to know, as it happens.
type Plain struct {
	p       printer
	verbose bool                 // also tasks that went well
	output  bool                 // also what tasks print
	shown   map[string]time.Time // when a VM last had a line
}

// quiet is how long a task may print without a sign of it.
const quiet = 10 * time.Second

// NewPlain returns a sink that prints to w. With verbose 1 tasks that pass are
// shown too, with 2 their output as it comes.
func NewPlain(w io.Writer, verbose int) *Plain {
	return &Plain{p: printer{w: w}, verbose: verbose > 0, output: verbose > 1, shown: map[string]time.Time{}}
}

// Event prints e's line, if it has one.
func (p *Plain) Event(e engine.Event, s *engine.State) error {
	switch e.Kind {
	case engine.RunStarted:
		p.line(e, "run "+e.Run)
	case engine.VMPlaced:
		p.line(e, fmt.Sprintf("placed on %s (%s)", e.Host, e.Text))
	case engine.PhaseStarted:
		p.line(e, e.Phase+" ...")
	case engine.PhaseEnded:
		p.phaseEnded(e)
	case engine.TaskStarted:
		if p.verbose || e.Status == "" && e.Module != "set_fact" && e.Module != "debug" {
			p.line(e, fmt.Sprintf("%s: %s", e.Phase, e.Task))
		}
	case engine.TaskEnded:
		p.taskEnded(e)
	case engine.TaskOutput:
		p.taskOutput(e)
	case engine.Progress:
		text := e.Text
		if e.Phase != "" {
			text = e.Phase + ": " + text
		}
		p.line(e, text)
	case engine.FilesKept, engine.TestsRead:
		p.line(e, fmt.Sprintf("%s: %s", e.Phase, e.Text))
	case engine.Warning:
		p.line(e, "warning: "+e.Text)
	case engine.VMEnded:
		p.vmEnded(e, s)
	}
	return p.p.err
}

// vmEnded gives the reason too where no phase has told it.
func (p *Plain) vmEnded(e engine.Event, s *engine.State) {
	if vm := s.VMs[e.VM]; e.Text != "" && (vm == nil || len(vm.Phases) == 0) {
		p.line(e, fmt.Sprintf("%s: %s", verdict(e.Status), e.Text))
		return
	}
	p.line(e, fmt.Sprintf("%s after %s", verdict(e.Status), elapsed(e)))
}

func (p *Plain) phaseEnded(e engine.Event) {
	switch e.Status {
	case engine.OK:
		text := fmt.Sprintf("%s done in %s", e.Phase, elapsed(e))
		if e.Text != "" {
			text += ": " + e.Text
		}
		p.line(e, text)
	case engine.Skipped:
		p.line(e, fmt.Sprintf("%s skipped: %s", e.Phase, e.Text))
	case engine.Ignored: // a warning follows, and says why
		p.line(e, fmt.Sprintf("%s failed after %s", e.Phase, elapsed(e)))
	default:
		p.line(e, fmt.Sprintf("%s %s: %s", e.Phase, verdict(e.Status), e.Text))
	}
}

func (p *Plain) taskEnded(e engine.Event) {
	p.taskStatus(e)
	if e.Diff != "" {
		p.p.printf("%s\n", indent("    ", strings.TrimSuffix(e.Diff, "\n")))
	}
}

func (p *Plain) taskStatus(e engine.Event) {
	switch {
	case e.Status == engine.Failed || e.Status == engine.Unreachable:
		p.line(e, fmt.Sprintf("%s: %s failed after %s (%s)", e.Phase, e.Task, elapsed(e), e.File))
	case e.Status == engine.Ignored:
		p.line(e, fmt.Sprintf("%s: %s failed, ignored: %s", e.Phase, e.Task, firstLine(e.Text)))
	case e.Module == "debug" && e.Text != "":
		p.line(e, fmt.Sprintf("%s: %s", e.Phase, e.Text))
	case p.verbose:
		p.line(e, fmt.Sprintf("%s: %s %s in %s", e.Phase, e.Task, e.Status, elapsed(e)))
	}
}

// taskOutput prints what a task prints, or now and then a line of it as a sign of life.
func (p *Plain) taskOutput(e engine.Event) {
	switch {
	case p.output:
		p.p.printf("%s\n", indent("    | ", e.Text))
	case e.Time.Sub(p.shown[e.VM]) >= quiet:
		lines := strings.Split(strings.TrimSpace(e.Text), "\n")
		p.line(e, fmt.Sprintf("%s: %s: %.80s", e.Phase, e.Task, lines[len(lines)-1]))
	}
}

// line prints "HH:MM:SS vm  text".
func (p *Plain) line(e engine.Event, text string) {
	clock := e.Time.Local().Format(time.TimeOnly)
	p.shown[e.VM] = e.Time
	if e.VM == "" {
		p.p.printf("%s %s\n", clock, text)
		return
	}
	p.p.printf("%s %-22s %s\n", clock, e.VM, text)
}

// Close does nothing: the writer is the caller's.
func (p *Plain) Close() error { return nil }

func elapsed(e engine.Event) string {
	return Elapsed(time.Duration(e.ElapsedMS) * time.Millisecond)
}

// verdict is a status in the words of a report.
func verdict(s engine.Status) string {
	switch s {
	case engine.OK:
		return "passed"
	case engine.NoVerdict:
		return "no verdict"
	case engine.Interrupted:
		return "interrupted"
	case engine.Skipped:
		return "not started"
	case "":
		return "not finished"
	}
	return string(s)
}

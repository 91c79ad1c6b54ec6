package report

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"farm/engine"
	"farm/inventory/value"
)

// Play prints a line for each task of a playbook on each host when it is over.
type Play struct{ *Plain }

// NewPlay returns a sink that prints to w. With verbose 1 tasks that begin or are skipped
// are shown too, with 2 their output as it comes.
func NewPlay(w io.Writer, verbose int) Play { return Play{NewPlain(w, verbose)} }

// Event prints e's line, if it has one.
func (p Play) Event(e engine.Event, s *engine.State) error {
	switch e.Kind {
	case engine.PhaseStarted:
		p.line(e, fmt.Sprintf("play %s: %s", e.Phase, e.Text))
	case engine.TaskStarted:
		if p.verbose {
			p.line(e, e.Task+withItem(e)+" ...")
		}
		p.shown[e.VM] = e.Time // output counts as a sign of life only after a while
	case engine.TaskEnded:
		p.task(e)
	case engine.PhaseEnded, engine.VMEnded: // the recap tells
	default:
		return p.Plain.Event(e, s)
	}
	return p.p.err
}

func withItem(e engine.Event) string {
	if e.Item == "" {
		return ""
	}
	return fmt.Sprintf(" (item %s)", firstLine(e.Item))
}

func (p Play) task(e engine.Event) {
	name := e.Task + withItem(e)
	switch {
	case e.Status == engine.Skipped && !p.verbose:
		return
	case e.Status == engine.Failed || e.Status == engine.Unreachable:
		p.line(e, fmt.Sprintf("%s: %s after %s (%s)", name, e.Status, elapsed(e), e.File))
		if p.verbose && e.Status == engine.Failed {
			p.p.printf("%s\n", indent("    ", taskDetail(&e)))
		}
	case e.Status == engine.Ignored:
		p.line(e, fmt.Sprintf("%s: failed, ignored: %s", name, firstLine(e.Text)))
	case e.Module == "debug" && e.Status == engine.OK:
		p.line(e, fmt.Sprintf("%s: %s", name, strings.ReplaceAll(said(e), "\n", "\n    ")))
	default:
		p.line(e, fmt.Sprintf("%s: %s in %s", name, e.Status, elapsed(e)))
	}
	if e.Diff != "" {
		p.p.printf("%s\n", indent("    ", e.Diff))
	}
}

// said is what debug prints: its message, or the variable that it shows.
func said(e engine.Event) string {
	d, ok := e.Result.(*value.Dict)
	if e.Text != "" || !ok {
		return e.Text
	}
	for k, v := range d.All() {
		if k == "changed" || k == "failed" || k == "msg" {
			continue
		}
		text, err := json.Marshal(v)
		if err != nil {
			continue
		}
		return fmt.Sprintf("%s = %s", value.Text(k), text)
	}
	return ""
}

// Tally counts how the tasks of one host ended; a loop is one task.
type Tally struct {
	OK          int `json:"ok"` // changed ones too
	Changed     int `json:"changed"`
	Skipped     int `json:"skipped"`
	Failed      int `json:"failed"`
	Unreachable int `json:"unreachable"`
	Rescued     int `json:"rescued"`
	Ignored     int `json:"ignored"`
}

// PlayedTask is a task that ended, in PlayedHost.
type PlayedTask struct {
	Play      string        `json:"play"`
	Name      string        `json:"name"` // or its module
	Module    string        `json:"module"`
	File      string        `json:"file"` // "file:line:col"
	Status    engine.Status `json:"status"`
	Changed   bool          `json:"changed"`
	ElapsedMS int64         `json:"elapsed_ms"`
	Within    string        `json:"within,omitempty"` // the task that it is a part of
	Result    any           `json:"result"`           // as registered, secrets masked, long texts cut
	Diff      string        `json:"diff,omitempty"`
}

// PlayedHost is what a playbook did on one host.
type PlayedHost struct {
	Status engine.Status `json:"status"` // ok, failed, unreachable, no_verdict or cancelled
	Error  string        `json:"error,omitempty"`
	Tally
	Tests *engine.TestCount `json:"tests,omitempty"` // of the reports that its tasks have read; nil = none
	Files []string          `json:"files,omitempty"` // folders of the controller with what its tasks have kept
	Tasks []PlayedTask      `json:"tasks,omitempty"`
}

// Recap is a sink that collects what happened on each host, for the end of a playbook.
type Recap struct {
	Hosts map[string]*PlayedHost
	Stats Stats
	order []string // as the plays had them
	keep  bool
}

// NewRecap returns a Recap; keep says whether it holds every task's result.
func NewRecap(keep bool) *Recap { return &Recap{Hosts: map[string]*PlayedHost{}, keep: keep} }

// Event counts e.
func (r *Recap) Event(e engine.Event, s *engine.State) error {
	if e.VM == "" || e.Kind != engine.TaskEnded && e.Kind != engine.VMEnded {
		return nil
	}
	h := r.Hosts[e.VM]
	if h == nil {
		h = &PlayedHost{Status: engine.OK}
		r.Hosts[e.VM] = h
	}
	if e.Kind == engine.VMEnded {
		h.Status, h.Error = e.Status, e.Text
		h.gathered(s.VMs[e.VM])
		r.order = append(r.order, e.VM)
		if h.Failed > 0 && (e.Status == engine.OK || e.Status == engine.Unreachable) {
			h.Failed, h.Rescued = 0, h.Failed
		} else if h.Failed > 1 {
			h.Failed, h.Rescued = 1, h.Failed-1
		}
		return nil
	}
	r.Stats.add(e)
	if e.Item != "" || e.Module == "meta" {
		return nil // the whole loop is told of too; meta is no task of the host's
	}
	if e.Within == "" {
		h.count(e)
	}
	if r.keep {
		h.Tasks = append(h.Tasks, PlayedTask{
			Play: e.Phase, Name: e.Task, Module: e.Module, File: e.File, Status: e.Status,
			Changed: e.Status == engine.Changed, ElapsedMS: e.ElapsedMS, Within: e.Within, Result: e.Result, Diff: e.Diff,
		})
	}
	return nil
}

// gathered takes over what the host's tasks have read and kept.
func (h *PlayedHost) gathered(vm *engine.VMState) {
	h.Files = vm.Kept
	if len(vm.Reports) > 0 {
		n := vm.Tests()
		h.Tests = &n
	}
}

func (t *Tally) count(e engine.Event) {
	switch e.Status {
	case engine.Changed:
		t.OK++
		t.Changed++
	case engine.OK:
		t.OK++
	case engine.Skipped:
		t.Skipped++
	case engine.Failed:
		t.Failed++
	case engine.Unreachable:
		t.Unreachable++
	case engine.Ignored:
		t.OK++
		t.Ignored++
		if d, ok := e.Result.(*value.Dict); ok {
			if changed, _ := d.Get("changed"); changed == true {
				t.Changed++
			}
		}
	}
}

// Close does nothing.
func (r *Recap) Close() error { return nil }

// Write prints a row for each host that took part, then for each that failed what failed, where more
// is told and how to repeat it, then the figures of set_stats. log is a file; again a command with %s for the host.
func (r *Recap) Write(w io.Writer, s *engine.State, log, again string) error {
	p := &printer{w: w}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "HOST\tRESULT\tOK\tCHANGED\tSKIPPED\tFAILED\tUNREACHABLE\tRESCUED\tIGNORED\tTIME")
	for _, name := range r.order {
		h, vm := r.Hosts[name], s.VMs[name]
		fmt.Fprintf(tw, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\n", name, verdict(h.Status), h.OK, h.Changed, h.Skipped,
			h.Failed, h.Unreachable, h.Rescued, h.Ignored, Elapsed(vm.Ended.Sub(vm.Started)))
	}
	if p.err = tw.Flush(); p.err != nil {
		return p.err
	}
	for _, name := range r.order {
		gathered(p, s.VMs[name])
	}
	for _, name := range r.order {
		if r.Hosts[name].Status != engine.OK {
			r.failure(p, s.VMs[name], log, again)
		}
	}
	return r.Stats.write(p, r.order)
}

func (r *Recap) failure(p *printer, vm *engine.VMState, log, again string) {
	h := r.Hosts[vm.ID]
	p.printf("\n%s: %s\n", vm.ID, verdict(h.Status))
	if last := vm.Failed; last != nil && strings.Contains(h.Error, last.Text) {
		p.printf("  task   %s (%s)\n%s\n", last.Task, last.File, indent("  ", taskDetail(last)))
	} else {
		p.printf("%s\n", indent("  ", h.Error))
	}
	if log != "" {
		p.printf("  log    %s\n", log)
	}
	p.printf("  again  "+again+"\n", vm.ID)
}

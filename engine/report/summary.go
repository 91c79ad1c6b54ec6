package report

import (
	"fmt"
	"io"
	"path/filepath"
	"sort"
	"strings"
	"text/tabwriter"
	"time"

	"farm/engine"
)

// Summary is the table at the end of a run.
type Summary struct {
	State  *engine.State
	Dir    string                        // the run's folder
	Again  string                        // command that repeats the run for one VM, with %s for its id
	Retry  func(vm, phase string) string // how a VM is taken up at a phase that failed; nil = not said
	Kept   map[string]time.Time          // VMs left running, until when
	Folder func(vm string) string        // a VM's folder in Dir
}

// Write prints a row for every VM with the time of each phase, how its own tests ended and where the files
// are that its tasks kept, then for each VM that did not pass what failed, how to see more, how to get in, how to
// repeat it and how to take it up where it failed.
func (s Summary) Write(w io.Writer) error {
	p := &printer{w: w}
	s.table(p)
	for _, id := range s.State.Order {
		gathered(p, s.State.VMs[id])
	}
	for _, id := range s.State.Order {
		if vm := s.State.VMs[id]; vm.Status != engine.OK {
			s.failure(p, vm)
		}
	}
	p.printf("\n%s; logs and events: %s\n", s.counts(), s.Dir)
	return p.err
}

func (s Summary) table(p *printer) {
	if p.err != nil {
		return
	}
	phases := s.phases()
	tw := tabwriter.NewWriter(p.w, 0, 0, 2, ' ', 0)
	head := append([]string{"VM", "HOST", "RESULT"}, phases...)
	fmt.Fprintln(tw, strings.Join(append(head, "total"), "\t"))
	for _, id := range s.State.Order {
		vm := s.State.VMs[id]
		row := []string{id, dash(vm.Host), verdict(vm.Status)}
		for _, name := range phases {
			row = append(row, cell(vm, name))
		}
		row = append(row, Elapsed(vm.Ended.Sub(vm.Started)))
		fmt.Fprintln(tw, strings.Join(row, "\t"))
	}
	p.err = tw.Flush()
}

// phases lists the phases that any VM ran, in the order of the longest plan.
func (s Summary) phases() []string {
	rank := map[string]int{}
	for _, vm := range s.State.VMs {
		for i, ph := range vm.Phases {
			if ph.Status != engine.Skipped {
				rank[ph.Name] = max(rank[ph.Name], i)
			}
		}
	}
	var names []string
	for name := range rank {
		names = append(names, name)
	}
	sort.Slice(names, func(i, j int) bool {
		if rank[names[i]] != rank[names[j]] {
			return rank[names[i]] < rank[names[j]]
		}
		return names[i] < names[j]
	})
	return names
}

func cell(vm *engine.VMState, phase string) string {
	for _, ph := range vm.Phases {
		switch {
		case ph.Name != phase || ph.Status == engine.Skipped:
		case ph.Status == engine.OK:
			return Elapsed(ph.Elapsed)
		default:
			return Elapsed(ph.Elapsed) + "!"
		}
	}
	return "-"
}

// gathered tells what a VM's or host's tasks have read and kept, if anything.
func gathered(p *printer, vm *engine.VMState) {
	if len(vm.Reports)+len(vm.Kept) == 0 {
		return
	}
	p.printf("\n%s\n", vm.ID)
	if len(vm.Reports) > 0 {
		p.printf("  tests  %s\n", vm.Tests())
	}
	for _, dir := range vm.Kept {
		p.printf("  files  %s\n", dir)
	}
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// outputLines bounds what is shown of a failed task's output.
const outputLines = 20

func (s Summary) failure(p *printer, vm *engine.VMState) {
	p.printf("\n%s: %s", vm.ID, verdict(vm.Status))
	bad := failedPhases(vm)
	if len(bad) > 0 {
		p.printf(" in %s", bad[0].Name)
	}
	p.printf("\n")
	if vm.Failed != nil {
		p.printf("  task   %s (%s)\n", vm.Failed.Task, vm.Failed.File)
		p.printf("%s\n", indent("  ", taskDetail(vm.Failed)))
	} else if vm.Why != "" {
		p.printf("%s\n", indent("  ", vm.Why))
	}
	for _, ph := range bad[min(1, len(bad)):] {
		why, _, _ := strings.Cut(ph.Text, "\n")
		p.printf("  also   %s: %s\n", ph.Name, why)
	}
	if vm.Host != "" {
		p.printf("  logs   farm logs %s    (%s)\n", vm.ID, filepath.Join(s.Dir, s.Folder(vm.ID)))
	}
	if until, ok := s.Kept[vm.ID]; ok {
		p.printf("  enter  farm ssh %s     (kept until %s; farm down %s ends it)\n", vm.ID, until.Local().Format("15:04"), vm.ID)
	} else if vm.Fault == engine.TestFault {
		p.printf("  enter  add --keep on-failure, then: farm ssh %s\n", vm.ID)
	}
	p.printf("  again  "+s.Again+"\n", "'"+vm.ID+"'")
	if s.Retry != nil && len(bad) > 0 {
		p.printf("  retry  %s\n", s.Retry(vm.ID, bad[0].Name))
	}
}

// failedPhases are the phase that decided about the VM and those that failed after it.
func failedPhases(vm *engine.VMState) []engine.PhaseState {
	var bad []engine.PhaseState
	for _, ph := range vm.Phases {
		switch ph.Status {
		case engine.OK, engine.Skipped, engine.Ignored:
		default:
			bad = append(bad, ph)
		}
	}
	return bad
}

// taskDetail is the failed task's command, status and last lines of output.
func taskDetail(e *engine.Event) string {
	lines := []string{}
	if e.Text != "" {
		lines = append(lines, tail(e.Text, outputLines)...)
	}
	if r, ok := e.Result.(interface{ Get(any) (any, bool) }); ok {
		if cmd, ok := r.Get("cmd"); ok {
			lines = append(lines, fmt.Sprintf("command: %s", commandText(cmd)))
		}
		for _, stream := range []string{"stdout", "stderr"} {
			if text, _ := r.Get(stream); text != nil && text != "" {
				lines = append(lines, stream+":")
				for _, l := range tail(fmt.Sprint(text), outputLines) {
					lines = append(lines, "  | "+l)
				}
			}
		}
	}
	return strings.Join(lines, "\n")
}

func commandText(cmd any) string {
	if list, ok := cmd.([]any); ok {
		parts := make([]string, len(list))
		for i, part := range list {
			parts[i] = fmt.Sprint(part)
		}
		return strings.Join(parts, " ")
	}
	return fmt.Sprint(cmd)
}

func tail(text string, n int) []string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if len(lines) > n {
		lines = append([]string{fmt.Sprintf("... %d lines before", len(lines)-n)}, lines[len(lines)-n:]...)
	}
	return lines
}

// counts is the last line: "3 passed, 1 failed, 0 without a verdict".
func (s Summary) counts() string {
	n := map[engine.Status]int{}
	for _, vm := range s.State.VMs {
		n[vm.Status]++
	}
	text := fmt.Sprintf("%d passed, %d failed, %d without a verdict", n[engine.OK], n[engine.Failed], n[engine.NoVerdict])
	for _, status := range []engine.Status{engine.Interrupted, engine.Skipped} {
		if c := n[status]; c > 0 {
			text += fmt.Sprintf(", %d %s", c, verdict(status))
		}
	}
	return text
}

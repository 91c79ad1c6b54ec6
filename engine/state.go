package engine

import (
	"slices"
	"time"
)

// State is a run as its events tell it. The zero value is a run not yet started.
type State struct {
	Run     string
	Started time.Time
	Ended   time.Time
	Status  Status
	VMs     map[string]*VMState // by VM id
	Order   []string            // VM ids in the order they were first seen
	Last    int64               // Seq of the last event applied
}

// VMState is one VM in a State.
type VMState struct {
	ID, Host string
	Status   Status // "" while it goes on
	Fault    Fault
	Why      string // first line of the reason, if it did not pass
	Phase    string // the one under way
	Task     string
	Phases   []PhaseState
	Started  time.Time
	Ended    time.Time
	Failed   *Event       // the task that failed, if one did
	Kept     []string     // folders of the controller with files that tasks kept, as they came
	Reports  []TestReport // of tests that ran in it, as they came
}

// PhaseState is one phase of a VM, in the order they ran.
type PhaseState struct {
	Name    string
	Status  Status
	Text    string
	Elapsed time.Duration
}

// Apply folds e into s. Events must come in order of Seq; one that was applied before is ignored.
func (s *State) Apply(e Event) {
	if e.Seq <= s.Last && e.Seq != 0 {
		return
	}
	s.Last = e.Seq
	switch e.Kind {
	case RunStarted:
		s.Run, s.Started = e.Run, e.Time
	case RunEnded:
		s.Ended, s.Status = e.Time, e.Status
	}
	if e.VM != "" {
		s.vm(e.VM).apply(e)
	}
}

func (s *State) vm(id string) *VMState {
	if s.VMs == nil {
		s.VMs = map[string]*VMState{}
	}
	v := s.VMs[id]
	if v == nil {
		v = &VMState{ID: id}
		s.VMs[id] = v
		s.Order = append(s.Order, id)
	}
	return v
}

func (v *VMState) apply(e Event) {
	if v.Started.IsZero() {
		v.Started = e.Time
	}
	if e.Host != "" {
		v.Host = e.Host
	}
	switch e.Kind {
	case PhaseStarted:
		v.Phase, v.Task = e.Phase, ""
	case PhaseEnded:
		v.Phases = append(v.Phases, PhaseState{e.Phase, e.Status, e.Text, time.Duration(e.ElapsedMS) * time.Millisecond})
		v.Phase, v.Task = "", ""
	case TaskStarted:
		v.Task = e.Task
	case TaskEnded:
		if (e.Status == Failed || e.Status == Unreachable) && v.Failed == nil {
			v.Failed = &e
		}
	case FilesKept:
		if !slices.Contains(v.Kept, e.Path) {
			v.Kept = append(v.Kept, e.Path)
		}
	case TestsRead:
		v.report(TestReport{e.Path, e.Tests})
	case VMEnded:
		v.Status, v.Fault, v.Why, v.Ended = e.Status, e.Fault, e.Text, e.Time
	}
}

// report takes a report in; a task that was repeated reads the same one again.
func (v *VMState) report(r TestReport) {
	for i := range v.Reports {
		if v.Reports[i].Path == r.Path {
			v.Reports[i] = r
			return
		}
	}
	v.Reports = append(v.Reports, r)
}

// Tests counts the tests of all reports.
func (v *VMState) Tests() (n TestCount) {
	for _, r := range v.Reports {
		n = n.Plus(CountTests(r.Tests))
	}
	return n
}

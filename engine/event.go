package engine

import "time"

// EventVersion is the version of the event format; fields are only ever added.
const EventVersion = 1

// Kind is what an event tells.
type Kind string

// The kinds of events.
const (
	RunStarted   Kind = "run_started"
	RunEnded     Kind = "run_ended"
	VMPlaced     Kind = "vm_placed" // Text: why there
	VMEnded      Kind = "vm_ended"  // Status, Fault, Text: first line of the reason
	PhaseStarted Kind = "phase_started"
	PhaseEnded   Kind = "phase_ended"
	TaskStarted  Kind = "task_started"
	TaskEnded    Kind = "task_ended" // Result
	Progress     Kind = "progress"   // Text, on a long step: "fetched 40 of 157 MiB"
	TaskOutput   Kind = "output"     // Text: a chunk of a task's output, masked and bounded
	Warning      Kind = "warning"
	FilesKept    Kind = "files_kept"   // Path: their folder; Text: how many
	TestsRead    Kind = "test_results" // Tests; Path: the report; Text: their counts
)

// Status is how a task, phase, VM or run ended.
type Status string

// The statuses. NoVerdict is a run or VM that farm, not the test, stopped.
const (
	OK          Status = "ok"
	Changed     Status = "changed"
	Skipped     Status = "skipped"
	Failed      Status = "failed"
	Ignored     Status = "ignored" // failed, but ignore_errors; of a phase: the run goes on without the layer
	Rescued     Status = "rescued"
	Unreachable Status = "unreachable"
	NoVerdict   Status = "no_verdict"
	Interrupted Status = "cancelled"
)

// Event is one thing that happened in a run; as JSON, one line of `--ndjson`.
type Event struct {
	V         int       `json:"v"`   // EventVersion
	Seq       int64     `json:"seq"` // from 1, in order, without gaps in one run
	Time      time.Time `json:"time"`
	Kind      Kind      `json:"kind"`
	Run       string    `json:"run"`
	VM        string    `json:"vm,omitempty"` // VM's id
	Host      string    `json:"host,omitempty"`
	Phase     string    `json:"phase,omitempty"`
	Task      string    `json:"task,omitempty"` // its name, or its module
	Status    Status    `json:"status,omitempty"`
	Fault     Fault     `json:"fault,omitempty"`
	Text      string    `json:"text,omitempty"`
	ElapsedMS int64     `json:"elapsed_ms,omitempty"`
	File      string    `json:"file,omitempty"` // "file:line:col" of the task
	Module    string    `json:"module,omitempty"`
	Item      string    `json:"item,omitempty"`   // label of a loop's item
	Within    string    `json:"within,omitempty"` // name of the task that this one is a part of, as a playbook's is of ansible
	Result    any       `json:"result,omitempty"` // a task's result as registered, secrets masked
	Path      string    `json:"path,omitempty"`   // of a file or folder on the controller
	Tests     []Test    `json:"tests,omitempty"`  // of one report; it takes the place of an earlier one with the same Path
	Diff      string    `json:"diff,omitempty"`   // what a task changed, as a unified diff, if asked for
}

// Emit takes an event; the receiver fills V, Seq, Time, Run and what it knows of VM,
// Host and Phase. Safe for concurrent use.
type Emit func(Event)

// Sink shows or keeps events; s is the state with e already applied. Called from one
// goroutine at a time, in order of Seq.
type Sink interface {
	Event(e Event, s *State) error
	Close() error
}

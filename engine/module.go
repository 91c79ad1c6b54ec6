package engine

import (
	"context"
	"io/fs"

	"farm/inventory/source"
	"farm/inventory/value"
)

// Module is one kind of task; its exported fields are the arguments, filled
// strictly from YAML by value.Decode. A fresh one is made for every call. With t.Check set
// Run only says what it would change.
//
// A task that fails returns Result.Failed with Msg, not an error; an error means that
// the guest is unreachable (ErrUnreachable), ctx has ended, or farm itself failed.
type Module interface {
	Run(ctx context.Context, t *Task) (Result, error)
}

// Validator is a module that checks its arguments beyond their types, without a guest.
type Validator interface {
	Validate() error
}

// Refusal is an error of Validate that says what is registered beside its message.
type Refusal struct {
	error
	Values *value.Dict
}

// Refuse makes a Refusal of err.
func Refuse(err error, values *value.Dict) Refusal { return Refusal{err, values} }

// FreeForm is a module that takes text in place of a mapping, as `shell: make` does.
type FreeForm interface {
	// SetFreeForm gets the text without the key=value arguments that the module knows.
	SetFreeForm(text string)
}

// Task is what a module works with.
type Task struct {
	Name  string
	Pos   source.Pos
	Conn  Conn // of the host the task acts on (delegate_to applied)
	Local Conn // the controller; nil where nothing may run there
	// Become and Env apply to every command of the task; Run and Sh add them.
	Become *Become
	Env    map[string]string
	// BecomePassword is what becoming another user takes on the host, whether or not this task
	// does; "" = nothing that is known. May be nil.
	BecomePassword func() (string, error)
	Check          bool // say what would change, change nothing
	Diff           bool
	Vars           Vars
	Files          Finder
	Emit           Emit
	Mask           Mask // takes secrets out of what is shown; nil = there are none
	// Dir is the project's folder on the controller: where relative paths of files that are
	// written there start; "" = the current one.
	Dir string
	// Artifacts is the folder on the controller in which the run keeps files of the host; it need
	// not be there yet; "" = the run keeps none.
	Artifacts string
	// Host is the inventory name of the host the task acts on.
	Host string
	// AsyncDir is the folder in which the host keeps the results of tasks in the background; a
	// leading ~ is the user's home.
	AsyncDir string
	// Reconnect gives a new connection to the same machine after the old one was lost, as
	// by a reboot; nil = there is none. A module that uses it sets Conn; the tasks that follow get it.
	Reconnect func(ctx context.Context) (Conn, error)
	// State is what the tasks on one Conn share in one run, such as "apt cache is fresh".
	State map[string]any
}

// Exec runs cmd as the task says: its user and its environment added.
func (t *Task) Exec(ctx context.Context, cmd Cmd) (Output, error) {
	if cmd.Become == nil {
		cmd.Become = t.Become
	}
	if len(t.Env) > 0 {
		env := make(map[string]string, len(t.Env)+len(cmd.Env))
		for k, v := range t.Env {
			env[k] = v
		}
		for k, v := range cmd.Env {
			env[k] = v
		}
		cmd.Env = env
	}
	return t.Conn.Exec(ctx, cmd)
}

// Result is what a task did; registered under Ansible's names.
type Result struct {
	Changed bool
	Failed  bool
	Skipped bool
	Msg     string
	Values  *value.Dict // further keys of the registered value (stdout, rc, stat, ...)
	Facts   *value.Dict // variables that the task sets on its host (ansible_facts)
	// Diff is what changed, as Ansible registers it: a mapping of before and after, each text or a
	// mapping, with before_header and after_header; or a list of those; nil = not asked for or not known.
	Diff    any
	AddHost *NewHost // a host to add to the inventory in memory
}

// NewHost is a host or group membership that a task adds.
type NewHost struct {
	Name   string
	Groups []string
	Vars   *value.Dict
}

// Vars are the variables that one host's tasks see, evaluated on reading.
type Vars interface {
	// Names lists the variables, sorted.
	Names() []string
	// Get evaluates a variable; ok is false where there is none.
	Get(name string) (v any, ok bool, err error)
	// Eval evaluates every template in v, at any depth.
	Eval(v any) (any, error)
	// Condition is whether a bare expression, that of a `when` item, holds; pos is where it stands.
	Condition(text string, pos source.Pos) (bool, error)
	// EvalFile evaluates the text of a file as a Jinja2 template, with the variables more over
	// these; name is for messages and for its includes.
	EvalFile(name, text string, more *value.Dict, how value.Syntax) (string, error)
}

// Finder finds the files that tasks name, on the controller.
type Finder interface {
	// Find returns the path of name: absolute, or looked up in the folders kind
	// ("files", "templates", "vars", "tasks") of the role, beside the task file and in the
	// project. The error lists the places searched.
	Find(kind, name string) (path string, err error)
	// FS reads what Find found.
	ReadFile(path string) ([]byte, error)
	Open(path string) (fs.File, error)
}

// ModuleDef is one entry of the list of modules.
type ModuleDef struct {
	Name    string   // short: "copy"
	Aliases []string // other full names: "community.general.pacman"; ansible.builtin.NAME is implied
	// File is the program of a user's own module, on the controller: what it brings about depends on it; "" = built in.
	File string
	New  func() Module
}

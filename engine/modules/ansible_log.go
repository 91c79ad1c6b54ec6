package modules

import (
	"encoding/json"
	"fmt"
	"strings"

	"farm/engine"
	"farm/inventory/value"
)

// maxAnsibleResults bounds the results of all tasks that are registered, in bytes of JSON; further ones
// are told as events alone.
const maxAnsibleResults = 16 << 20

// ansibleEvent is a line of the plugin's.
type ansibleEvent struct {
	Kind        string          `json:"kind"` // play, no_hosts, task, result, stats, missing
	ID          string          `json:"id"`
	Name        string          `json:"name"`
	Action      string          `json:"action"`
	File        string          `json:"file"` // "path:line:col"
	Host        string          `json:"host"`
	Status      engine.Status   `json:"status"`
	MS          int64           `json:"ms"`
	Result      json.RawMessage `json:"result"`
	Hosts       json.RawMessage `json:"hosts"`
	Collections []string        `json:"collections"`
}

// ansibleLog folds the events of a playbook into a result, and passes them on.
type ansibleLog struct {
	task    *engine.Task
	play    string
	tasks   []any
	kept    int
	stats   *value.Dict
	changed bool
	missing []string // collections
	failure string   // the task that failed last
	over    string   // why ansible-playbook was ended
	lost    string   // why the host could not be reached
	hint    string
}

func newAnsibleLog(t *engine.Task) *ansibleLog {
	return &ansibleLog{task: t, tasks: []any{}, stats: value.NewDict()}
}

// line takes an event; an error is one that is none.
func (l *ansibleLog) line(text []byte) error {
	var e ansibleEvent
	if err := json.Unmarshal(text, &e); err != nil {
		return fmt.Errorf("%.80q: %w", text, err)
	}
	switch e.Kind {
	case "play":
		l.play = e.Name
	case "no_hosts":
		warn(l.task, "no host of play %q is %s", l.play, l.task.Host)
	case "missing":
		l.missing = e.Collections
	case "task":
		l.tell(engine.Event{Kind: engine.TaskStarted, Task: e.Name, Module: shortAction(e.Action), File: e.File})
	case "result":
		return l.ended(e)
	case "stats":
		stats, err := dictOf(e.Hosts)
		l.stats = stats
		return err
	}
	return nil
}

func (l *ansibleLog) ended(e ansibleEvent) error {
	res, err := dictOf(e.Result)
	if err != nil {
		return err
	}
	switch e.Status {
	case engine.OK, engine.Changed, engine.Skipped, engine.Failed, engine.Ignored, engine.Unreachable:
	default:
		return fmt.Errorf("there is no status %.40q", e.Status)
	}
	l.changed = l.changed || e.Status == engine.Changed
	text := failureText(res)
	name := e.Name
	if e.Host != l.task.Host {
		name += " (on " + e.Host + ")"
	}
	event := engine.Event{Kind: engine.TaskEnded, Task: name, Module: shortAction(e.Action), File: e.File, Status: e.Status, ElapsedMS: e.MS, Result: res, Text: text}
	switch e.Status {
	case engine.Failed:
		event.Fault = engine.TestFault
		l.failure = fmt.Sprintf("task %q (%s): %s", name, e.File, text)
		l.hint = pythonHint(res)
	case engine.Unreachable:
		event.Fault = engine.FarmFault
		l.failure = fmt.Sprintf("task %q (%s): %s", name, e.File, text)
		if e.Host == l.task.Host {
			l.lost = l.failure
		}
	}
	one := value.NewDict("play", l.play, "name", e.Name, "action", e.Action, "file", e.File, "host", e.Host, "status", string(e.Status))
	if l.kept += len(e.Result); l.kept <= maxAnsibleResults {
		one.Set("result", res)
	}
	l.tasks = append(l.tasks, one)
	l.tell(event)
	return nil
}

func (l *ansibleLog) tell(e engine.Event) {
	if l.task.Emit != nil {
		l.task.Emit(e)
	}
}

func dictOf(text json.RawMessage) (*value.Dict, error) {
	v, err := value.FromJSON(text)
	if err != nil {
		return nil, err
	}
	d, ok := v.(*value.Dict)
	if !ok {
		return nil, fmt.Errorf("%s where a mapping belongs", value.Kind(v))
	}
	return d, nil
}

// shortAction is a module's name as farm's own have it.
func shortAction(name string) string {
	for _, prefix := range []string{"ansible.builtin.", "ansible.legacy."} {
		name = strings.TrimPrefix(name, prefix)
	}
	return name
}

// failureText is what a result says, with that of the first failed item of a loop.
func failureText(res *value.Dict) string {
	msg, _ := res.Get("msg")
	text := value.Text(msg)
	list, _ := res.Get("results")
	items, _ := list.([]any)
	for _, one := range items {
		d, ok := one.(*value.Dict)
		if !ok {
			continue
		}
		bad, _ := d.Get("failed")
		why, _ := d.Get("msg")
		if bad == true && value.Text(why) != "" && value.Text(why) != text {
			return strings.TrimSpace(text + ": " + value.Text(why))
		}
	}
	return text
}

// pythonHint says what helps where Ansible's modules could not be run for want of Python. That is known
// by what the shell and Ansible say alone.
func pythonHint(res *value.Dict) string {
	var all strings.Builder
	for _, key := range []string{"msg", "module_stdout", "module_stderr"} {
		v, _ := res.Get(key)
		all.WriteString(value.Text(v) + "\n")
	}
	text := strings.ToLower(all.String())
	rc, _ := res.Get("rc")
	gone := rc == int64(127) && strings.Contains(text, "python") && strings.Contains(text, "not found")
	if gone || strings.Contains(text, "no python interpreters found") || strings.Contains(text, "no such file or directory: 'python") {
		return "Ansible's modules need Python on the host, and there is none: install it in a task before, such as `package: {name: python3}`, or with raw"
	}
	return ""
}

// result is the outcome of the step.
func (l *ansibleLog) result(m *Ansible, end ansibleEnd) (engine.Result, error) {
	l.warnings(end.stderr)
	values := value.NewDict("stats", l.stats, "tasks", l.tasks, "rc", int64(end.status))
	res := engine.Result{Changed: l.changed, Values: values}
	if len(l.missing) > 0 {
		res.Failed = true
		res.Msg = fmt.Sprintf("collections that are not installed on the controller: %s (ansible-galaxy collection install %s)",
			strings.Join(l.missing, ", "), strings.Join(l.missing, " "))
		return res, nil
	}
	if l.lost != "" && l.over == "" && end.status != 0 {
		return engine.Result{}, fmt.Errorf("ansible: %w: %s", engine.ErrUnreachable, l.lost)
	}
	switch {
	case l.over != "":
		res.Failed, res.Msg = true, l.over
	case end.status == 0 && l.stats.Len() == 0:
		res.Failed = true
		res.Msg = fmt.Sprintf("no play is for %s: `hosts: all` is for every host, else a play has to name it or a group that it is in", l.task.Host)
	case end.status == 0: // what failed was rescued or ignored
	case l.failure != "":
		res.Failed, res.Msg = true, l.failure
	default:
		res.Failed = true
		res.Msg = fmt.Sprintf("ansible-playbook ended with status %d: %s", end.status, complaint(end))
	}
	if res.Failed && l.over == "" && l.hint != "" {
		res.Msg += "\n" + l.hint
	}
	return res, nil
}

// complaint is what ansible-playbook said last, warnings left out.
func complaint(end ansibleEnd) string {
	text := end.stderr
	for _, mark := range []string{"ERROR!", "[ERROR]:"} {
		if i := strings.Index(text, mark); i >= 0 {
			text = strings.TrimSpace(text[i+len(mark):])
		}
	}
	if text == "" {
		text = end.stdout
	}
	if text == "" {
		return "it says nothing"
	}
	return text
}

// warnings passes on what Ansible warns of. It breaks long lines.
func (l *ansibleLog) warnings(stderr string) {
	const most = 20
	told := 0
	for _, para := range strings.Split(strings.ReplaceAll(stderr, "\n[", "\n\n["), "\n\n") {
		text, ok := strings.CutPrefix(strings.TrimSpace(para), "[WARNING]:")
		if ok && told < most {
			told++
			warn(l.task, "Ansible: %s", strings.Join(strings.Fields(text), " "))
		}
	}
}

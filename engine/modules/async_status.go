package modules

import (
	"context"
	"fmt"
	"strings"

	"farm/engine"
	"farm/inventory/value"
)

// AsyncStatus tells how a task in the background (async with poll: 0) is getting on.
type AsyncStatus struct {
	JID  string `yaml:"jid,required"` // its ansible_job_id
	Mode string `yaml:"mode"`         // status (the default), or cleanup: remove what is kept of it
}

func newAsyncStatus() engine.Module { return &AsyncStatus{Mode: "status"} }

// Validate checks the mode and the id, which is the name of a file.
func (m *AsyncStatus) Validate() error {
	if m.Mode != "status" && m.Mode != "cleanup" {
		return fmt.Errorf("mode %q is neither status nor cleanup", m.Mode)
	}
	if m.JID == "" || strings.ContainsAny(m.JID, "/\x00") || strings.HasPrefix(m.JID, ".") {
		return fmt.Errorf("jid %q is no id of a job", m.JID)
	}
	return nil
}

const asyncStatusScript = `case $dir in '~/'*) dir=$HOME/${dir#'~/'} ;; esac
say path "$dir/$jid"
[ -f "$dir/$jid" ] || exit 44
if [ "$mode" = cleanup ]; then rm -f -- "$dir/$jid"; else cat -- "$dir/$jid"; fi
`

// Run reads the job's file. It changes nothing by itself: changed is the job's.
func (m *AsyncStatus) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	if err := m.Validate(); err != nil {
		return failed("async_status: %v", err), nil
	}
	r, err := script{Text: asyncStatusScript, Vars: map[string]string{"dir": t.AsyncDir, "jid": m.JID, "mode": m.Mode}, Keep: maxSlurp}.run(ctx, t)
	if err != nil {
		return engine.Result{}, err
	}
	d := value.NewDict("ansible_job_id", m.JID, "started", int64(1), "finished", int64(1), "results_file", text(r.get("path")),
		"stdout", "", "stdout_lines", []any{}, "stderr", "", "stderr_lines", []any{})
	switch {
	case r.Status == 44 && m.Mode == "status":
		return engine.Result{Failed: true, Msg: "could not find job", Values: d}, nil
	case r.Status != 44 && !r.ok():
		return r.failure("read the state of the job"), nil
	case m.Mode == "cleanup":
		d.Set("started", int64(0))
		d.Set("finished", int64(0))
		d.Set("erased", text(r.get("path")))
		d.Delete("results_file")
		return engine.Result{Values: d}, nil
	}
	state, err := jobState(r.Stdout)
	if err != nil {
		return failed("the state of job %q is no JSON: %v", m.JID, err), nil
	}
	for k, v := range state.All() {
		d.Set(k, v)
	}
	is := func(key string) bool { v, _ := d.Get(key); return v == true }
	msg, _ := d.Get("msg")
	return engine.Result{Changed: is("changed"), Failed: is("failed"), Skipped: is("skipped"), Msg: value.Text(msg), Values: d}, nil
}

// jobState reads the file of a job.
func jobState(b []byte) (*value.Dict, error) {
	v, err := value.FromJSON(b)
	d, ok := v.(*value.Dict)
	if err == nil && !ok {
		err = fmt.Errorf("it is %s, not a mapping", value.Kind(v))
	}
	return d, err
}

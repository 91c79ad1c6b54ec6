package task

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"time"

	"farm/engine"
	"farm/inventory/value"
)

// defaultPoll is the keyword poll where it is not given, in seconds; only 0 has a meaning of its own.
const defaultPoll = 15

// jobs are the tasks of a host that run in the background (async with poll: 0).
type jobs struct {
	mu     sync.Mutex // guards cancel
	cancel []context.CancelFunc
	wait   sync.WaitGroup
}

// EndJobs ends the host's tasks that still run in the background and waits for their ends.
func (h *HostState) EndJobs() {
	h.jobs.mu.Lock()
	for _, cancel := range h.jobs.cancel {
		cancel()
	}
	h.jobs.cancel = nil
	h.jobs.mu.Unlock()
	h.jobs.wait.Wait()
}

// noAsync are the modules that act on the run itself: there is nothing to leave in the background.
var noAsync = map[string]bool{
	"add_host": true, "assert": true, "async_status": true, "debug": true, "fail": true, "group_by": true, "pause": true,
	"set_fact": true, "wait_for_connection": true,
}

// background decides on the keyword async: how many seconds the task may take, 0 = it is
// not set, and whether to wait for it.
func (c *call) background() (limit float64, wait bool, err error) {
	limit, err = c.number("async", 0)
	if err != nil || limit <= 0 {
		return 0, true, err
	}
	poll, err := c.number("poll", defaultPoll)
	if err == nil && noAsync[c.t.Module] {
		err = fmt.Errorf("%s cannot run in the background: take async off", c.t.Module)
	}
	return limit, poll > 0, err
}

// asyncDir is the folder of the guest for the results of tasks in the background.
func (c *call) asyncDir(env map[string]string) (string, error) {
	if v, ok, err := c.vars.Get("ansible_async_dir"); err != nil || ok && v != nil {
		return value.Text(v), err
	}
	if dir := env["ANSIBLE_ASYNC_DIR"]; dir != "" {
		return dir, nil
	}
	return "~/.ansible_async", nil
}

// jobScript writes its input to the file of a job, whole or not at all.
const jobScript = `umask 077
case $dir in '~/'*) dir=$HOME/${dir#'~/'} ;; esac
mkdir -p -- "$dir" && cat >"$dir/.$id" && mv -f -- "$dir/.$id" "$dir/$id" && printf %s "$dir/$id"`

// job is one task in the background. Its state is in a file of the guest, as Ansible keeps it, so that
// async_status finds it, in a later run too.
type job struct {
	id   string
	task *engine.Task
}

// write replaces the job's file, and returns its path.
func (j job) write(ctx context.Context, state *value.Dict) (string, error) {
	text, err := json.Marshal(state)
	if err != nil {
		return "", err
	}
	env := map[string]string{"dir": j.task.AsyncDir, "id": j.id}
	out, err := j.task.Exec(ctx, engine.Cmd{Script: jobScript, Env: env, Stdin: strings.NewReader(string(text))})
	if err != nil {
		return "", fmt.Errorf("write the state of job %s in %s: %w %s", j.id, j.task.AsyncDir, err, strings.TrimSpace(string(out.Stderr)))
	}
	return string(out.Stdout), nil
}

// newJobID makes an id of the form that Ansible's have: j, 12 digits, a dot and a number.
func newJobID() string {
	digits, err := rand.Int(rand.Reader, big.NewInt(1e12))
	number, err2 := rand.Int(rand.Reader, big.NewInt(1e5))
	if err != nil || err2 != nil { // it never fails on the systems that farm runs on
		return fmt.Sprintf("j%012d.0", time.Now().UnixNano()%1e12)
	}
	return fmt.Sprintf("j%012d.%d", digits, number)
}

// start leaves m running in the background, for at most limit seconds. It ends with the
// host's run at the latest.
func (c *call) start(ctx context.Context, m engine.Module, t *engine.Task, limit float64) (*value.Dict, error) {
	t.State, t.Reconnect = map[string]any{}, nil // the tasks that go on have theirs
	j := job{newJobID(), t}
	state := value.NewDict("started", int64(1), "finished", int64(0), "ansible_job_id", j.id)
	path, err := j.write(ctx, state)
	if err != nil {
		return c.failed(engine.TestFault, err)
	}
	run, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Duration(limit*float64(time.Second)))
	host := c.h
	host.jobs.mu.Lock()
	host.jobs.cancel = append(host.jobs.cancel, cancel)
	host.jobs.mu.Unlock()
	host.jobs.wait.Go(func() {
		defer cancel()
		res := jobResult(m, run, t, limit)
		res.Set("started", int64(1))
		res.Set("finished", int64(1))
		res.Set("ansible_job_id", j.id)
		last, done := context.WithTimeout(context.WithoutCancel(run), 30*time.Second)
		defer done()
		if _, err := j.write(last, res); err != nil {
			t.Emit(engine.Event{Kind: engine.Warning, Text: err.Error()})
		}
	})
	state.Set("results_file", path)
	res, err := c.judge(engine.Result{Changed: true, Values: state})
	if err == nil && !res.Has("failed_when_result") {
		res.Set("failed", int64(0)) // the number, as Ansible has it of a start
	}
	return res, err
}

// jobResult runs m and makes its result one that can be kept.
func jobResult(m engine.Module, ctx context.Context, t *engine.Task, limit float64) *value.Dict {
	out, err := m.Run(ctx, t)
	if err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("not done within %gs", limit)
		}
		return value.NewDict("changed", false, "failed", true, "msg", err.Error())
	}
	return resultOf(out)
}

// late is the result of a task that was waited for and took longer than async allows.
func (c *call) late(limit float64) (*value.Dict, error) {
	res, err := c.failed(engine.TestFault, fmt.Errorf("not done within %gs", limit))
	res.Set("async_result", value.NewDict("started", int64(1), "finished", int64(0)))
	return res, err
}

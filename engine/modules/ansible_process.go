package modules

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"farm/engine"
)

// ansibleEvents is the callback plugin that tells what the playbook does.
//
//go:embed ansible_events.py
var ansibleEvents string

const (
	ansibleGrace   = 5 * time.Second // for ansible-playbook to end by itself once it is told to
	maxAnsibleLine = 32 << 20        // bytes of one event; the plugin leaves out longer results
	maxAnsibleText = 64 << 10        // bytes of the end of each stream that are kept
)

// ansibleEnd is how ansible-playbook ended.
type ansibleEnd struct {
	status         int
	stdout, stderr string // their ends
}

// perform runs ansible-playbook and hears its events. When ctx ends so does all of its process group.
func (s *ansibleStep) perform(ctx context.Context, program string, args []string, log *ansibleLog) (ansibleEnd, error) {
	events, theirs, err := os.Pipe()
	if err != nil {
		return ansibleEnd{}, err
	}
	defer events.Close()
	var stdout, stderr tail
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env, cmd.ExtraFiles = s.task.Dir, s.environ(), []*os.File{theirs}
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	// A session of its own: there is no terminal to ask anybody for a password on.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error {
		if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM); !errors.Is(err, syscall.ESRCH) {
			return err
		}
		return os.ErrProcessDone
	}
	cmd.WaitDelay = ansibleGrace
	err = cmd.Start()
	theirs.Close()
	if err != nil {
		return ansibleEnd{}, err
	}
	heard := make(chan error, 1)
	go func() { heard <- hear(events, log) }()
	err = cmd.Wait()
	syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what it left behind
	events.SetReadDeadline(time.Now().Add(ansibleGrace))
	bad := <-heard
	end := ansibleEnd{stdout: stdout.text(), stderr: stderr.text(), status: cmd.ProcessState.ExitCode()}
	var exit *exec.ExitError
	if errors.As(err, &exit) || errors.Is(err, exec.ErrWaitDelay) {
		err = nil
	}
	if err == nil && bad != nil && !errors.Is(bad, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("the events of ansible-playbook: %w", bad)
	}
	return end, err
}

// hear takes the events until the stream ends. After a bad one the rest is dropped: ansible-playbook must
// not wait for a reader.
func hear(r io.Reader, log *ansibleLog) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxAnsibleLine)
	var bad error
	for bad == nil && lines.Scan() {
		bad = log.line(lines.Bytes())
	}
	if bad == nil {
		bad = lines.Err()
	}
	if _, err := io.Copy(io.Discard, r); bad == nil {
		bad = err
	}
	return bad
}

// environ is the environment of ansible-playbook: the controller's, that of the task, and what
// makes it tell its events and ask nothing.
func (s *ansibleStep) environ() []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "FARM_") { // they hold passwords
			env = append(env, v)
		}
	}
	env = append(env, "ANSIBLE_PIPELINING=True")
	for k, v := range s.task.Env {
		env = append(env, k+"="+v)
	}
	plugins := filepath.Join(s.dir, "callbacks")
	if more := os.Getenv("ANSIBLE_CALLBACK_PLUGINS"); more != "" {
		plugins += ":" + more
	}
	return append(env,
		"ANSIBLE_CALLBACK_PLUGINS="+plugins, "ANSIBLE_STDOUT_CALLBACK=farm_events", "FARM_ANSIBLE_EVENTS=3",
		"FARM_ANSIBLE_COLLECTIONS="+strings.Join(s.Collections, " "), "ANSIBLE_INVENTORY_ENABLED=yaml",
		"ANSIBLE_LOCAL_TEMP="+filepath.Join(s.dir, "tmp"), "ANSIBLE_RETRY_FILES_ENABLED=False", "ANSIBLE_HOST_KEY_CHECKING=True",
		"ANSIBLE_NOCOLOR=1", "ANSIBLE_FORCE_COLOR=0", "ANSIBLE_NOCOWS=1", "ANSIBLE_LOCALHOST_WARNING=False", "LC_ALL=C.UTF-8",
	)
}

// tail keeps the end of a stream.
type tail struct {
	mu sync.Mutex // guards b
	b  []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if len(t.b) > 2*maxAnsibleText {
		t.b = bytes.Clone(t.b[len(t.b)-maxAnsibleText:])
	}
	return len(p), nil
}

func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(engine.Printable(string(t.b)))
}

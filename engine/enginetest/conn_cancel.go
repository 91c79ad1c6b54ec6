package enginetest

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"farm/engine"
)

func (s suite) background(t *testing.T) {
	dir := t.TempDir()
	began := time.Now()
	out := run(t, s.conn, engine.Cmd{Script: "mkfifo " + dir + "/f; (read x <" + dir + "/f; echo late; echo done >" + dir + "/g) & echo pid"})
	if string(out.Stdout) != "pid\n" || time.Since(began) > 10*time.Second {
		t.Errorf("stdout %q after %v", out.Stdout, time.Since(began))
	}
	run(t, s.conn, engine.Cmd{Script: "mkfifo " + dir + "/g; echo >" + dir + "/f"})
	out = run(t, s.conn, engine.Cmd{Script: "cat " + dir + "/g"})
	if string(out.Stdout) != "done\n" {
		t.Errorf("the background process did not outlive its late output: %q", out.Stdout)
	}
}

// cancelAt runs script, which makes the file ready when it is under way and in pid leaves
// the id of a process, and cancels it then.
func (s suite) cancelAt(t *testing.T, script string) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cmd := engine.Cmd{Script: "P=" + dir + "/pid; " + script, Stdout: writerFunc(func(p []byte) {
		if bytes.Contains(p, []byte("ready")) {
			cancel()
		}
	})}
	began := time.Now()
	_, err := s.conn.Exec(ctx, cmd)
	if !errors.Is(err, context.Canceled) || time.Since(began) > 15*time.Second {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
	if errors.Is(err, engine.ErrUnreachable) {
		t.Errorf("%v says unreachable", err)
	}
	// What a killed process leaves may wait for its parent for a moment.
	check := `p=$(cat ` + dir + `/pid); for i in 1 2 3 4 5 6 7 8 9 0; do
		[ -d /proc/$p ] && ! grep -q '^State:.Z' /proc/$p/status || exit 0; sleep 0.2; done 2>/dev/null; exit 1`
	if out, err := s.conn.Exec(t.Context(), engine.Cmd{Script: check}); err != nil {
		t.Errorf("the process is still there: %v %s", err, out.Stderr)
	}
}

func (s suite) cancel(t *testing.T) {
	s.cancelAt(t, `sh -c 'echo $$ >'$P'; echo ready; exec sleep 1000'; echo not reached`)
}

func (s suite) cancelStubborn(t *testing.T) {
	s.cancelAt(t, `trap "" TERM; sh -c 'trap "" TERM; echo $$ >'$P'; echo ready; while :; do sleep 1; done'`)
}

func (s suite) deadline(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.conn.Exec(ctx, engine.Cmd{Script: "sleep 1000"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("err = %v", err)
	}
	if _, err := s.conn.Exec(ctx, engine.Cmd{Script: "true"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with a context that has ended: %v", err)
	}
	run(t, s.conn, engine.Cmd{Script: "true"})
}

func (s suite) writerFails(t *testing.T) {
	_, err := s.conn.Exec(t.Context(), engine.Cmd{Script: "echo x; sleep 1000", Stdout: failingWriter{}})
	if !errors.Is(err, errWrite) {
		t.Errorf("err = %v", err)
	}
}

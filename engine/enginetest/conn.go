// Package enginetest holds what the tests of several packages share: conformance suites
// for the interfaces of engine, and fakes that refuse what they were not told.
package enginetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"farm/engine"
)

// FullConn is a Conn with all that a Conn may do besides.
type FullConn interface {
	engine.Conn
	engine.Streamer
	engine.Keeper
}

// TestConn checks that a connection to this machine does what the interfaces of FullConn
// promise. open makes a new connection that the suite closes.
func TestConn(t *testing.T, open func(t *testing.T) FullConn) {
	conn := open(t)
	t.Cleanup(func() { conn.Close() })
	s := suite{conn}
	for name, f := range map[string]func(*testing.T){
		"Commands": s.commands, "Refusals": s.refusals, "Binary": s.binary, "Keep": s.keep, "Live": s.live,
		"Background": s.background, "Cancel": s.cancel, "CancelStubborn": s.cancelStubborn, "Deadline": s.deadline,
		"Parallel": s.parallel, "ShellDies": s.shellDies, "Upload": s.upload, "Large": s.large,
		"DownloadMissing": s.downloadMissing, "Dial": s.dial, "Stream": s.stream, "WriterFails": s.writerFails,
		"Functions": s.functions, "Keeper": s.keeper,
	} {
		t.Run(name, f)
	}
	t.Run("Close", func(t *testing.T) {
		c := open(t)
		run(t, c, engine.Cmd{Script: "true"})
		c.Close()
		if _, err := c.Exec(t.Context(), engine.Cmd{Script: "true"}); err == nil {
			t.Error("a closed connection ran a command")
		}
	})
}

type suite struct{ conn FullConn }

func run(t *testing.T, c engine.Conn, cmd engine.Cmd) engine.Output {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	out, err := c.Exec(ctx, cmd)
	if err != nil {
		t.Fatalf("Exec(%+v): %v, stderr %q", cmd, err, out.Stderr)
	}
	return out
}

func (s suite) commands(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		cmd            engine.Cmd
		stdout, stderr string
		status         int
	}{
		"script":       {engine.Cmd{Script: "echo a; echo b >&2"}, "a\n", "b\n", 0},
		"no newline":   {engine.Cmd{Script: "printf a; printf b >&2"}, "a", "b", 0},
		"no output":    {engine.Cmd{Script: ":"}, "", "", 0},
		"status":       {engine.Cmd{Script: "echo a; exit 3"}, "a\n", "", 3},
		"signal":       {engine.Cmd{Script: "kill -9 $$"}, "", "", 137},
		"argv":         {engine.Cmd{Argv: []string{"printf", "%s|", "a b", "'", `"`, "$HOME", "*", "", "\\", "x\ny"}}, "a b|'|\"|$HOME|*||\\|x\ny|", "", 0},
		"argv missing": {engine.Cmd{Argv: []string{"/nonexistent/program"}}, "", "*", 127},
		"dir":          {engine.Cmd{Script: "pwd", Dir: dir}, dir + "\n", "", 0},
		"dir missing":  {engine.Cmd{Script: "pwd", Dir: dir + "/none"}, "", "*", -1},
		"home":         {engine.Cmd{Script: `[ "$PWD" = "$HOME" ]`, Dir: "~"}, "", "", 0},
		"starts home":  {engine.Cmd{Script: `[ "$PWD" -ef "$HOME" ] && echo home`, Shell: "/bin/bash"}, "home\n", "", 0},
		"env":          {engine.Cmd{Script: `echo "$A$B"`, Env: map[string]string{"A": "it's $x\n", "B": "`b`"}}, "it's $x\n`b`\n", "", 0},
		"env argv":     {engine.Cmd{Argv: []string{"sh", "-c", `echo "$A"`}, Env: map[string]string{"A": "1"}}, "1\n", "", 0},
		"env is gone":  {engine.Cmd{Script: `echo "${A-none}"`}, "none\n", "", 0},
		"stdin":        {engine.Cmd{Script: "cat; echo end", Stdin: strings.NewReader("a'%\\\nb")}, "a'%\\\nbend\n", "", 0},
		"stdin dash":   {engine.Cmd{Script: "cat; echo end", Stdin: strings.NewReader("-n %s\n")}, "-n %s\nend\n", "", 0},
		"stdin argv":   {engine.Cmd{Argv: []string{"cat"}, Stdin: strings.NewReader("x")}, "x", "", 0},
		"stdin zero":   {engine.Cmd{Script: "od -An -tx1", Stdin: bytes.NewReader([]byte{0, 255, 10})}, " 00 ff 0a\n", "", 0},
		"no stdin":     {engine.Cmd{Script: "cat; echo end"}, "end\n", "", 0},
		"stdin unread": {engine.Cmd{Script: "echo hi", Stdin: onlyReader{strings.NewReader(strings.Repeat("x", 1<<20))}}, "hi\n", "", 0},
		"stdin status": {engine.Cmd{Script: "cat >/dev/null; exit 7", Stdin: onlyReader{strings.NewReader("x")}}, "", "", 7},
		"streamed":     {engine.Cmd{Script: "wc -c | tr -d ' '", Stdin: onlyReader{strings.NewReader(strings.Repeat("x", 100000))}}, "100000\n", "", 0},
		"shell":        {engine.Cmd{Script: "a=(1 2); echo ${a[1]} $#", Shell: "/bin/bash"}, "2 0\n", "", 0},
		"no arguments": {engine.Cmd{Script: "echo $# $1"}, "0\n", "", 0},
		"own pid":      {engine.Cmd{Script: `[ "$(sh -c 'echo $PPID')" = $$ ]; echo $?`}, "0\n", "", 0},
		"cd stays in":  {engine.Cmd{Script: "cd /; X=1; umask 777; set -e; exec 1>&2; true"}, "", "", 0},
		"after cd":     {engine.Cmd{Script: "echo ${X-none}; false; umask"}, "none\n0022\n", "", 0},
		"syntax":       {engine.Cmd{Script: "if; then"}, "", "*", -1},
		"here":         {engine.Cmd{Script: "cat <<X\na\nX"}, "a\n", "", 0},
		"comment":      {engine.Cmd{Script: "echo a # ' \" ("}, "a\n", "", 0},
		"braces":       {engine.Cmd{Script: "cat; }; { echo no", Stdin: strings.NewReader("x")}, "", "*", -1},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			out, err := s.conn.Exec(ctx, c.cmd)
			var exit *engine.ExitError
			if err != nil && !errors.As(err, &exit) {
				t.Fatalf("Exec: %v", err)
			}
			if (err != nil) != (out.Status != 0) || c.status >= 0 && out.Status != c.status || c.status < 0 && out.Status == 0 {
				t.Errorf("status %d, error %v, want %d", out.Status, err, c.status)
			}
			if string(out.Stdout) != c.stdout {
				t.Errorf("stdout %q, want %q", out.Stdout, c.stdout)
			}
			if c.stderr == "*" && len(out.Stderr) == 0 || c.stderr != "*" && string(out.Stderr) != c.stderr {
				t.Errorf("stderr %q, want %q", out.Stderr, c.stderr)
			}
		})
	}
}

func (s suite) refusals(t *testing.T) {
	for name, cmd := range map[string]engine.Cmd{
		"nothing": {}, "both": {Argv: []string{"a"}, Script: "a"}, "zero byte": {Script: "a\x00b"},
		"variable": {Script: "true", Env: map[string]string{"A;B": ""}},
		"become":   {Script: "true", Become: &engine.Become{Method: "magic"}},
	} {
		var exit *engine.ExitError
		if _, err := s.conn.Exec(t.Context(), cmd); err == nil || errors.As(err, &exit) || errors.Is(err, engine.ErrUnreachable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func (s suite) binary(t *testing.T) {
	want := make([]byte, 1<<20)
	rand.Read(want)
	file := filepath.Join(t.TempDir(), "binary")
	if err := os.WriteFile(file, want, 0o600); err != nil {
		t.Fatal(err)
	}
	out := run(t, s.conn, engine.Cmd{Argv: []string{"cat", file}})
	if !bytes.Equal(out.Stdout, want) {
		t.Errorf("%d bytes differ from the %d sent", len(out.Stdout), len(want))
	}
	out = run(t, s.conn, engine.Cmd{Argv: []string{"cat"}, Stdin: bytes.NewReader(want)})
	if !bytes.Equal(out.Stdout, want) {
		t.Errorf("%d bytes came back of the %d sent", len(out.Stdout), len(want))
	}
}

func (s suite) keep(t *testing.T) {
	out := run(t, s.conn, engine.Cmd{Script: "printf abcdefghij; printf 1234 >&2", Keep: 4})
	if string(out.Stdout) != "abij" || string(out.Stderr) != "1234" || out.Dropped != 6 {
		t.Errorf("kept %q and %q, dropped %d", out.Stdout, out.Stderr, out.Dropped)
	}
	var n counter
	out = run(t, s.conn, engine.Cmd{Script: "head -c 50000000 /dev/zero", Keep: 1000, Stdout: &n})
	if n != 50000000 || len(out.Stdout) != 1000 || out.Dropped != 50000000-1000 {
		t.Errorf("saw %d, kept %d, dropped %d", n, len(out.Stdout), out.Dropped)
	}
}

func (s suite) live(t *testing.T) {
	r, w := io.Pipe()
	fifo := filepath.Join(t.TempDir(), "go")
	done := make(chan error, 1)
	go func() {
		_, err := s.conn.Exec(t.Context(), engine.Cmd{Script: "mkfifo " + fifo + "; echo first; cat " + fifo, Stdout: w})
		w.Close()
		done <- err
	}()
	buf := make([]byte, 6)
	if _, err := io.ReadFull(r, buf); err != nil || string(buf) != "first\n" {
		t.Fatalf("read %q, %v", buf, err)
	}
	if err := os.WriteFile(fifo, []byte("second"), 0); err != nil {
		t.Fatal(err)
	}
	if b, _ := io.ReadAll(r); string(b) != "second" {
		t.Errorf("then %q", b)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func (s suite) parallel(t *testing.T) {
	var wg sync.WaitGroup
	for i := range 30 {
		wg.Go(func() {
			out, err := s.conn.Exec(t.Context(), engine.Cmd{Script: fmt.Sprintf("sleep 0.05; echo %d", i)})
			if err != nil || string(out.Stdout) != fmt.Sprintln(i) {
				t.Errorf("%d: %q, %v", i, out.Stdout, err)
			}
		})
	}
	wg.Wait()
}

func (s suite) shellDies(t *testing.T) {
	// The shell that runs commands is the parent of what a command starts directly.
	_, err := s.conn.Exec(t.Context(), engine.Cmd{Script: `sh -c 'kill -9 $(ps -o ppid= -p $PPID)'; sleep 5`})
	var exit *engine.ExitError
	if err == nil || errors.As(err, &exit) || errors.Is(err, context.Canceled) {
		t.Errorf("err = %v", err)
	}
	if out := run(t, s.conn, engine.Cmd{Script: "echo back"}); string(out.Stdout) != "back\n" {
		t.Errorf("then %q", out.Stdout)
	}
}

type counter int64

func (c *counter) Write(p []byte) (int, error) { *c += counter(len(p)); return len(p), nil }

type writerFunc func([]byte)

func (f writerFunc) Write(p []byte) (int, error) { f(p); return len(p), nil }

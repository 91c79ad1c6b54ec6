// Package enginetest holds what the tests of several packages share: conformance suites
// for the interfaces of engine, and fakes that refuse what they were not told.
package enginetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"farm/engine"
)

// TestConn checks that a connection to this machine does what engine.Conn promises. open
// makes a new connection that the suite closes.
func TestConn(t *testing.T, open func(t *testing.T) engine.Conn) {
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

type suite struct{ conn engine.Conn }

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

func (s suite) upload(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "a 'b'")
	for _, c := range []struct {
		text string
		perm fs.FileMode
	}{{"one", 0o644}, {"", 0o600}, {"three", 0o755}} {
		if err := s.conn.Upload(t.Context(), file, c.perm, strings.NewReader(c.text)); err != nil {
			t.Fatal(err)
		}
		fi, err := os.Stat(file)
		b, _ := os.ReadFile(file)
		if err != nil || fi.Mode() != c.perm || string(b) != c.text {
			t.Errorf("%q, mode %v, %v; want %q, %v", b, fi.Mode(), err, c.text, c.perm)
		}
		var got bytes.Buffer
		if err := s.conn.Download(t.Context(), file, &got); err != nil || got.String() != c.text {
			t.Errorf("Download: %q, %v", got.String(), err)
		}
	}
	err := s.conn.Upload(t.Context(), file, 0o644, io.MultiReader(strings.NewReader("half"), failingReader{}))
	if !errors.Is(err, errRead) {
		t.Errorf("a source that fails: %v", err)
	}
	if b, _ := os.ReadFile(file); string(b) != "three" {
		t.Errorf("then the file holds %q", b)
	}
	if err := s.conn.Upload(t.Context(), dir+"/none/x", 0o644, strings.NewReader("x")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without the folder: %v", err)
	}
	if l, _ := os.ReadDir(dir); len(l) != 1 {
		t.Errorf("left behind: %v", l)
	}
}

func (s suite) large(t *testing.T) {
	want := make([]byte, 20<<20)
	rand.Read(want)
	file := filepath.Join(t.TempDir(), "large")
	if err := s.conn.Upload(t.Context(), file, 0o600, bytes.NewReader(want)); err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	if err := s.conn.Download(t.Context(), file, h); err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(want); !bytes.Equal(h.Sum(nil), sum[:]) {
		t.Error("what came back differs")
	}
}

func (s suite) downloadMissing(t *testing.T) {
	if err := s.conn.Download(t.Context(), t.TempDir()+"/none", io.Discard); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("err = %v", err)
	}
	if err := s.conn.Download(t.Context(), t.TempDir(), io.Discard); err == nil || errors.Is(err, engine.ErrUnreachable) {
		t.Errorf("of a folder: %v", err)
	}
}

func (s suite) dial(t *testing.T) {
	for _, c := range [][2]string{{"tcp", "127.0.0.1:0"}, {"unix", filepath.Join(t.TempDir(), "s")}} {
		l, err := net.Listen(c[0], c[1])
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			if conn, err := l.Accept(); err == nil {
				io.WriteString(conn, "hello")
				conn.Close()
			}
		}()
		conn, err := s.conn.Dial(t.Context(), c[0], l.Addr().String())
		if err != nil {
			t.Errorf("%s: %v", c[0], err)
			continue
		}
		if b, err := io.ReadAll(conn); string(b) != "hello" {
			t.Errorf("%s: %q, %v", c[0], b, err)
		}
		conn.Close()
	}
	if c, err := s.conn.Dial(t.Context(), "unix", filepath.Join(t.TempDir(), "none")); err == nil {
		c.Close()
		t.Error("dialled a socket that is not there")
	}
}

func (s suite) stream(t *testing.T) {
	st, ok := s.conn.(engine.Streamer)
	if !ok {
		t.Skip("no engine.Streamer")
	}
	c, err := st.Stream(t.Context(), []string{"sh", "-c", "echo oops >&2; head -c 5"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "a\x00b\ncrest")
	b, err := io.ReadAll(c)
	if string(b) != "a\x00b\nc" || err == nil || !strings.Contains(err.Error(), "oops") {
		t.Errorf("read %q, %v", b, err)
	}
}

func (s suite) functions(t *testing.T) {
	for range 2 {
		cmd := engine.Cmd{Functions: "f() { echo \"$1\"; }", Script: "f \"$X\"; f b", Env: map[string]string{"X": "it's"}}
		if out := run(t, s.conn, cmd); string(out.Stdout) != "it's\nb\n" {
			t.Errorf("printed %q", out.Stdout)
		}
	}
	if out, err := s.conn.Exec(t.Context(), engine.Cmd{Script: "f 2>/dev/null"}); out.Status != 127 {
		t.Errorf("a function outlives its command: %q, %v", out.Stdout, err)
	}
}

func (s suite) keeper(t *testing.T) {
	c, ok := s.conn.(engine.Keeper)
	if !ok {
		t.Skip("no engine.Keeper")
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	k, ok := c.Keep(t.Context(), nil, []string{"cat"})
	for began := time.Now(); !ok; k, ok = c.Keep(t.Context(), nil, []string{"cat"}) {
		if time.Since(began) > 20*time.Second {
			t.Fatal("the program is never lent")
		}
		<-tick.C
	}
	defer k.Release()
	for _, question := range []string{"it's\n", "a\nb\n", ""} {
		if got, err := k.Ask(t.Context(), question+"end\n", "end"); got != question || err != nil {
			t.Errorf("asked %q: %q, %v", question, got, err)
		}
	}
	if _, ok := c.Keep(t.Context(), nil, []string{"cat"}); ok {
		t.Error("lent twice")
	}
}

func (s suite) writerFails(t *testing.T) {
	_, err := s.conn.Exec(t.Context(), engine.Cmd{Script: "echo x; sleep 1000", Stdout: failingWriter{}})
	if !errors.Is(err, errWrite) {
		t.Errorf("err = %v", err)
	}
}

type onlyReader struct{ io.Reader }

type counter int64

func (c *counter) Write(p []byte) (int, error) { *c += counter(len(p)); return len(p), nil }

type writerFunc func([]byte)

func (f writerFunc) Write(p []byte) (int, error) { f(p); return len(p), nil }

var (
	errRead  = errors.New("cannot read")
	errWrite = errors.New("cannot write")
)

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, errRead }

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errWrite }

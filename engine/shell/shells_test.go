package shell

import (
	"context"
	"errors"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"farm/engine"
	"farm/engine/enginetest"
)

// spawnWith starts program in place of /bin/sh.
func spawnWith(t *testing.T, argv []string) Spawn {
	return func(_ context.Context, line string, _ bool) (*Process, error) {
		if line != startLine {
			t.Errorf("asked to start %q", line)
		}
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		in, _ := cmd.StdinPipe()
		out, outW := io.Pipe()
		errs, errW := io.Pipe()
		cmd.Stdout, cmd.Stderr = outW, errW
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		over := make(chan struct{})
		go func() {
			cmd.Wait()
			outW.Close()
			errW.Close()
			close(over)
		}()
		end := func() error {
			syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			out.Close()
			return errs.Close()
		}
		return &Process{Stdin: in, Stdout: out, Stderr: errs, Exited: over, Wait: func() error { <-over; return nil }, Close: end}, nil
	}
}

func TestProtocolWorksInShells(t *testing.T) {
	for _, argv := range [][]string{{"dash"}, {"bash"}, {"bash", "--posix"}, {"busybox", "ash"}, {"ksh"}, {"mksh"}, {"yash"}} {
		t.Run(strings.Join(argv, " "), func(t *testing.T) {
			enginetest.Need(t, argv[0])
			p := New("test", spawnWith(t, argv))
			defer p.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			for range 2 {
				out, err := p.Exec(ctx, engine.Cmd{Script: "echo a$X; printf b >&2; exit 4", Env: map[string]string{"X": "it's"}, Dir: "/"})
				var exit *engine.ExitError
				if !errors.As(err, &exit) || exit.Status != 4 || string(out.Stdout) != "ait's\n" || string(out.Stderr) != "b" {
					t.Fatalf("%q, %q, %v", out.Stdout, out.Stderr, err)
				}
			}
			if out, err := p.Exec(ctx, engine.Cmd{Script: "kill -9 $$"}); out.Status != 137 {
				t.Errorf("killed: %d, %v", out.Status, err)
			}
			if out, err := p.Exec(ctx, engine.Cmd{Script: "cat; echo", Stdin: strings.NewReader("\x00%'\xff")}); string(out.Stdout) != "\x00%'\xff\n" {
				t.Errorf("input: %q, %v", out.Stdout, err)
			}
			big := strings.Repeat("x", 1<<20)
			if out, err := p.Exec(ctx, engine.Cmd{Argv: []string{"cat"}, Stdin: strings.NewReader(big)}); string(out.Stdout) != big {
				t.Errorf("streamed: %d bytes, %v", len(out.Stdout), err)
			}
			if out, err := p.Exec(ctx, engine.Cmd{Script: "sleep 40 & echo now"}); string(out.Stdout) != "now\n" || out.Elapsed > 30*time.Second {
				t.Errorf("background: %q, %v, %v", out.Stdout, out.Elapsed, err)
			}
			short, stop := context.WithTimeout(ctx, 100*time.Millisecond)
			defer stop()
			began := time.Now()
			if _, err := p.Exec(short, engine.Cmd{Script: "sleep 1000"}); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 30*time.Second {
				t.Errorf("cancelled after %v: %v", time.Since(began), err)
			}
		})
	}
}

// A command that is ended must not take with it who started the shell, as Dropbear's
// server does, in a process group of which the shell is not the leader.
func TestEndedCommandSparesTheShellsParent(t *testing.T) {
	spawn := func(ctx context.Context, line string, pty bool) (*Process, error) {
		p, err := spawnWith(t, []string{"sh", "-c", "sh -c \"$1\"; exit", "sh", line})(ctx, line, pty)
		return p, err
	}
	p := New("test", spawn)
	defer p.Close()
	short, stop := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer stop()
	if _, err := p.Exec(short, engine.Cmd{Script: "sleep 1000"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	out, err := p.Exec(t.Context(), engine.Cmd{Script: `read -r p c s pp g rest </proc/$PPID/stat; echo $g $PPID`})
	if f := strings.Fields(string(out.Stdout)); err != nil || len(f) != 2 || f[0] != f[1] {
		t.Errorf("group and id of the shell: %q, %v", out.Stdout, err)
	}
}

package shell

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"farm/engine"
)

// answering reads lines: it prints them in capitals, says nothing of the line "hang" and ends at "die".
const answering = `while IFS= read -r l; do case $l in hang) ;; die) exit ;; *) echo "$l" | tr a-z A-Z ;; esac; done; : >%s`

// lend waits until the program is lent.
func lend(t *testing.T, p *Pool, argv []string) engine.Kept {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for range 10000 {
		if k, ok := p.Keep(t.Context(), nil, argv); ok {
			return k
		}
		<-tick.C
	}
	t.Fatal("the program is not lent")
	return nil
}

func answer(t *testing.T, k engine.Kept, question, want string) {
	t.Helper()
	if got, err := k.Ask(t.Context(), question+"\nend-123\n", "END-123"); err != nil || got != want {
		t.Errorf("asked %q: %q, %v, want %q", question, got, err, want)
	}
}

func TestKeptProgramAnswersInShells(t *testing.T) {
	for _, shell := range [][]string{{"dash"}, {"bash", "--posix"}, {"busybox", "ash"}, {"ksh"}, {"mksh"}} {
		t.Run(shell[0], func(t *testing.T) {
			p := New("test", spawnWith(t, shell))
			defer p.Close()
			over := filepath.Join(t.TempDir(), "over")
			argv := []string{"sh", "-c", fmt.Sprintf(answering, over)}
			if _, ok := p.Keep(t.Context(), nil, argv); ok {
				t.Error("lent before it was started")
			}
			k := lend(t, p, argv)
			if _, ok := p.Keep(t.Context(), nil, argv); ok {
				t.Error("lent twice")
			}
			answer(t, k, "it's 'a'", "IT'S 'A'\n")
			k.Release()
			k = lend(t, p, argv)
			answer(t, k, "b\nc", "B\nC\n")
			if out, err := p.Exec(t.Context(), engine.Cmd{Script: "echo x"}); string(out.Stdout) != "x\n" {
				t.Errorf("a command meanwhile: %q, %v", out.Stdout, err)
			}
			k.Release()
		})
	}
}

func TestKeptProgramThatHangsOrEndsIsReplaced(t *testing.T) {
	p := New("test", spawnWith(t, []string{"sh"}))
	defer p.Close()
	argv := []string{"sh", "-c", fmt.Sprintf(answering, "/dev/null")}
	for _, question := range []string{"hang", "die"} {
		k := lend(t, p, argv)
		answer(t, k, "a", "A\n")
		ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if got, err := k.Ask(ctx, question+"\n", "END-123"); err == nil {
			t.Errorf("asked %q: %q", question, got)
		}
		stop()
		k.Release()
	}
	k := lend(t, p, argv)
	answer(t, k, "a", "A\n")
	k.Drop()
	k.Release()
	if _, ok := p.Keep(t.Context(), nil, argv); ok {
		t.Error("dropped, and lent again")
	}
}

func TestUselessProgramIsNotStartedAgain(t *testing.T) {
	started := filepath.Join(t.TempDir(), "started")
	p := New("test", spawnWith(t, []string{"sh"}))
	defer p.Close()
	argv := []string{"sh", "-c", "echo x >>" + started + "; exit 2"}
	k := lend(t, p, argv)
	if _, err := k.Ask(t.Context(), "a\n", "END"); err == nil {
		t.Error("it answered")
	}
	k.Release()
	for range 3 {
		if _, ok := p.Keep(t.Context(), nil, argv); ok {
			t.Error("lent again")
		}
	}
	p.Close()
	if text, _ := os.ReadFile(started); string(text) != "x\n" {
		t.Errorf("started %d times", strings.Count(string(text), "x"))
	}
}

func TestKeptProgramMakesRoomForShells(t *testing.T) {
	p := New("test", spawnWith(t, []string{"sh"}))
	defer p.Close()
	argv := []string{"cat"}
	lend(t, p, argv).Release()
	for i := range MaxSessions {
		ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
		if err := p.Reserve(ctx); err != nil {
			t.Fatalf("session %d: %v", i, err)
		}
		stop()
	}
	if _, ok := p.Keep(t.Context(), nil, argv); ok {
		t.Error("lent without a session")
	}
}

func TestKeptProgramTakesTheRoomOfASurplusShell(t *testing.T) {
	p := New("test", spawnWith(t, []string{"sh"}))
	defer p.Close()
	var shells [2]*session
	for i := range shells {
		var err error
		if shells[i], err = p.take(t.Context(), engine.Become{}, nil); err != nil {
			t.Fatal(err)
		}
	}
	for range MaxSessions - len(shells) {
		if err := p.Reserve(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range shells {
		p.put(engine.Become{}, s, again)
	}
	defer lend(t, p, []string{"cat"}).Release()
	if n := len(p.idle[engine.Become{}]); n != 1 || p.used != MaxSessions {
		t.Errorf("%d idle shells, %d sessions", n, p.used)
	}
	if _, ok := p.Keep(t.Context(), nil, []string{"tac"}); ok || p.kept[keptKey{line: "tac"}] != nil {
		t.Error("the last shell was taken")
	}
}

// A server that grants two sessions must not spend one of them on a kept program.
func TestKeptProgramLeavesScarceSessionsAlone(t *testing.T) {
	spawn, open := spawnWith(t, []string{"sh"}), make(chan struct{}, 2)
	p := New("test", func(ctx context.Context, line string, pty bool) (*Process, error) {
		select {
		case open <- struct{}{}:
		default:
			return nil, ErrNoSession
		}
		proc, err := spawn(ctx, line, pty)
		end := proc.Close
		proc.Close = func() error { <-open; return end() }
		return proc, err
	})
	lend(t, p, []string{"cat"}).Release()
	var done [2]chan error
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	for i := range done {
		done[i] = make(chan error, 1)
		go func() {
			_, err := p.Exec(ctx, engine.Cmd{Script: "sleep 0.2"})
			done[i] <- err
		}()
	}
	for _, c := range done {
		if err := <-c; err != nil {
			t.Error(err)
		}
	}
	if _, ok := p.Keep(t.Context(), nil, []string{"cat"}); ok {
		t.Error("lent")
	}
}

func TestKeptProgramEndsWithTheConnection(t *testing.T) {
	p := New("test", spawnWith(t, []string{"sh"}))
	argv := []string{"sh", "-c", fmt.Sprintf(answering, "/dev/null")}
	k := lend(t, p, argv)
	answer(t, k, "a", "A\n")
	p.Keep(t.Context(), nil, []string{"cat"}) // still starting
	p.Close()
	k.Release()
	if _, err := k.Ask(t.Context(), "a\n", "END-123"); err == nil {
		t.Error("a closed connection answers")
	}
	if _, ok := p.Keep(t.Context(), nil, argv); ok {
		t.Error("lent by a closed connection")
	}
}

package enginetest

import (
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"farm/engine"
)

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
	c, err := s.conn.Stream(t.Context(), []string{"sh", "-c", "echo oops >&2; head -c 5"})
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
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	k, ok := s.conn.Keep(t.Context(), nil, []string{"cat"})
	for began := time.Now(); !ok; k, ok = s.conn.Keep(t.Context(), nil, []string{"cat"}) {
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
	if _, ok := s.conn.Keep(t.Context(), nil, []string{"cat"}); ok {
		t.Error("lent twice")
	}
}

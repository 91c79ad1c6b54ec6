package modules

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"farm/engine"
	"farm/engine/enginetest"
	"farm/inventory/value"
)

// bootConn is a host that says its boot id; after a reboot command the connection is lost.
type bootConn struct {
	engine.Conn // what is not faked panics

	mu     sync.Mutex // guards what follows
	id     string
	lost   bool
	closed bool
	ran    []string
}

func (c *bootConn) String() string { return "guest" }

func (c *bootConn) Exec(ctx context.Context, cmd engine.Cmd) (engine.Output, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ran = append(c.ran, cmd.Script)
	switch {
	case c.lost || c.closed:
		return engine.Output{}, engine.ErrUnreachable
	case strings.Contains(cmd.Script, "nohup"):
		c.lost = true
		return engine.Output{}, engine.ErrUnreachable
	case strings.Contains(cmd.Script, "boot_id"):
		return engine.Output{Stdout: []byte(c.id + "\n")}, nil
	case cmd.Script == "false":
		return engine.Output{Status: 1}, &engine.ExitError{Status: 1}
	}
	return engine.Output{}, nil
}

func (c *bootConn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	return nil
}

// answers makes a Reconnect that gives these, an error for "", then the last for ever.
func answers(made *[]*bootConn, ids ...string) func(context.Context) (engine.Conn, error) {
	return func(context.Context) (engine.Conn, error) {
		id := ids[0]
		if len(ids) > 1 {
			ids = ids[1:]
		}
		if id == "" {
			return nil, errors.New("dial: connection refused")
		}
		c := &bootConn{id: id}
		*made = append(*made, c)
		return c, nil
	}
}

func TestRebootWaitsForAnotherBoot(t *testing.T) {
	s := newSystem(t, nil)
	var made []*bootConn
	old := &bootConn{id: "1"}
	s.task.Conn, s.task.Reconnect = old, answers(&made, "1", "", "2")
	r := s.check("reboot", "{test_command: uptime}", "changed")
	s.values(r, "rebooted", true)
	if len(made) != 2 || s.task.Conn != engine.Conn(made[1]) || made[1].closed || !made[0].closed || !old.closed {
		t.Errorf("connections: %+v, the task's %+v", made, s.task.Conn)
	}
	if got := strings.Join(made[1].ran, ";"); !strings.HasSuffix(got, "uptime") {
		t.Errorf("ran %q", got)
	}
}

func TestRebootFailures(t *testing.T) {
	s := newSystem(t, nil)
	var made []*bootConn
	s.task.Conn, s.task.Reconnect = &bootConn{id: "1"}, answers(&made, "1")
	s.fails("reboot", "reboot_timeout: 1", 0, "it has not rebooted yet")
	s.task.Conn, s.task.Reconnect = &bootConn{id: "1"}, answers(&made, "")
	s.fails("reboot", "reboot_timeout: 1", 0, "connection refused")
	s.task.Conn, s.task.Reconnect = &bootConn{id: "1"}, answers(&made, "2")
	s.fails("reboot", "{reboot_timeout: 1, test_command: 'false'}", 0, "test_command")
	s.task.Conn = &bootConn{}
	s.fails("reboot", "{}", 0, "does not say when it was booted")
	s.task.Reconnect = nil
	s.fails("reboot", "{}", 0, "cannot be made again")
	s.dry("reboot", "{}", "changed")
	for _, c := range made {
		if !c.closed {
			t.Errorf("left open: %+v", c)
		}
	}
}

func TestRebootEndsWithItsContext(t *testing.T) {
	s := newSystem(t, nil)
	var made []*bootConn
	s.task.Conn, s.task.Reconnect = &bootConn{id: "1"}, answers(&made, "")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.module("reboot", "{}").Run(ctx, s.task); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

// TestRebootCommand runs the script itself with programs that only write down their names.
func TestRebootCommand(t *testing.T) {
	for _, test := range []struct{ command, want string }{
		{"", "shutdown -r now soon\nreboot "}, {"my-reboot --now", "my-reboot --now"},
	} {
		s := newSystem(t, map[string]string{"sleep": "", "shutdown": "exit 1",
			"reboot": "mv calls done", "my-reboot": "mv calls done", "systemctl": ""})
		s.alone("mv", "nohup") // nothing that could end this machine is within reach
		r, err := run(t.Context(), s.task, rebootScript, map[string]string{"reboot": test.command, "msg": "soon"})
		if err != nil || !r.ok() {
			t.Fatalf("%+v, %v", r, err)
		}
		delete(s.task.Env, "PATH")
		s.check("wait_for", "{path: "+s.state+"/done, timeout: 20}", "ok")
		b, err := os.ReadFile(filepath.Join(s.state, "done"))
		if err != nil || !strings.Contains(string(b), test.want) {
			t.Errorf("called %q, want %q: %v", b, test.want, err)
		}
	}
}

func TestWaitForConnection(t *testing.T) {
	s := newSystem(t, nil)
	var made []*bootConn
	s.task.Conn, s.task.Reconnect = &bootConn{}, answers(&made, "")
	s.check("wait_for_connection", "{}", "ok")
	s.task.Conn, s.task.Reconnect = &bootConn{lost: true}, answers(&made, "", "2")
	s.check("wait_for_connection", "{}", "ok")
	if len(made) != 1 || s.task.Conn != engine.Conn(made[0]) {
		t.Errorf("connections: %v", made)
	}
	s.task.Conn, s.task.Reconnect = &bootConn{lost: true}, answers(&made, "")
	s.fails("wait_for_connection", "timeout: 1", 0, "connection refused")
	s.task.Reconnect = nil
	s.fails("wait_for_connection", "timeout: 1", 0, "cannot be made again")
}

// listen accepts connections, says text on each and keeps it open.
func listen(t *testing.T, text string) (port string, stop func()) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var open []net.Conn // the accepting goroutine's until it has ended
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Write([]byte(text))
			open = append(open, c)
		}
	})
	stop = sync.OnceFunc(func() {
		l.Close()
		all.Wait()
		for _, c := range open {
			c.Close()
		}
	})
	t.Cleanup(stop)
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port, stop
}

func TestWaitForPort(t *testing.T) {
	s := newSystem(t, nil)
	port, stop := listen(t, "SSH-2.0-OpenSSH_9\r\n")
	s.check("wait_for", "port: "+port, "ok")
	r := s.check("wait_for", "{port: "+port+", timeout: 20, search_regex: '^SSH-(?P<version>[0-9.]+)-Open(...)'}", "ok")
	s.values(r, "match_groups", []any{"2.0", "SSH"})
	if named, _ := r.Values.Get("match_groupdict"); value.Text(named) != `{"version":"2.0"}` {
		t.Errorf("match_groupdict %s", value.Text(named))
	}
	s.fails("wait_for", "{port: "+port+", state: stopped, timeout: 0}", 0, "Timeout when waiting for 127.0.0.1:"+port+" to stop.")
	s.fails("wait_for", "{port: "+port+", search_regex: HTTP, timeout: 0, connect_timeout: 1}", 0, "Timeout when waiting for search string HTTP in 127.0.0.1:"+port)
	stop()
	s.check("wait_for", "{port: "+port+", state: stopped}", "ok")
	s.fails("wait_for", "{port: "+port+", timeout: 0}", 0, "Timeout when waiting for 127.0.0.1:"+port)
	s.fails("wait_for", "{port: "+port+", timeout: 0, msg: sshd is away}", 0, "sshd is away")
	s.fails("wait_for", "{port: 70000}", 0, "no port")
	s.fails("wait_for", "{port: 1, path: /x}", 0, "can not both")
	s.fails("wait_for", "{path: /x, search_regex: '('}", 0, "search_regex")
}

func TestWaitForDrainedPort(t *testing.T) {
	if _, err := os.Stat("/proc/net/tcp"); err != nil {
		enginetest.Lacking(t, "there is no /proc/net/tcp: %v", err)
	}
	s := newSystem(t, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	args := "{port: " + port + ", state: drained, timeout: 0, active_connection_states: [ESTABLISHED]"
	s.fails("wait_for", args+"}", 0, "to drain")
	s.fails("wait_for", args+", host: 0.0.0.0}", 0, "to drain")
	s.check("wait_for", args+", host: 10.9.8.7}", "ok")
	s.check("wait_for", args+", exclude_hosts: [localhost]}", "ok")
	s.check("wait_for", "{port: "+port+", state: drained, timeout: 0, active_connection_states: [SYN_SENT]}", "ok")
	s.fails("wait_for", "{port: 1, state: drained, active_connection_states: [OPEN]}", 0, "unknown active_connection_state (OPEN)")
	s.fails("wait_for", "{port: 1, exclude_hosts: [a]}", 0, "state=drained")
	s.fails("wait_for", "{path: /x, state: drained}", 0, "state=drained should only be used for checking a port")
	ip, n := procAddress("B80D01200000000067452301EFCDAB89:0050")
	if n != 80 || ip.String() != "2001:db8::123:4567:89ab:cdef" {
		t.Errorf("%s %d", ip, n)
	}
}

type lostConn struct{ engine.Conn }

func (lostConn) Dial(context.Context, string, string) (net.Conn, error) {
	return nil, engine.ErrUnreachable
}

func TestWaitForTellsLossFromClosedPort(t *testing.T) {
	s := newSystem(t, nil)
	s.task.Conn = lostConn{}
	_, err := s.module("wait_for", "{port: 22, state: stopped}").Run(t.Context(), s.task)
	if !errors.Is(err, engine.ErrUnreachable) {
		t.Error(err)
	}
}

func TestWaitForPath(t *testing.T) {
	s := newSystem(t, nil)
	s.write("log", "starting\nready in 5 s\n")
	s.check("wait_for", "path: DIR/log", "ok")
	s.values(s.check("wait_for", "{path: DIR/log, search_regex: '^ready in (\\d+)'}", "ok"), "match_groups", []any{"5"})
	s.fails("wait_for", "{path: DIR/log, search_regex: done, timeout: 0}", 0, "Timeout when waiting for search string done in "+s.dir+"/log")
	s.fails("wait_for", "{path: DIR/log, state: absent, timeout: 0}", 0, "to be absent")
	s.check("wait_for", "{path: DIR/none, state: absent}", "ok")
	// It appears while it is waited for.
	s.task.Env["LATER"] = filepath.Join(s.dir, "later")
	if _, err := s.task.Exec(t.Context(), engine.Cmd{Script: `(sleep 0.2; : >"$LATER") >/dev/null 2>&1 &`}); err != nil {
		t.Fatal(err)
	}
	s.check("wait_for", "{path: DIR/later, timeout: 20}", "ok")
	s.check("wait_for", "timeout: 0", "ok")
}

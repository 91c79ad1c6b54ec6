package ssh

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"farm/engine"
	"farm/inventory"
)

// serve answers every connection with f until the test ends.
func serve(t *testing.T, f func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			f(c)
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

func stageOf(err error) Stage {
	var de *DialError
	if !errors.As(err, &de) {
		return ""
	}
	return de.Stage
}

func TestDialNamesTheRungReached(t *testing.T) {
	good := startSSHD(t, "")
	dir := t.TempDir()
	other, stranger := writeKey(t, dir+"/other"), dir+"/stranger"
	writeKey(t, stranger)
	with := func(f func(*Config)) Config { c := good; c.Timeout = time.Second; f(&c); return c }
	silent := serve(t, func(c net.Conn) { io.Copy(io.Discard, c) })
	for name, c := range map[string]struct {
		cfg   Config
		stage Stage
	}{
		"nobody":        {with(func(c *Config) { c.Addr = "127.0.0.1:1" }), StageTCP},
		"silent":        {with(func(c *Config) { c.Addr = silent; c.Timeout = 300 * time.Millisecond }), StageBanner},
		"hangs up":      {with(func(c *Config) { c.Addr = serve(t, func(net.Conn) {}) }), StageBanner},
		"other service": {with(func(c *Config) { c.Addr = serve(t, func(c net.Conn) { c.Write([]byte{0, 1, 2, 3, 4}) }) }), StageBanner},
		"banner only": {with(func(c *Config) {
			c.Addr = serve(t, func(c net.Conn) { io.WriteString(c, "SSH-2.0-x\r\n"); io.Copy(io.Discard, c) })
			c.Timeout = 300 * time.Millisecond
		}), StageHandshake},
		"wrong host key": {with(func(c *Config) { c.HostKeys = []string{other} }), StageHostKey},
		"unknown host":   {with(func(c *Config) { c.HostKeys = nil; c.KnownHosts = []string{dir + "/known"} }), StageHostKey},
		"no trust":       {with(func(c *Config) { c.HostKeys = nil }), StageHostKey},
		"wrong key":      {with(func(c *Config) { c.KeyFiles = []string{stranger} }), StageAuth},
		"no key file":    {with(func(c *Config) { c.KeyFiles = []string{dir + "/none"} }), StageAuth},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := Dial(t.Context(), c.cfg)
			if err == nil {
				conn.Close()
				t.Fatal("logged in")
			}
			if stageOf(err) != c.stage || !errors.Is(err, engine.ErrUnreachable) {
				t.Errorf("%v: stage %q, want %q", err, stageOf(err), c.stage)
			}
		})
	}
}

func TestDialEndsWithContext(t *testing.T) {
	addr := serve(t, func(c net.Conn) { io.Copy(io.Discard, c) })
	good := startSSHD(t, "")
	good.Addr = addr
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := Dial(ctx, good); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 20*time.Second {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
}

func TestHostKeyIsPinnedOnce(t *testing.T) {
	cfg := startSSHD(t, "")
	file := filepath.Join(t.TempDir(), "new", "known_hosts")
	cfg.HostKeys, cfg.KnownHosts, cfg.AcceptNew = nil, []string{file}, true
	mustDial(t, cfg).Close()
	first, err := os.ReadFile(file)
	if err != nil || strings.Count(string(first), "\n") != 1 {
		t.Fatalf("%q, %v", first, err)
	}
	cfg.AcceptNew = false
	mustDial(t, cfg).Close()

	other := writeKey(t, file+".key")
	host, _, _ := strings.Cut(string(first), " ")
	os.WriteFile(file, []byte(host+" "+other+"\n"), 0o600)
	cfg.AcceptNew = true
	if _, err := Dial(t.Context(), cfg); stageOf(err) != StageHostKey || !strings.Contains(err.Error(), "has changed") {
		t.Errorf("changed key: %v", err)
	}
	os.WriteFile(file, []byte("# fine\n"+host+" ssh-ed25519 AAAA\n"), 0o600)
	if _, err := Dial(t.Context(), cfg); stageOf(err) != StageHostKey || !strings.Contains(err.Error(), file+":2") {
		t.Errorf("malformed line: %v", err)
	}
}

// freezer is a connection whose answers stop when frozen is closed.
type freezer struct {
	net.Conn
	frozen, ended chan struct{}
}

func (f freezer) Read(p []byte) (int, error) {
	n, err := f.Conn.Read(p)
	select {
	case <-f.frozen:
		if err == nil {
			<-f.ended
			return 0, net.ErrClosed
		}
	default:
	}
	return n, err
}

func (f freezer) Close() error {
	select {
	case <-f.ended:
	default:
		close(f.ended)
	}
	return f.Conn.Close()
}

func TestKeepaliveNoticesFrozenPeer(t *testing.T) {
	cfg := startSSHD(t, "")
	frozen := make(chan struct{})
	cfg.Keepalive = 50 * time.Millisecond
	cfg.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, network, addr)
		return freezer{c, frozen, make(chan struct{})}, err
	}
	c := mustDial(t, cfg)
	if _, err := c.Exec(t.Context(), engine.Cmd{Script: "true"}); err != nil {
		t.Fatal(err)
	}
	close(frozen)
	began := time.Now()
	_, err := c.Exec(t.Context(), engine.Cmd{Script: "true"})
	if !errors.Is(err, engine.ErrUnreachable) || time.Since(began) > 20*time.Second {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
	if err := c.Upload(t.Context(), "/tmp/none", 0o600, strings.NewReader("")); !errors.Is(err, engine.ErrUnreachable) {
		t.Errorf("Upload: %v", err)
	}
}

func TestConnectionLostDuringCommand(t *testing.T) {
	cfg := startSSHD(t, "")
	var tcp net.Conn
	cfg.Dialer = func(ctx context.Context, network, addr string) (c net.Conn, err error) {
		var d net.Dialer
		tcp, err = d.DialContext(ctx, network, addr)
		return tcp, err
	}
	c := mustDial(t, cfg)
	out, err := c.Exec(t.Context(), engine.Cmd{Script: "echo begun; sleep 2", Stdout: cutter{tcp}})
	if !errors.Is(err, engine.ErrUnreachable) || string(out.Stdout) != "begun\n" {
		t.Errorf("%q, %v", out.Stdout, err)
	}
}

type cutter struct{ c net.Conn }

func (c cutter) Write(p []byte) (int, error) { c.c.Close(); return len(p), nil }

func TestFromHypervisorReadsSSHConfig(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	os.Mkdir(home+"/.ssh", 0o700)
	os.WriteFile(home+"/.ssh/key", nil, 0o600)
	os.WriteFile(home+"/.ssh/config", []byte(`
Host rpi
  HostName 10.0.0.3
  Port 2200
  User pi
  IdentityFile ~/.ssh/key
  ProxyJump me@gate:2022,inner
  UserKnownHostsFile ~/known
  StrictHostKeyChecking accept-new
Host gate
  ProxyJump outer
`), 0o600)
	cfg, err := FromHypervisor(inventory.Hypervisor{Name: "r1", Address: "rpi", Port: 22})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Name != "r1" || cfg.Addr != "10.0.0.3:2200" || cfg.User != "pi" || !cfg.AcceptNew ||
		!slices.Equal(cfg.KeyFiles, []string{home + "/.ssh/key"}) || cfg.KnownHosts[0] != home+"/known" {
		t.Errorf("%+v", cfg)
	}
	var via []string
	for _, h := range cfg.Via {
		via = append(via, h.User+"@"+h.Addr)
	}
	if want := []string{"@outer:22", "me@gate:2022", "@inner:22"}; !slices.Equal(via, want) {
		t.Errorf("via %v, want %v", via, want)
	}
	for args, want := range map[string]string{
		`-o ProxyCommand="ssh -W %h:%p gate"`: "ProxyJump", "-o StrictHostKeyChecking=no": "accept-new",
		"-o UserKnownHostsFile=/dev/null": "always checked", "-X": "no meaning", "-o 'Port": "quote", "-J": "needs a value",
	} {
		_, err := FromHypervisor(inventory.Hypervisor{Name: "h", CommonArgs: args})
		if err == nil || !strings.Contains(err.Error(), want) || engine.FaultOf(err) != engine.UserFault {
			t.Errorf("%s: %v", args, err)
		}
	}
	cfg, err = FromHypervisor(inventory.Hypervisor{Name: "h", Port: 22, CommonArgs: "-o ControlMaster=auto -J a,b -o Port=24"})
	if err != nil || len(cfg.Via) != 2 || cfg.Addr != "h:24" {
		t.Errorf("%+v, %v", cfg, err)
	}
}

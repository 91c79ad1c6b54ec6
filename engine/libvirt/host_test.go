package libvirt

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"farm/engine"
	"farm/engine/local"

	rpc "github.com/digitalocean/go-libvirt"
	"github.com/hashicorp/go-hclog"
)

// homeConn is this machine with a home folder of the test's own.
type homeConn struct {
	*local.Conn
	home string
}

func newConn(t *testing.T) homeConn {
	c := homeConn{local.New(), t.TempDir()}
	t.Cleanup(func() { c.Close() })
	return c
}

func (c homeConn) Exec(ctx context.Context, cmd engine.Cmd) (engine.Output, error) {
	env := map[string]string{"HOME": c.home}
	maps.Copy(env, cmd.Env)
	cmd.Env = env
	return c.Conn.Exec(ctx, cmd)
}

func testHost(t *testing.T) *Host {
	conn := newConn(t)
	h := &Host{cfg: Config{Name: "hv", Conn: conn, URI: "qemu:///session", Log: hclog.NewNullLogger()}}
	h.basic = basics{user: "u", home: conn.home, bootID: "boot-1", kvm: "ok", arch: "x86_64"}
	return h
}

func TestPortsDoNotCollide(t *testing.T) {
	h, ctx := testHost(t), t.Context()
	a, err := h.takePort(ctx, "same", portWish{any: true})
	if err != nil || a < firstPort || a >= firstPort+portCount {
		t.Fatalf("port %d, %v", a, err)
	}
	// the same name begins at the same place: the second must move on
	b, err := h.takePort(ctx, "same", portWish{any: true})
	if err != nil || a == b {
		t.Fatalf("ports %d and %d, %v", a, b, err)
	}
	_, err = h.takePort(ctx, "other", portWish{port: a})
	if err == nil || !strings.Contains(err.Error(), "same") || engine.FaultOf(err) != engine.UserFault {
		t.Errorf("want the holder named, got %v", err)
	}
	if err := h.releasePort(ctx, a); err != nil {
		t.Fatal(err)
	}
	if got, err := h.takePort(ctx, "other", portWish{port: a}); err != nil || got != a {
		t.Errorf("a port given back: %d, %v", got, err)
	}
	if got, err := h.takePort(ctx, "none", portWish{}); got != 0 || err != nil {
		t.Errorf("no wish: %d, %v", got, err)
	}
}

func TestPortInUseIsRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	h := testHost(t)
	port := l.Addr().(*net.TCPAddr).Port
	if _, err := h.takePort(t.Context(), "m", portWish{port: port}); err == nil || !strings.Contains(err.Error(), "another program") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(h.basic.home, ".local/state/farm/ports", strconv.Itoa(port))); err == nil {
		t.Error("the refused port stays reserved")
	}
}

func TestBasicsOfThisHost(t *testing.T) {
	b, err := readBasics(t.Context(), newConn(t))
	if err != nil {
		t.Fatal(err)
	}
	if b.uid != os.Getuid() || b.vcpus < 1 || b.totalMiB < 1 || b.availableMiB > b.totalMiB || b.arch == "" || b.kernel == "" {
		t.Errorf("%+v", b)
	}
}

func TestProbeVerdict(t *testing.T) {
	cases := []struct {
		name, script string
		usable       bool
		why          string
	}{
		{"progress", "exit 65", true, ""},
		{"failure", "[ \"$2\" = tcg ] && exit 65; echo 'no good' >&2; exit 1", false, "no good"},
		{"no progress", "[ \"$2\" = tcg ] && exit 65; exec sleep 60", false, "did not end"},
		{"broken emulator", "exit 1", false, "not even emulated"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			h := testHost(t)
			emulator := filepath.Join(h.basic.home, "emulator")
			script := "#!/bin/sh\n[ \"$1\" != --version ] || { echo 1.2; exit; }\n[ \"$2\" != tcg ] || echo run >>$HOME/runs\n" + c.script + "\n"
			if err := os.WriteFile(emulator, []byte(script), 0o700); err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second answer is the kept one
				ok, why, err := h.probeKVM(t.Context(), "x86_64", emulator, true)
				if err != nil || ok != c.usable || !strings.Contains(why, c.why) {
					t.Fatalf("%v, %q, %v", ok, why, err)
				}
			}
			h.basic.bootID = "boot-2" // a new boot asks anew
			if _, _, err := h.probeKVM(t.Context(), "x86_64", emulator, true); err != nil {
				t.Fatal(err)
			}
			runs, _ := os.ReadFile(filepath.Join(h.basic.home, "runs"))
			if n := strings.Count(string(runs), "run"); n != 2 {
				t.Errorf("the guest was booted %d times, want 2", n)
			}
		})
	}
}

func TestProbeIsNotRun(t *testing.T) {
	cases := []struct {
		name, accel, kvm, arch string
		offered, usable        bool
		why                    string
	}{
		{"emulation asked for", "tcg", "ok", "x86_64", true, false, "asked for"},
		{"acceleration asked for", "kvm", "ok", "x86_64", true, true, ""},
		{"no device", "", "none", "x86_64", false, false, "no /dev/kvm"},
		{"no right", "", "denied", "x86_64", true, false, "group kvm"},
		{"foreign", "", "ok", "aarch64", false, false, "does not accelerate"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			h := testHost(t)
			h.cfg.Accel, h.basic.kvm = c.accel, c.kvm
			ok, why, err := h.probeKVM(t.Context(), c.arch, "/nonexistent", c.offered)
			if err != nil || ok != c.usable || !strings.Contains(why, c.why) {
				t.Errorf("%v, %q, %v", ok, why, err)
			}
		})
	}
}

// silent is a daemon that accepts and says nothing.
func silent(t *testing.T) (*link, chan struct{}) {
	ended := make(chan struct{})
	l := newLink("hv", "qemu:///session", func(context.Context) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			defer close(ended)
			_, _ = io.Copy(io.Discard, theirs)
		}()
		return ours, nil
	}, hclog.NewNullLogger())
	t.Cleanup(l.close)
	return l, ended
}

func TestSilentDaemonIsDropped(t *testing.T) {
	l, ended := silent(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := l.call(ctx, op{what: "ask"}, func(*rpc.Libvirt) error { return nil })
	if !errors.Is(err, engine.ErrUnreachable) {
		t.Errorf("got %v", err)
	}
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Error("the stream was left open")
	}
}

func TestURIOfAnotherMachineIsRefused(t *testing.T) {
	for uri, good := range map[string]bool{
		"qemu:///session": true, "qemu:///system": true, "test:///default": true,
		"qemu+ssh://a/session": false, "qemu://a/system": false, "session": false,
	} {
		if _, err := localURI(uri); (err == nil) != good {
			t.Errorf("%s: %v", uri, err)
		}
	}
}

func TestFirmwareOrder(t *testing.T) {
	d := func(name, features string) string {
		return "\x1e/usr/share/qemu/firmware/" + name + ".json\n" + `{"interface-types":["uefi"],"mapping":{"device":"flash",
			"executable":{"filename":"/` + name + `","format":"raw"},"nvram-template":{"filename":"/vars","format":"raw"}},
			"targets":[{"architecture":"x86_64"}],"features":[` + features + `]}`
	}
	got := parseFirmware(d("secure", `"enrolled-keys"`) + d("plain", "") + "\x1e/x/broken.json\n{" + d("plain", `"again"`))
	fs := got["x86_64"]
	if len(fs) != 2 || fs[0].Loader != "/plain" || fs[1].Loader != "/secure" {
		t.Errorf("%+v", got)
	}
}

func TestPowerState(t *testing.T) {
	cases := []struct {
		state  rpc.DomainState
		reason int32
		want   engine.PowerState
		why    string
	}{
		{rpc.DomainRunning, 1, engine.Running, ""},
		{rpc.DomainShutdown, 0, engine.Running, ""},
		{rpc.DomainShutoff, int32(rpc.DomainShutoffDestroyed), engine.Off, ""},
		{rpc.DomainShutoff, int32(rpc.DomainShutoffCrashed), engine.Crashed, "emulator"},
		{rpc.DomainPaused, int32(rpc.DomainPausedIoerror), engine.Paused, "I/O error"},
	}
	for _, c := range cases {
		got, why := powerState(int32(c.state), c.reason)
		if got != c.want || !strings.Contains(why, c.why) {
			t.Errorf("%v/%d: %s, %q", c.state, c.reason, got, why)
		}
	}
}

func TestPickAddress(t *testing.T) {
	card := func(mac string, addrs ...string) rpc.DomainInterface {
		i := rpc.DomainInterface{Hwaddr: rpc.OptString{mac}}
		for _, a := range addrs {
			i.Addrs = append(i.Addrs, rpc.DomainIPAddr{Addr: a})
		}
		return i
	}
	cards := []rpc.DomainInterface{card("00:00", "127.0.0.1"), card("52:54:00:AA", "fe80::1", "2001:db8::1", "10.0.0.2"), card("52:54:00:bb", "10.0.0.3")}
	for mac, want := range map[string]string{"": "10.0.0.2", "52:54:00:aa": "10.0.0.2", "52:54:00:bb": "10.0.0.3", "52:54:00:cc": ""} {
		if got := pickAddress(cards, mac); got != want {
			t.Errorf("%q: %q, want %q", mac, got, want)
		}
	}
}

//go:build e2e

// Package e2e tests farm with real hypervisors and guests. It needs root on Debian with
// libvirt, QEMU, OpenSSH's server, tini and mmdebstrap; no hardware acceleration.
package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"farm/engine"
	"farm/engine/enginetest"
	"farm/engine/libvirt"
	"farm/engine/local"
	"farm/engine/ssh"
	"farm/inventory"
)

// bootTime is how long an emulated guest may take to answer.
const bootTime = 90 * time.Second

// lab runs one of the scripts beside this test and returns what it printed.
func lab(t *testing.T, argv ...string) string {
	t.Helper()
	enginetest.NeedRoot(t, "users and guests are made")
	cmd := exec.Command(filepath.Join("lab", argv[0]), argv[1:]...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v: %s", argv, err, stderr.String())
	}
	return string(out)
}

// guest builds a tiny guest and returns the folder of its files.
func guest(t *testing.T, arch string) string {
	dir := t.TempDir()
	lab(t, "guest", arch, "tiny", dir)
	return dir
}

// hypervisors brings n of them up and returns a connection to each.
func hypervisors(t *testing.T, n int) []engine.Conn {
	lines := lab(t, "hypervisors", "up", fmt.Sprint(n))
	t.Cleanup(func() { lab(t, "hypervisors", "down") })
	var conns []engine.Conn
	for line := range strings.Lines(lines) {
		f := strings.Fields(line)
		conn, err := ssh.Dial(t.Context(), ssh.Config{
			Name: f[0], Addr: "127.0.0.1:" + f[1], User: f[0],
			KeyFiles: []string{f[2]}, HostKeys: []string{f[3] + " " + f[4]},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		conns = append(conns, conn)
	}
	return conns
}

func open(t *testing.T, conn engine.Conn, name string) *libvirt.Host {
	t.Helper()
	h, err := libvirt.Open(t.Context(), libvirt.Config{Name: name, Conn: conn})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

// spec is a machine that boots the guest in dir, its files copied to the host.
func spec(t *testing.T, h *libvirt.Host, arch, name, dir string) engine.MachineSpec {
	t.Helper()
	ctx := t.Context()
	caps, err := h.Capabilities(ctx)
	if err != nil {
		t.Fatal(err)
	}
	there := path.Join(caps.Home, "farm-e2e", name)
	if _, err := h.Conn().Exec(ctx, engine.Cmd{Argv: []string{"mkdir", "-p", there}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = h.Conn().Exec(context.Background(), engine.Cmd{Argv: []string{"rm", "-rf", there}})
	})
	for _, file := range []string{"kernel", "initrd"} {
		f, err := os.Open(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		err = h.Conn().Upload(ctx, path.Join(there, file), 0o600, f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
	}
	params, err := os.ReadFile(filepath.Join(dir, "params"))
	if err != nil {
		t.Fatal(err)
	}
	return engine.MachineSpec{
		Name: name,
		Dir:  there,
		VM: inventory.VM{ID: "tiny/" + arch, Arch: arch, Def: inventory.Definition{
			Arch: arch, RAMMiB: 384, VCPUs: 1,
			Kernel: inventory.Kernel{Src: path.Join(there, "kernel"), Initrd: path.Join(there, "initrd"), Params: strings.TrimSpace(string(params))},
		}},
		Owner: engine.Owner{Run: "e2e", VM: "tiny/" + arch, User: "e2e@here", Dir: there},
		KVM:   caps.Guests[arch].KVM,
	}
}

// define defines a machine that the test removes at its end.
func define(t *testing.T, h *libvirt.Host, s engine.MachineSpec) engine.Machine {
	t.Helper()
	m, err := h.Define(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := m.Remove(ctx); err != nil {
			t.Errorf("remove: %v", err)
		}
	})
	return m
}

// awaitBanner waits until the guest's sshd says its name through the host.
func awaitBanner(t *testing.T, conn engine.Conn, addr string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bootTime)
	defer cancel()
	var last error
	for ctx.Err() == nil {
		banner, err := readBanner(ctx, conn, addr)
		if err == nil {
			return banner
		}
		last = err
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	t.Fatalf("no SSH banner at %s within %v: %v", addr, bootTime, last)
	return ""
}

func readBanner(ctx context.Context, conn engine.Conn, addr string) (string, error) {
	c, err := conn.Dial(ctx, "tcp", addr)
	if err != nil {
		return "", err
	}
	defer c.Close()
	// a stream through SSH knows no deadlines: closing it ends the wait
	defer time.AfterFunc(5*time.Second, func() { c.Close() }).Stop()
	b := make([]byte, 4)
	_, err = io.ReadFull(c, b)
	if err == nil && string(b) != "SSH-" {
		err = fmt.Errorf("it says %q", b)
	}
	return string(b), err
}

// live takes a guest through its whole life on a host.
func live(t *testing.T, h *libvirt.Host, arch, libvirtArch string) {
	ctx := t.Context()
	dir := guest(t, arch)
	s := spec(t, h, libvirtArch, "farm-e2e-"+arch, dir)
	m := define(t, h, s)
	wantState(t, m, engine.Off)

	began := time.Now()
	if err := m.Start(ctx); err != nil {
		t.Fatal(err)
	}
	wantState(t, m, engine.Running)
	addr, err := m.SSH(ctx)
	if err != nil {
		t.Fatal(err)
	}
	awaitBanner(t, h.Conn(), addr)
	t.Logf("%s: banner at %s after %v", arch, addr, time.Since(began).Round(100*time.Millisecond))

	guest, err := ssh.Dial(ctx, ssh.Config{
		Name: "guest", Addr: addr, User: "root", Dialer: h.Conn().Dial,
		KeyFiles:   []string{filepath.Join(dir, "key")},
		KnownHosts: []string{filepath.Join(t.TempDir(), "known_hosts")}, AcceptNew: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := guest.Exec(ctx, engine.Cmd{Argv: []string{"uname", "-m"}})
	guest.Close()
	if err != nil || strings.TrimSpace(string(out.Stdout)) != libvirtArch {
		t.Fatalf("uname -m: %q, %v", out.Stdout, err)
	}

	owner := s.Owner
	owner.Keep, owner.Expires = true, time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	if err := m.SetOwner(ctx, owner); err != nil {
		t.Fatal(err)
	}
	found, err := h.Machine(ctx, s.Name)
	if err != nil || found.Owner() != owner {
		t.Fatalf("owner read back: %+v, %v", found, err)
	}
	all, err := h.Machines(ctx)
	if err != nil || !slices.ContainsFunc(all, func(m engine.Machine) bool { return m.Name() == s.Name }) {
		t.Fatalf("machines: %v, %v; %s is missing", all, err, s.Name)
	}

	quick, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	began = time.Now()
	if err := m.Shutdown(quick); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: off after %v", arch, time.Since(began).Round(100*time.Millisecond))
	wantState(t, m, engine.Off)
	var console bytes.Buffer
	if err := h.Conn().Download(ctx, m.ConsoleLog(), &console); err != nil || !strings.Contains(console.String(), "Power down") {
		t.Errorf("console log: %v, %q", err, console.String())
	}
	if err := m.Remove(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Machine(ctx, s.Name); !errors.Is(err, engine.ErrNotExist) {
		t.Errorf("after Remove: %v", err)
	}
}

func wantState(t *testing.T, m engine.Machine, want engine.PowerState) {
	t.Helper()
	if got, err := m.State(t.Context()); err != nil || got != want {
		t.Fatalf("state %q, %v; want %q", got, err, want)
	}
}

func TestLocalSession(t *testing.T) {
	enginetest.NeedRoot(t, "guests are made")
	conn := local.New()
	defer conn.Close()
	h := open(t, conn, "localhost")
	for _, g := range []struct{ arch, libvirt string }{{"amd64", "x86_64"}, {"arm64", "aarch64"}, {"ppc64el", "ppc64le"}} {
		t.Run(g.arch, func(t *testing.T) { live(t, h, g.arch, g.libvirt) })
	}
}

func TestHypervisorsOverSSH(t *testing.T) {
	conns := hypervisors(t, 2)
	for i, conn := range conns {
		t.Run(fmt.Sprint(i+1), func(t *testing.T) {
			h := open(t, conn, conn.String())
			caps, err := h.Capabilities(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			amd := caps.Guests["x86_64"]
			if amd.Emulator == "" || len(amd.Machines) == 0 || caps.MemoryMiB == 0 || caps.VCPUs == 0 || caps.LibvirtVersion == "" {
				t.Fatalf("capabilities lack something: %+v", caps)
			}
			t.Logf("libvirt %s, KVM %v %s, firmware %v", caps.LibvirtVersion, amd.KVM, amd.WhyNot, amd.Firmware)
			live(t, h, "amd64", "x86_64")
		})
	}
}

func TestPortsAndNets(t *testing.T) {
	h := open(t, hypervisors(t, 1)[0], "hv")
	dir := guest(t, "amd64")
	base := func(name string, nets ...inventory.Net) engine.MachineSpec {
		s := spec(t, h, "x86_64", name, dir)
		s.VM.Def.Net = nets
		return s
	}
	t.Run("preset port collides", func(t *testing.T) {
		user := inventory.Net{Type: "user", Source: "hostfwd=tcp::28022-:22"}
		m := define(t, h, base("farm-e2e-one", user))
		if addr, err := m.SSH(t.Context()); err != nil || addr != "127.0.0.1:28022" {
			t.Fatalf("address %q, %v", addr, err)
		}
		_, err := h.Define(t.Context(), base("farm-e2e-two", user))
		if err == nil || !strings.Contains(err.Error(), "farm-e2e-one") || engine.FaultOf(err) != engine.UserFault {
			t.Fatalf("want a refusal that names the holder, got %v", err)
		}
		if err := m.Remove(t.Context()); err != nil {
			t.Fatal(err)
		}
		define(t, h, base("farm-e2e-two", user))
	})
	t.Run("namesake is refused", func(t *testing.T) {
		define(t, h, base("farm-e2e-same"))
		if _, err := h.Define(t.Context(), base("farm-e2e-same")); err == nil || !strings.Contains(err.Error(), "tiny/x86_64") {
			t.Fatalf("want a refusal that names the owner, got %v", err)
		}
	})
	t.Run("every kind of net is accepted", func(t *testing.T) {
		define(t, h, base("farm-e2e-nets",
			inventory.Net{Type: "user"}, inventory.Net{Type: "vde", Source: "/tmp/switch"},
			inventory.Net{Type: "network", Source: "default"}, inventory.Net{Type: "bridge", Source: "br0"},
			inventory.Net{Type: "ethernet", Source: "tap0"}))
	})
	t.Run("a failed start quotes the emulator", func(t *testing.T) {
		s := base("farm-e2e-bad", inventory.Net{Type: "user", Source: "no-such-option=1"})
		m := define(t, h, s)
		if err := m.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "no-such-option") {
			t.Fatalf("want QEMU's complaint, got %v", err)
		}
	})
}

func TestFirmware(t *testing.T) {
	h := open(t, hypervisors(t, 1)[0], "hv")
	s := spec(t, h, "aarch64", "farm-e2e-uefi", guest(t, "arm64"))
	s.VM.Def.Firmware.Loader = "auto"
	m := define(t, h, s)
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	addr, err := m.SSH(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	awaitBanner(t, h.Conn(), addr)
	if err := m.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Conn().Exec(t.Context(), engine.Cmd{Argv: []string{"test", "!", "-e", path.Join(s.Dir, "nvram.fd")}}); err != nil {
		t.Errorf("the NVRAM is still there: %v", err)
	}
}

//go:build e2e

// Package e2e holds the tests that need real guests: Debian with root, QEMU and a package mirror.
package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"farm/callbacks"
	"farm/engine"
	"farm/inventory"
	"farm/inventory/value"
)

// machines says how QEMU runs each architecture by direct kernel boot.
var machines = map[string]struct{ emulator, machine, cpu, console string }{
	"amd64":   {"qemu-system-x86_64", "q35", "max", "ttyS0"},
	"arm64":   {"qemu-system-aarch64", "virt", "cortex-a57", "ttyAMA0"},
	"armhf":   {"qemu-system-arm", "virt", "cortex-a15", "ttyAMA0"},
	"ppc64el": {"qemu-system-ppc64", "pseries,x-vof=on,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken", "POWER9", "hvc0"},
	"riscv64": {"qemu-system-riscv64", "virt", "rv64", "ttyS0"},
}

// FARM_E2E_ARCH lists the architectures, default amd64; FARM_E2E_IMAGES keeps images there.
func TestBootstrapBootsToSSH(t *testing.T) {
	for _, arch := range strings.Fields(cmpOr(os.Getenv("FARM_E2E_ARCH"), "amd64")) {
		t.Run(arch, func(t *testing.T) {
			m := machines[arch]
			if _, err := exec.LookPath(m.emulator); err != nil {
				t.Fatalf("this test needs %s: %v", m.emulator, err)
			}
			im, key := bootstrapImage(t, arch)
			start := time.Now()
			client, console := bootImage(t, arch, im, key)
			t.Logf("%s: SSH after %.1f s", arch, time.Since(start).Seconds())
			for command, want := range map[string]string{
				"dpkg --print-architecture": arch,
				"hostname":                  "e2e-guest",
				"sudo -n id -u":             "0",
				"id -un":                    "tester",
				"df -BG --output=size / | tail -n 1 | tr -d ' G'": "6", // of 6 GiB, rounded up; the image has 4
				"sudo systemctl list-units --failed --no-legend":  "",
				"cat /etc/resolv.conf":                            "nameserver 10.0.2.3",
				"test -s /etc/machine-id && echo yes":             "yes",
			} {
				if got := remote(t, client, command); got != want {
					t.Errorf("%s: got %q, want %q", command, got, want)
				}
			}
			t.Logf("units by time:\n%s", remote(t, client, "systemd-analyze; systemd-analyze blame | head -n 12"))
			if t.Failed() {
				t.Log(console.String())
			}
		})
	}
}

func cmpOr(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// bootstrapImage runs the callback on this machine and returns its image and the guest's key.
func bootstrapImage(t *testing.T, arch string) (*engine.Image, ssh.Signer) {
	t.Helper()
	dir := cmpOr(os.Getenv("FARM_E2E_IMAGES"), t.TempDir())
	dir = filepath.Join(dir, arch)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	keyPath := filepath.Join(t.TempDir(), "key")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", keyPath).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v: %s", err, out)
	}
	private, err := os.ReadFile(keyPath)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.ParsePrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	im := &engine.Image{
		Conn: here{}, Local: here{}, TmpDir: dir, PoolDir: dir, KeyPath: keyPath,
		VM: inventory.VM{Def: inventory.Definition{Metadata: inventory.Metadata{
			Hostname: "e2e-guest", Auth: inventory.Auth{User: "tester"}}}},
		Emit: func(e engine.Event) { t.Logf("%6.1f %s", time.Since(start).Seconds(), e.Text) },
	}
	args := value.NewDict()
	args.Set("arch", arch)
	if packages := os.Getenv("FARM_E2E_PACKAGES"); packages != "" {
		args.Set("packages", packages)
	}
	callback := findCallback(t, "bootstrap")
	if err := value.Decode(args, callback); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Minute)
	defer cancel()
	if err := callback.Run(ctx, im); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: built in %.1f s", arch, time.Since(start).Seconds())
	return im, signer
}

func findCallback(t *testing.T, name string) engine.Callback {
	t.Helper()
	for _, def := range callbacks.All() {
		if def.Name == name {
			return def.New()
		}
	}
	t.Fatalf("no callback %q", name)
	return nil
}

// bootImage boots an overlay of the image, larger than it, and logs in with the key and
// the host key that the callback reported.
func bootImage(t *testing.T, arch string, im *engine.Image, key ssh.Signer) (*ssh.Client, *bytes.Buffer) {
	t.Helper()
	m := machines[arch]
	overlay := filepath.Join(t.TempDir(), "overlay.qcow2")
	base := filepath.Join(im.TmpDir, "disk.qcow2")
	if out, err := exec.Command("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", base, overlay, "6G").CombinedOutput(); err != nil {
		t.Fatalf("qemu-img: %v: %s", err, out)
	}
	addr := freeAddr(t)
	args := []string{"-accel", "tcg", "-M", m.machine, "-cpu", m.cpu, "-smp", "2", "-m", "1024", "-nographic", "-nodefaults",
		"-serial", "stdio", "-no-reboot", "-device", "virtio-rng-pci",
		"-drive", "if=none,id=root,cache=unsafe,format=qcow2,file=" + overlay, "-device", "virtio-blk-pci,drive=root",
		"-netdev", "user,id=lan,hostfwd=tcp:" + addr + "-:22", "-device", "virtio-net-pci,netdev=lan,romfile=",
		"-kernel", filepath.Join(im.TmpDir, "vmlinuz"), "-initrd", filepath.Join(im.TmpDir, "initrd.img"),
		"-append", "console=" + m.console + " quiet"}
	if extra := os.Getenv("FARM_E2E_QEMU"); extra != "" {
		args = append(args, strings.Fields(extra)...)
	}
	console := &bytes.Buffer{}
	qemu := exec.Command(m.emulator, args...)
	qemu.Stdout, qemu.Stderr = console, console
	if err := qemu.Start(); err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	go func() { qemu.Wait(); close(gone) }()
	t.Cleanup(func() { qemu.Process.Kill(); <-gone })

	want, _, _, _, err := ssh.ParseAuthorizedKey([]byte(im.HostKeys[0]))
	if err != nil {
		t.Fatal(err)
	}
	config := &ssh.ClientConfig{User: "tester", Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyCallback: ssh.FixedHostKey(want),
		HostKeyAlgorithms: []string{ssh.KeyAlgoED25519}}
	deadline := time.After(4 * time.Minute)
	for {
		client, err := dialSSH(addr, config)
		if err == nil {
			t.Cleanup(func() { client.Close() })
			return client, console
		}
		select {
		case <-gone:
			t.Fatalf("QEMU ended:\n%s", console)
		case <-deadline:
			t.Fatalf("no SSH: %v\n%s", err, console)
		case <-time.After(300 * time.Millisecond):
		}
	}
}

func dialSSH(addr string, config *ssh.ClientConfig) (*ssh.Client, error) {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	c, channels, requests, err := ssh.NewClientConn(conn, addr, config)
	if err != nil {
		conn.Close()
		return nil, err
	}
	conn.SetDeadline(time.Time{})
	return ssh.NewClient(c, channels, requests), nil
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func remote(t *testing.T, client *ssh.Client, command string) string {
	t.Helper()
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	out, err := session.CombinedOutput(command)
	if err != nil {
		t.Errorf("%s: %v: %s", command, err, out)
	}
	return strings.TrimSpace(string(out))
}

// here is this machine as a Conn, with what bootstrap uses of one.
type here struct{ engine.Conn }

func (here) String() string { return "this machine" }

func (here) Exec(ctx context.Context, c engine.Cmd) (engine.Output, error) {
	cmd := exec.CommandContext(ctx, c.Argv[0], c.Argv[1:]...)
	var out, diag bytes.Buffer
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Dir, c.Stdin, &out, &diag
	if user := os.Getenv("FARM_E2E_USER"); user != "" {
		cmd = exec.CommandContext(ctx, "runuser", append([]string{"-u", user, "--"}, c.Argv...)...)
		cmd.Dir, cmd.Stdout, cmd.Stderr = c.Dir, &out, &diag
	}
	if c.Stdout != nil {
		cmd.Stdout = io.MultiWriter(&out, c.Stdout)
		cmd.Stderr = io.MultiWriter(&diag, c.Stderr)
	}
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("%w: %s", &engine.ExitError{Status: exit.ExitCode()}, bytes.TrimSpace(diag.Bytes()[max(0, diag.Len()-200):]))
	}
	return engine.Output{Stdout: out.Bytes(), Stderr: diag.Bytes()}, err
}

func (here) Upload(_ context.Context, dst string, perm fs.FileMode, src io.Reader) error {
	text, err := io.ReadAll(src)
	if err != nil {
		return err
	}
	if err := os.WriteFile(dst, text, perm); err != nil {
		return err
	}
	if user := os.Getenv("FARM_E2E_USER"); user != "" {
		return exec.Command("chown", user, dst).Run()
	}
	return nil
}

func (here) Download(_ context.Context, src string, dst io.Writer) error {
	f, err := os.Open(src)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(dst, f)
	return err
}

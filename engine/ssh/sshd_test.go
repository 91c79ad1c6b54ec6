package ssh

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/crypto/ssh"

	"farm/engine"
	"farm/engine/enginetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// writeKey makes a key pair and returns the private file and the public line.
func writeKey(t *testing.T, file string) string {
	t.Helper()
	_, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(priv, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	signer, _ := ssh.NewSignerFromKey(priv)
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey())))
}

// startSSHD runs OpenSSH's server as this user on a free port of the loopback.
func startSSHD(t *testing.T, extra string) Config {
	t.Helper()
	const sshd = "/usr/sbin/sshd"
	enginetest.Need(t, sshd)
	dir := t.TempDir()
	host := writeKey(t, dir+"/host")
	os.WriteFile(dir+"/authorized", []byte(writeKey(t, dir+"/user")+"\n"), 0o600)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().(*net.TCPAddr)
	l.Close()
	conf := fmt.Sprintf("Port %d\nListenAddress 127.0.0.1\nHostKey %s/host\nAuthorizedKeysFile %s/authorized\nPidFile none\n"+
		"StrictModes no\nUsePAM no\nPasswordAuthentication no\n%s\n", addr.Port, dir, dir, extra)
	if !strings.Contains(extra, "sftp") {
		conf += "Subsystem sftp internal-sftp\n"
	}
	os.WriteFile(dir+"/conf", []byte(conf), 0o600)
	if os.Getuid() == 0 {
		os.MkdirAll("/run/sshd", 0o755) // sshd run by root will not start without
	}
	var log bytes.Buffer
	cmd := exec.Command(sshd, "-D", "-e", "-f", dir+"/conf")
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("sshd: %s", log.String())
		}
	})
	waitListening(t, addr.String())
	me, _ := user.Current()
	return Config{Name: "test", Addr: addr.String(), User: me.Username, KeyFiles: []string{dir + "/user"}, HostKeys: []string{host}, Timeout: 10 * time.Second}
}

func waitListening(t *testing.T, addr string) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 500 {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return
		}
		<-tick.C
	}
	t.Fatalf("nothing listens on %s", addr)
}

func mustDial(t *testing.T, cfg Config) *Conn {
	t.Helper()
	c, err := Dial(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestConnConformanceOpenSSH(t *testing.T) {
	cfg := startSSHD(t, "")
	enginetest.TestConn(t, func(t *testing.T) enginetest.FullConn { return mustDial(t, cfg) })
}

func TestConnFilesWithoutSFTP(t *testing.T) {
	c := mustDial(t, startSSHD(t, "Subsystem sftp /nonexistent"))
	file := filepath.Join(t.TempDir(), "f")
	if err := c.Upload(t.Context(), file, 0o640, strings.NewReader("text")); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := c.Download(t.Context(), file, &b); err != nil || b.String() != "text" {
		t.Errorf("%q, %v", b.String(), err)
	}
	if !c.files.none {
		t.Error("sftp was used")
	}
	if err := c.Download(t.Context(), file+"x", io.Discard); !os.IsNotExist(err) && !strings.Contains(err.Error(), "not exist") {
		t.Errorf("missing: %v", err)
	}
}

func TestJumpChain(t *testing.T) {
	cfg := startSSHD(t, "")
	hop := cfg
	hop.Name = "hop"
	cfg.Via = []Config{hop, hop}
	c := mustDial(t, cfg)
	if out, err := c.Exec(t.Context(), engine.Cmd{Script: "echo hi"}); err != nil || string(out.Stdout) != "hi\n" {
		t.Errorf("%q, %v", out.Stdout, err)
	}
}

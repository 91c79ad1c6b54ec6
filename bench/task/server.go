package main

import (
	"bufio"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"strings"
	"time"

	xssh "golang.org/x/crypto/ssh"

	"farm/engine/ssh"
)

// bareRoundTrip has a running sh run a program and waits for its answer.
func bareRoundTrip(s *server, rounds int) (time.Duration, error) {
	client, err := xssh.Dial("tcp", s.cfg.Addr, &xssh.ClientConfig{
		User: s.cfg.User, Auth: []xssh.AuthMethod{xssh.PublicKeys(s.user)}, HostKeyCallback: xssh.FixedHostKey(s.host),
	})
	if err != nil {
		return 0, err
	}
	defer client.Close()
	sess, err := client.NewSession()
	if err != nil {
		return 0, err
	}
	in, err := sess.StdinPipe()
	if err != nil {
		return 0, err
	}
	out, err := sess.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := sess.Start("exec /bin/sh"); err != nil {
		return 0, err
	}
	r := bufio.NewReader(out)
	return median(rounds, func() error {
		if _, err := io.WriteString(in, "/bin/true; echo x\n"); err != nil {
			return err
		}
		_, err := r.ReadString('\n')
		return err
	})
}

// guest is a machine that is there already; the zero value is none.
type guest struct{ addr, key, hostKey string }

func (g guest) server(dir string) (*server, error) {
	if g.addr == "" {
		return startServer(dir)
	}
	name, addr, ok := strings.Cut(g.addr, "@")
	if !ok {
		return nil, fmt.Errorf("-guest %q is not user@host:port", g.addr)
	}
	s := &server{dir: dir, keyFile: g.key}
	text, err := os.ReadFile(g.key)
	if err != nil {
		return nil, err
	}
	if s.user, err = xssh.ParsePrivateKey(text); err != nil {
		return nil, err
	}
	if text, err = os.ReadFile(g.hostKey); err != nil {
		return nil, err
	}
	if s.host, _, _, _, err = xssh.ParseAuthorizedKey(text); err != nil {
		return nil, err
	}
	s.cfg = ssh.Config{Name: "guest", Addr: addr, User: name, KeyFiles: []string{g.key}, HostKeys: []string{string(xssh.MarshalAuthorizedKey(s.host))}}
	return s, nil
}

type server struct {
	cmd     *exec.Cmd // nil where it was not started here
	cfg     ssh.Config
	host    xssh.PublicKey
	user    xssh.Signer
	keyFile string // the private half of user
	dir     string
}

func (s *server) stop() {
	if s.cmd == nil {
		return
	}
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

func startServer(dir string) (*server, error) {
	s := &server{dir: dir, keyFile: dir + "/user"}
	host, err := writeKey(dir + "/host")
	if err != nil {
		return nil, err
	}
	s.host = host.PublicKey()
	if s.user, err = writeKey(dir + "/user"); err != nil {
		return nil, err
	}
	if err := os.WriteFile(dir+"/authorized", xssh.MarshalAuthorizedKey(s.user.PublicKey()), 0o600); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := l.Addr().(*net.TCPAddr)
	l.Close()
	conf := fmt.Sprintf("Port %d\nListenAddress 127.0.0.1\nHostKey %s/host\nAuthorizedKeysFile %s/authorized\nPidFile none\nStrictModes no\n"+
		"UsePAM no\nSubsystem sftp internal-sftp\n", addr.Port, dir, dir)
	if err := os.WriteFile(dir+"/conf", []byte(conf), 0o600); err != nil {
		return nil, err
	}
	if os.Getuid() == 0 {
		os.MkdirAll("/run/sshd", 0o755)
	}
	s.cmd = exec.Command("/usr/sbin/sshd", "-D", "-e", "-f", dir+"/conf")
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	me, err := user.Current()
	if err != nil {
		return nil, err
	}
	s.cfg = ssh.Config{Name: "loopback", Addr: addr.String(), User: me.Username, KeyFiles: []string{dir + "/user"},
		HostKeys: []string{string(xssh.MarshalAuthorizedKey(s.host))}}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range 250 {
		c, err := net.Dial("tcp", addr.String())
		if err == nil {
			return s, c.Close()
		}
		<-tick.C
	}
	s.stop()
	return nil, errors.New("sshd did not start")
}

func writeKey(file string) (xssh.Signer, error) {
	_, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	block, err := xssh.MarshalPrivateKey(priv, "")
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		return nil, err
	}
	return xssh.NewSignerFromKey(priv)
}

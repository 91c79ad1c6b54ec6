package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	xssh "golang.org/x/crypto/ssh"

	"farm/bench/sshd"
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
	own     *sshd.Server // nil where it was not started here
	cfg     ssh.Config
	host    xssh.PublicKey
	user    xssh.Signer
	keyFile string // the private half of user
	dir     string
}

func (s *server) stop() {
	if s.own != nil {
		s.own.Stop()
	}
}

func startServer(dir string) (*server, error) {
	own, err := sshd.Start(dir)
	if err != nil {
		return nil, err
	}
	return &server{own: own, dir: dir, host: own.HostKey, user: own.Key, keyFile: own.KeyFile, cfg: ssh.Config{
		Name: "loopback", Addr: own.Addr, User: own.User, KeyFiles: []string{own.KeyFile},
		HostKeys: []string{string(xssh.MarshalAuthorizedKey(own.HostKey))}}}, nil
}

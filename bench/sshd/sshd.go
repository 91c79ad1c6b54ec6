// Package sshd starts an OpenSSH server of its own on the loopback, with keys and a
// configuration of its own, for programs that measure or compare what is done over SSH.
package sshd

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"time"

	"golang.org/x/crypto/ssh"
)

// Server is a running sshd. It lets the user in who started it, by the key in KeyFile.
type Server struct {
	Addr    string // host:port
	User    string
	KeyFile string // the private key that it accepts
	Key     ssh.Signer
	HostKey ssh.PublicKey
	cmd     *exec.Cmd
}

// Start starts sshd with its files in dir, which is the caller's to remove after Stop.
func Start(dir string) (*Server, error) {
	me, err := user.Current()
	if err != nil {
		return nil, err
	}
	s := &Server{User: me.Username, KeyFile: filepath.Join(dir, "user")}
	host, err := writeKey(filepath.Join(dir, "host"))
	if err != nil {
		return nil, err
	}
	s.HostKey = host.PublicKey()
	if s.Key, err = writeKey(s.KeyFile); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "authorized"), ssh.MarshalAuthorizedKey(s.Key.PublicKey()), 0o600); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := l.Addr().(*net.TCPAddr)
	l.Close()
	s.Addr = addr.String()
	conf := fmt.Sprintf("Port %d\nListenAddress 127.0.0.1\nHostKey %s/host\nAuthorizedKeysFile %s/authorized\nPidFile none\nStrictModes no\n"+
		"UsePAM no\nSubsystem sftp internal-sftp\n", addr.Port, dir, dir)
	if err := os.WriteFile(filepath.Join(dir, "conf"), []byte(conf), 0o600); err != nil {
		return nil, err
	}
	if os.Getuid() == 0 {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			return nil, err
		}
	}
	s.cmd = exec.Command("/usr/sbin/sshd", "-D", "-e", "-f", filepath.Join(dir, "conf"))
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	if err := s.await(); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// await waits up to 5 s for the port to answer.
func (s *Server) await() error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range 250 {
		c, err := net.Dial("tcp", s.Addr)
		if err == nil {
			return c.Close()
		}
		<-tick.C
	}
	return errors.New("sshd did not start within 5s")
}

// Stop ends the server.
func (s *Server) Stop() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

func writeKey(file string) (ssh.Signer, error) {
	_, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(priv, "")
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		return nil, err
	}
	return ssh.NewSignerFromKey(priv)
}

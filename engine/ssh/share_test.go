package ssh

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"net"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"farm/engine"
)

// sharing is a shared login and the client's key to it.
type sharing struct {
	conn   *Conn
	keys   engine.ShareKeys
	client ssh.Signer
}

func shareLogin(t *testing.T) *sharing {
	t.Helper()
	_, host, _ := ed25519.GenerateKey(rand.Reader)
	public, private, _ := ed25519.GenerateKey(rand.Reader)
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return &sharing{mustDial(t, startSSHD(t, "")), engine.ShareKeys{Host: host, Client: public}, signer}
}

// dial logs in to the shared login as user; over is closed when Share has returned.
func (s *sharing) dial(t *testing.T, ctx context.Context, user string, key ssh.Signer) (client *ssh.Client, over chan error, err error) {
	t.Helper()
	host, _ := ssh.NewPublicKey(s.keys.Host.Public())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	over = make(chan error, 1)
	go func() {
		nc, err := l.Accept()
		if err == nil {
			err = s.conn.Share(ctx, nc, s.keys)
		}
		over <- err
	}()
	client, err = ssh.Dial("tcp", l.Addr().String(), &ssh.ClientConfig{
		User: user, Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyCallback: ssh.FixedHostKey(host),
	})
	return client, over, err
}

func TestShareRunsCommandsThroughTheLogin(t *testing.T) {
	s := shareLogin(t)
	client, over, err := s.dial(t, t.Context(), s.conn.cfg.User, s.client)
	if err != nil {
		t.Fatal(err)
	}
	sess, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	sess.Stdin, sess.Stdout, sess.Stderr = strings.NewReader("in"), &out, &errs
	err = sess.Run("cat; echo bad >&2; exit 7")
	var exit *ssh.ExitError
	if !errors.As(err, &exit) || exit.ExitStatus() != 7 || out.String() != "in" || errs.String() != "bad\n" {
		t.Errorf("%q %q %v", out.String(), errs.String(), err)
	}
	sess, err = client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := sess.RequestSubsystem("sftp"); err != nil {
		t.Errorf("sftp: %v", err)
	}
	sess.Close()
	client.Close()
	if err := <-over; err != nil {
		t.Errorf("Share: %v", err)
	}
}

func TestShareForwardsNothingElse(t *testing.T) {
	s := shareLogin(t)
	client, _, err := s.dial(t, t.Context(), s.conn.cfg.User, s.client)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if c, err := client.Dial("tcp", s.conn.cfg.Addr); err == nil {
		c.Close()
		t.Error("a port was forwarded")
	}
	sess, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer sess.Close()
	if ok, err := sess.SendRequest("auth-agent-req@openssh.com", true, nil); ok || err != nil {
		t.Errorf("agent forwarding: %v, %v", ok, err)
	}
}

func TestShareLetsNobodyElseIn(t *testing.T) {
	s := shareLogin(t)
	_, other, _ := ed25519.GenerateKey(rand.Reader)
	stranger, _ := ssh.NewSignerFromKey(other)
	for name, c := range map[string]struct {
		user string
		key  ssh.Signer
	}{"another key": {s.conn.cfg.User, stranger}, "another user": {"nobody-else", s.client}} {
		client, over, err := s.dial(t, t.Context(), c.user, c.key)
		if err == nil {
			client.Close()
			t.Errorf("%s was let in", name)
		}
		if err := <-over; err == nil {
			t.Errorf("%s: Share says nothing", name)
		}
	}
}

func TestShareEnds(t *testing.T) {
	s := shareLogin(t)
	ctx, cancel := context.WithCancel(t.Context())
	client, over, err := s.dial(t, ctx, s.conn.cfg.User, s.client)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	sess, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := sess.Start("exec sleep 1000"); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-over; err != nil {
		t.Errorf("Share: %v", err)
	}
	if err := sess.Wait(); err == nil {
		t.Error("the session went on")
	}
	s.conn.Close()
	near, far := net.Pipe()
	defer far.Close()
	if err := s.conn.Share(t.Context(), near, s.keys); !errors.Is(err, engine.ErrUnreachable) {
		t.Errorf("of a connection that is closed: %v", err)
	}
}

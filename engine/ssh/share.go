package ssh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"farm/engine"
)

// Requests on a session's channel that are passed on (RFC 4254, 6). An agent or a display of
// the controller is none of the machine's business.
var (
	askedOfMachine = []string{"pty-req", "env", "shell", "exec", "subsystem", "window-change", "signal", "eow@openssh.com"}
	toldByMachine  = []string{"exit-status", "exit-signal", "xon-xoff", "eow@openssh.com"}
)

// ShareUser is the user that is logged in; see engine.Sharer.
func (c *Conn) ShareUser(context.Context) (string, error) { return c.cfg.User, nil }

// Share lends the login to the SSH client at the other end of nc; see engine.Sharer.
func (c *Conn) Share(ctx context.Context, nc net.Conn, keys engine.ShareKeys) error {
	defer nc.Close()
	if lost := c.lost(); lost != nil {
		return lost
	}
	cfg, err := c.shareConfig(keys)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { nc.Close() })
	defer stop()
	nc.SetDeadline(time.Now().Add(c.cfg.Timeout))
	conn, chans, reqs, err := ssh.NewServerConn(nc, cfg)
	if err != nil {
		return fmt.Errorf("share the login to %q: %w", c.cfg.Name, err)
	}
	defer conn.Close()
	nc.SetDeadline(time.Time{})
	go ssh.DiscardRequests(reqs)
	for {
		select {
		case <-ctx.Done():
			return nil
		case ch, ok := <-chans:
			if !ok {
				return nil
			}
			if ch.ChannelType() != "session" {
				ch.Reject(ssh.Prohibited, "only sessions are shared")
				continue
			}
			c.work.Go(func() { c.shareSession(ctx, ch) })
		}
	}
}

func (c *Conn) shareConfig(keys engine.ShareKeys) (*ssh.ServerConfig, error) {
	host, err := ssh.NewSignerFromKey(keys.Host)
	if err != nil {
		return nil, fmt.Errorf("host key: %w", err)
	}
	client, err := ssh.NewPublicKey(keys.Client)
	if err != nil {
		return nil, fmt.Errorf("client key: %w", err)
	}
	cfg := &ssh.ServerConfig{ServerVersion: "SSH-2.0-farm", PublicKeyCallback: func(meta ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		switch {
		case !bytes.Equal(key.Marshal(), client.Marshal()):
			return nil, errors.New("the key is another one")
		case meta.User() != c.cfg.User:
			return nil, fmt.Errorf("the login is that of %q, not of %q", c.cfg.User, meta.User())
		}
		return nil, nil
	}}
	cfg.AddHostKey(host)
	return cfg, nil
}

// shareSession joins the channel that a client wants with a session of the machine. It ends when the
// session does; the session is closed when the client closes its channel.
func (c *Conn) shareSession(ctx context.Context, wanted ssh.NewChannel) {
	if err := c.pool.Reserve(ctx); err != nil {
		wanted.Reject(ssh.ResourceShortage, err.Error())
		return
	}
	defer c.pool.Release()
	theirs, told, err := c.client.OpenChannel("session", nil)
	if err != nil {
		wanted.Reject(ssh.ConnectionFailed, err.Error())
		return
	}
	defer theirs.Close()
	ours, asked, err := wanted.Accept()
	if err != nil {
		go ssh.DiscardRequests(told)
		return
	}
	defer ours.Close()
	go func() { // ends when the client's channel is closed, which it is below at the latest
		passRequests(theirs, asked, askedOfMachine)
		theirs.Close()
	}()
	go func() {
		io.Copy(theirs, ours)
		theirs.CloseWrite()
	}()
	var out sync.WaitGroup
	out.Go(func() { io.Copy(ours, theirs) })
	out.Go(func() { io.Copy(ours.Stderr(), theirs.Stderr()) })
	passRequests(ours, told, toldByMachine)
	out.Wait()
}

func passRequests(to ssh.Channel, from <-chan *ssh.Request, known []string) {
	for r := range from {
		ok := false
		if slices.Contains(known, r.Type) {
			ok, _ = to.SendRequest(r.Type, r.WantReply, r.Payload)
		}
		if r.WantReply {
			r.Reply(ok, nil)
		}
	}
}

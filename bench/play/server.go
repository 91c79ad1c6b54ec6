package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"sync"

	xssh "golang.org/x/crypto/ssh"

	"farm/engine/ssh"
	"farm/inventory/expr"
)

// servers are SSH servers on the loopback, one port a host, that run what they are told by sh.
type servers struct {
	names  []string
	addrs  map[string]string
	host   xssh.Signer
	engine *expr.Engine
	listen []net.Listener
	work   sync.WaitGroup
}

// password lets the benchmark in: the servers listen on the loopback while it runs.
var password = rand.Text()

func serve(n int) (*servers, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	s := &servers{addrs: map[string]string{}, engine: expr.New(expr.Options{})}
	if s.host, err = xssh.NewSignerFromKey(key); err != nil {
		return nil, err
	}
	cfg := &xssh.ServerConfig{PasswordCallback: func(_ xssh.ConnMetadata, given []byte) (*xssh.Permissions, error) {
		if string(given) != password {
			return nil, errors.New("wrong password")
		}
		return nil, nil
	}}
	cfg.AddHostKey(s.host)
	for i := range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			s.close()
			return nil, err
		}
		name := fmt.Sprintf("host%d", i)
		s.names, s.addrs[name], s.listen = append(s.names, name), l.Addr().String(), append(s.listen, l)
		s.work.Go(func() { s.accept(l, cfg) })
	}
	return s, nil
}

// config is how a server is logged into.
func (s *servers) config(name string) ssh.Config {
	key := strings.TrimSpace(string(xssh.MarshalAuthorizedKey(s.host.PublicKey())))
	return ssh.Config{Name: name, Addr: s.addrs[name], User: "bench", Password: password, HostKeys: []string{key}}
}

// close ends the servers, once their clients are gone.
func (s *servers) close() {
	for _, l := range s.listen {
		l.Close()
	}
	s.work.Wait()
}

func (s *servers) accept(l net.Listener, cfg *xssh.ServerConfig) {
	for {
		tcp, err := l.Accept()
		if err != nil {
			return
		}
		s.work.Go(func() {
			defer tcp.Close()
			_, chans, reqs, err := xssh.NewServerConn(tcp, cfg)
			if err != nil {
				return
			}
			s.work.Go(func() { xssh.DiscardRequests(reqs) })
			for c := range chans {
				if c.ChannelType() != "session" {
					c.Reject(xssh.UnknownChannelType, "sessions alone")
					continue
				}
				ch, reqs, err := c.Accept()
				if err == nil {
					s.work.Go(func() { session(ch, reqs) })
				}
			}
		})
	}
}

// session runs the command of one session (RFC 4254, 6.5).
func session(ch xssh.Channel, reqs <-chan *xssh.Request) {
	defer ch.Close()
	for r := range reqs {
		if r.Type != "exec" || len(r.Payload) < 4 {
			r.Reply(r.Type == "env", nil)
			continue
		}
		r.Reply(true, nil)
		cmd := exec.Command("/bin/sh", "-c", string(r.Payload[4:]))
		cmd.Stdout, cmd.Stderr = ch, ch.Stderr()
		in, err := cmd.StdinPipe()
		if err != nil || cmd.Start() != nil {
			return
		}
		var work sync.WaitGroup
		work.Go(func() {
			buf := make([]byte, 4<<10)
			for {
				n, err := ch.Read(buf)
				if n > 0 {
					in.Write(buf[:n])
				}
				if err != nil {
					in.Close()
					return
				}
			}
		})
		cmd.Wait()
		ch.SendRequest("exit-status", false, binary.BigEndian.AppendUint32(nil, uint32(cmd.ProcessState.ExitCode())))
		ch.Close()
		work.Wait()
		return
	}
}

package ssh

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// maxHandshakes is how many logins run at once to one address: sshd drops the rest
// (MaxStartups 10:30:100 in sshd_config(5)).
const maxHandshakes = 8

// handshakes limits logins by the machine they are made to. The entries are few: one
// for each address dialled.
type handshakes struct {
	mu    sync.Mutex
	limit map[string]chan struct{}
}

// logins is shared by all connections of the process, as the limit is the server's.
var logins = &handshakes{limit: map[string]chan struct{}{}}

func (h *handshakes) enter(ctx context.Context, key string) (leave func(), err error) {
	h.mu.Lock()
	c := h.limit[key]
	if c == nil {
		c = make(chan struct{}, maxHandshakes)
		h.limit[key] = c
	}
	h.mu.Unlock()
	leave = func() { <-c }
	select {
	case c <- struct{}{}:
		return leave, nil
	default: // full
	}
	select {
	case c <- struct{}{}:
		return leave, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for one of %d logins: %w", maxHandshakes, ctx.Err())
	}
}

// Dial logs in, through the hops first. A failure to is a *DialError, of the hop
// where it happened.
func Dial(ctx context.Context, cfg Config) (*Conn, error) {
	var hops []*Conn
	dialer := cfg.Dialer
	for _, hop := range cfg.Via {
		hop.Dialer, hop.Via = dialer, nil
		if hop.Log == nil {
			hop.Log = cfg.Log
		}
		if hop.Spare == "" {
			hop.Spare, hop.Warn = cfg.Spare, cfg.Warn
		}
		c, err := dialOne(ctx, hop)
		if err != nil {
			closeAll(hops)
			return nil, err
		}
		hops = append(hops, c)
		dialer = c.Dial
	}
	cfg.Dialer = dialer
	c, err := dialOne(ctx, cfg)
	if err != nil {
		closeAll(hops)
		return nil, err
	}
	c.hops = hops
	return c, nil
}

func closeAll(hops []*Conn) {
	for i := len(hops) - 1; i >= 0; i-- {
		hops[i].Close()
	}
}

func dialOne(ctx context.Context, cfg Config) (*Conn, error) {
	cfg = cfg.withDefaults()
	fail := func(stage Stage, err error) (*Conn, error) {
		return nil, &DialError{Name: cfg.Name, Addr: cfg.Addr, User: cfg.User, Stage: stage, Err: err}
	}
	keys, err := newTrust(cfg)
	if err != nil {
		return fail(StageHostKey, err)
	}
	auth, done, err := authMethods(cfg)
	if err != nil {
		return fail(StageAuth, err)
	}
	defer done()
	leave, err := logins.enter(ctx, cfg.Addr)
	if err != nil {
		return fail(StageTCP, err)
	}
	defer leave()

	tcp, err := dialTCP(ctx, cfg)
	if err != nil {
		return fail(StageTCP, err)
	}
	w := watchConn(tcp)
	conn, chans, reqs, err := handshake(ctx, w, cfg, keys, auth)
	if err != nil {
		tcp.Close()
		stage := w.stage()
		if keys.err != nil {
			stage, err = StageHostKey, keys.err
		}
		if stage == StageHandshake && keys.seen {
			stage = StageAuth
		}
		return fail(stage, err)
	}
	return newConn(cfg, ssh.NewClient(conn, chans, reqs)), nil
}

func dialTCP(ctx context.Context, cfg Config) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()
	if cfg.Dialer != nil {
		return cfg.Dialer(ctx, "tcp", cfg.Addr)
	}
	d := net.Dialer{KeepAlive: 15 * time.Second}
	return d.DialContext(ctx, "tcp", cfg.Addr)
}

// handshake logs in. It ends when ctx does or the time is up: by closing the connection,
// since not every connection that a hop makes has deadlines.
func handshake(ctx context.Context, w *watched, cfg Config, keys *trust, auth []ssh.AuthMethod) (ssh.Conn, <-chan ssh.NewChannel, <-chan *ssh.Request, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, cfg.Timeout, fmt.Errorf("no answer within %v", cfg.Timeout))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { w.Conn.Close() })
	conn, chans, reqs, err := ssh.NewClientConn(w, cfg.Addr, &ssh.ClientConfig{
		User:              cfg.User,
		Auth:              auth,
		HostKeyCallback:   keys.check,
		HostKeyAlgorithms: keys.algorithms,
		ClientVersion:     "SSH-2.0-farm",
	})
	if !stop() && err == nil {
		conn.Close()
		err = ctx.Err()
	}
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", ctx.Err(), context.Cause(ctx))
	}
	return conn, chans, reqs, err
}

// watched sees whether the server has said who it is (RFC 4253, 4.2).
type watched struct {
	net.Conn
	r       *bufio.Reader
	mu      sync.Mutex
	banner  bool
	checked bool
}

func watchConn(c net.Conn) *watched { return &watched{Conn: c, r: bufio.NewReaderSize(c, 32<<10)} }

var errNotSSH = errors.New("the server does not speak SSH")

func (w *watched) Read(p []byte) (int, error) {
	if !w.checked {
		w.checked = true
		head, err := w.r.Peek(4)
		if err != nil {
			return 0, err
		}
		// Lines before the version are allowed and rare; x/crypto skips them.
		if string(head) != "SSH-" && !printable(head) {
			return 0, errNotSSH
		}
		w.mu.Lock()
		w.banner = string(head) == "SSH-"
		w.mu.Unlock()
	}
	n, err := w.r.Read(p)
	return n, err
}

func printable(b []byte) bool {
	return !strings.ContainsFunc(string(b), func(r rune) bool { return r != '\n' && r != '\r' && (r < ' ' || r == 0xfffd) })
}

func (w *watched) stage() Stage {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.banner {
		return StageHandshake
	}
	return StageBanner
}

var _ io.Reader = (*watched)(nil)

package modules

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"

	"farm/engine"
	"farm/inventory/value"
)

// ansibleDoor is an SSH server of the loopback behind which the host's connection is: for the ssh(1)
// that Ansible starts, without the password or key that the host wants. Who has not the key made for
// this one run is not let in.
type ansibleDoor struct {
	dir      string // of key and known_hosts
	user     string
	port     int
	keys     engine.ShareKeys
	listener net.Listener // nil: the controller itself is the host
	task     *engine.Task
	ctx      context.Context
	cancel   context.CancelFunc
	work     sync.WaitGroup
	once     sync.Once

	mu   sync.Mutex // guards conn
	conn engine.Conn
}

// connect opens the way to the step's host.
func (s *ansibleStep) connect(ctx context.Context) (*ansibleDoor, error) {
	t := s.task
	d := &ansibleDoor{dir: s.dir, task: t, conn: t.Conn}
	d.ctx, d.cancel = context.WithCancel(ctx)
	if isController(t) {
		return d, nil
	}
	err := d.open()
	if err != nil {
		d.cancel()
		return nil, err
	}
	return d, nil
}

// isController reports whether the task acts on the controller, and may.
func isController(t *engine.Task) bool {
	if t.Local == nil {
		return false
	}
	if t.Conn == t.Local {
		return true
	}
	v, _, err := t.Vars.Get("ansible_connection")
	text := value.Text(v)
	return err == nil && text[strings.LastIndex(text, ".")+1:] == "local"
}

func (d *ansibleDoor) open() error {
	sharer, ok := d.conn.(engine.Sharer)
	if !ok {
		return engine.Blamef(engine.UserFault, "Ansible needs SSH to reach %q", d.task.Host)
	}
	var err error
	if d.user, err = sharer.ShareUser(d.ctx); err != nil {
		return err
	}
	if err := d.makeKeys(); err != nil {
		return err
	}
	d.listener, err = net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	d.port = d.listener.Addr().(*net.TCPAddr).Port
	d.work.Go(d.accept)
	return nil
}

// makeKeys writes the client's key and the file of known hosts.
func (d *ansibleDoor) makeKeys() error {
	public, host, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	client, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	d.keys = engine.ShareKeys{Host: host, Client: client}
	block, err := ssh.MarshalPrivateKey(private, "farm")
	if err != nil {
		return err
	}
	shown, err := ssh.NewPublicKey(public)
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(filepath.Join(d.dir, "key"), pem.EncodeToMemory(block), 0o600),
		os.WriteFile(filepath.Join(d.dir, "known_hosts"), append([]byte("farm "), ssh.MarshalAuthorizedKey(shown)...), 0o600))
}

func (d *ansibleDoor) accept() {
	for {
		nc, err := d.listener.Accept()
		if err != nil {
			return // closed
		}
		d.work.Go(func() { d.serve(nc) })
	}
}

// serve shares the connection with a client; where it was lost, as by a reboot, a new one.
func (d *ansibleDoor) serve(nc net.Conn) {
	defer nc.Close()
	conn, err := d.working()
	if err != nil {
		return // the client tells that its connection was closed
	}
	if sharer, ok := conn.(engine.Sharer); ok {
		sharer.Share(d.ctx, nc, d.keys) // what is wrong the client tells
	}
}

// working is the connection; a new one where it is lost.
func (d *ansibleDoor) working() (engine.Conn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, err := d.conn.Exec(d.ctx, engine.Cmd{Argv: []string{"true"}})
	if !errors.Is(err, engine.ErrUnreachable) || d.task.Reconnect == nil {
		return d.conn, err
	}
	conn, err := d.task.Reconnect(d.ctx)
	if err != nil {
		return nil, fmt.Errorf("log in to %q again: %w", d.task.Host, err)
	}
	d.conn = conn
	return conn, nil
}

// close ends what still goes through the door. The task has the newest connection then.
func (d *ansibleDoor) close() {
	d.once.Do(func() {
		d.cancel()
		if d.listener != nil {
			d.listener.Close()
		}
		d.work.Wait()
		d.task.Conn = d.conn
	})
}

// Package ssh is the engine.Conn of machines that are reached over SSH: hypervisors and
// guests. It dials by itself, since the timeout of ssh.Dial does not bound the
// handshake, notices dead peers by requests on the SSH level, and never lets a host key
// go unchecked.
package ssh

import (
	"context"
	"net"
	"os"
	"os/user"
	"time"

	"github.com/hashicorp/go-hclog"
)

// Dialer makes the connection that SSH runs over; engine.Conn's Dial is one.
type Dialer func(ctx context.Context, network, addr string) (net.Conn, error)

// Config says how a machine is reached. Addr and a way to check its host key are required.
type Config struct {
	Name string // in messages; "" = Addr
	Addr string // host:port, as seen from where Dialer dials
	User string // "" = the controller's user

	// KeyFiles are private keys, tried in order; when set, the agent and the default
	// keys are left alone unless UseAgent says otherwise.
	KeyFiles []string
	UseAgent bool
	Password string // also answers a keyboard-interactive question

	// HostKeys are the keys that the server may show, as in authorized_keys. When
	// set, nothing else is trusted.
	HostKeys []string
	// KnownHosts are files in known_hosts form; the first takes what AcceptNew pins.
	// One that is a character device, such as a link to /dev/null, is passed over.
	KnownHosts []string
	// Spare is a file in known_hosts form that stands in for the first where that one is a
	// device; "" = then nothing can be pinned.
	Spare string
	// Warn is told that Spare took a key; nil = nobody is. Connections may call it at once.
	Warn func(text string)
	// AcceptNew pins the key of a server not in KnownHosts on first use.
	AcceptNew bool
	// Strict tells that the user's configuration wants unknown keys refused; it changes nothing here.
	Strict bool

	// Dialer reaches Addr; nil = from the controller. It may be the Dial of any
	// engine.Conn, which outlives this one.
	Dialer Dialer
	// Via are hops on the way, nearest first. They are dialled with the
	// connection and closed with it; the first uses Dialer.
	Via []Config

	Timeout   time.Duration // for each of TCP and the login; 0 = 30 s
	Keepalive time.Duration // between checks, of which 3 may fail; 0 = 5 s, negative = none
	Log       hclog.Logger  // nil = none
}

func (c Config) withDefaults() Config {
	if c.Name == "" {
		c.Name = c.Addr
	}
	if c.User == "" {
		c.User = currentUser()
	}
	if c.Timeout == 0 {
		c.Timeout = 30 * time.Second
	}
	if c.Keepalive == 0 {
		c.Keepalive = 5 * time.Second
	}
	if c.Log == nil {
		c.Log = hclog.NewNullLogger()
	}
	if _, _, err := net.SplitHostPort(c.Addr); err != nil {
		c.Addr = net.JoinHostPort(c.Addr, "22")
	}
	return c
}

func currentUser() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return os.Getenv("USER")
}

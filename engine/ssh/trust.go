package ssh

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
)

// trust decides whether a server's key is the right one.
type trust struct {
	cfg        Config
	keys       [][]byte              // given directly; then the files do not matter
	pin        string                // the file that takes a new key
	db         *knownhosts.HostKeyDB // nil: no files
	algorithms []string              // to ask for; nil = any
	seen       bool                  // a key was shown and was right
	err        error                 // why a key was refused
}

func newTrust(cfg Config) (*trust, error) {
	t := &trust{cfg: cfg}
	for _, line := range cfg.HostKeys {
		key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
		if err != nil {
			return nil, fmt.Errorf("expected host key %.40q: %w", line, err)
		}
		t.keys = append(t.keys, key.Marshal())
		t.algorithms = append(t.algorithms, algorithmsOf(key.Type())...)
	}
	if t.keys != nil {
		return t, nil
	}
	files, pin, err := knownFiles(cfg)
	if err != nil {
		return nil, fmt.Errorf("known hosts: %w", err)
	}
	t.pin = pin
	if len(cfg.KnownHosts) == 0 {
		return nil, errors.New("no host keys and no known_hosts file to check the server's key with")
	}
	if len(files) == 0 {
		return t, nil
	}
	db, err := knownhosts.NewDB(files...)
	if err != nil {
		return nil, fmt.Errorf("known hosts: %w", badLine(files, err))
	}
	t.db = db
	t.algorithms = db.HostKeyAlgorithms(cfg.Addr)
	return t, nil
}

// badLine finds the line that made a file unreadable, which the error does not always name.
func badLine(files []string, cause error) error {
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		s := bufio.NewScanner(f)
		for n := 1; s.Scan(); n++ {
			line := bytes.TrimSpace(s.Bytes())
			if len(line) == 0 || line[0] == '#' {
				continue
			}
			if _, _, _, _, _, err := ssh.ParseKnownHosts(line); err != nil {
				return fmt.Errorf("%s:%d: %w", name, n, err)
			}
		}
	}
	return cause
}

// algorithmsOf lists the signatures of a type of key, best first.
func algorithmsOf(keyType string) []string {
	if keyType == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	return []string{keyType}
}

// check is the ssh.HostKeyCallback.
func (t *trust) check(addr string, remote net.Addr, key ssh.PublicKey) error {
	t.err = t.verify(addr, remote, key)
	t.seen = t.err == nil
	return t.err
}

func (t *trust) verify(addr string, remote net.Addr, key ssh.PublicKey) error {
	shown := key.Type() + " " + ssh.FingerprintSHA256(key)
	if t.keys != nil {
		if slices.ContainsFunc(t.keys, func(k []byte) bool { return bytes.Equal(k, key.Marshal()) }) {
			return nil
		}
		return fmt.Errorf("the server shows %s, which is not the key expected of %q", shown, t.cfg.Name)
	}
	var err error = &xknownhosts.KeyError{}
	if t.db != nil {
		err = t.db.HostKeyCallback()(addr, place(remote), key)
	}
	switch {
	case err == nil:
		return nil
	case knownhosts.IsHostKeyChanged(err):
		return fmt.Errorf("the key of %s has changed: it shows %s, but %s; if that is right, remove the old line: %w",
			addr, shown, wanted(err), err)
	case !knownhosts.IsHostUnknown(err):
		return err
	case !t.cfg.AcceptNew:
		return fmt.Errorf("%s is not known: it shows %s; add it to %s with ssh-keyscan after checking it, or set StrictHostKeyChecking=accept-new",
			addr, shown, t.pin)
	}
	if err := pin(t.pin, addr, key); err != nil {
		return err
	}
	if t.cfg.Warn != nil && t.pin != t.cfg.KnownHosts[0] {
		t.cfg.Warn(fmt.Sprintf("host keys are kept in %s, as %s is a device and keeps nothing", t.pin, t.cfg.KnownHosts[0]))
	}
	return nil
}

// place is remote where it is an address at all; behind a hop it is not.
func place(remote net.Addr) net.Addr {
	if _, _, err := net.SplitHostPort(remote.String()); err != nil {
		return &net.TCPAddr{IP: net.IPv4zero}
	}
	return remote
}

func wanted(err error) string {
	var ke *xknownhosts.KeyError
	if !errors.As(err, &ke) {
		return "another is known"
	}
	var l []string
	for _, k := range ke.Want {
		l = append(l, fmt.Sprintf("%s:%d has %s %s", k.Filename, k.Line, k.Key.Type(), ssh.FingerprintSHA256(k.Key)))
	}
	return strings.Join(l, ", ")
}

package ssh

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
)

// trust decides whether a server's key is the right one.
type trust struct {
	cfg        Config
	keys       [][]byte              // given directly; then the files do not matter
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
	var files []string
	for _, f := range cfg.KnownHosts {
		if _, err := os.Stat(f); err == nil {
			files = append(files, f)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
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
			addr, shown, t.cfg.KnownHosts[0])
	}
	return pin(t.cfg.KnownHosts[0], addr, key)
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

// pinning serialises writers of this process; others are kept out by the rename.
var pinning sync.Mutex

// pin adds a line to a known_hosts file, whose readers see the old or the new one whole.
func pin(file, addr string, key ssh.PublicKey) error {
	pinning.Lock()
	defer pinning.Unlock()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	perm := fs.FileMode(0o600)
	old, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if fi, err := os.Stat(file); err == nil {
		perm = fi.Mode().Perm()
	}
	if len(old) > 0 && old[len(old)-1] != '\n' {
		old = append(old, '\n')
	}
	line := knownhosts.Line([]string{addr}, key) + "\n"
	if real, err := filepath.EvalSymlinks(file); err == nil {
		file = real
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), ".known_hosts-*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(append(old, line...))
	err = errors.Join(err, tmp.Chmod(perm), tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), file)
	}
	if err != nil {
		os.Remove(tmp.Name())
		return fmt.Errorf("remember the key of %s: %w", addr, err)
	}
	return nil
}

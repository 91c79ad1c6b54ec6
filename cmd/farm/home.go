package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"

	"farm/engine/store"
)

// openStore opens farm's database.
func (a *app) openStore() (*store.Store, error) {
	home, err := a.home()
	if err != nil {
		return nil, err
	}
	s, err := store.Open(filepath.Join(home, "farm.db"))
	if err != nil {
		return nil, fmt.Errorf("open farm's records in %s (FARM_HOME sets the folder): %w", home, err)
	}
	return s, nil
}

// newRunID is the time and three random letters: it sorts by time and is unique enough
// on one controller; machines' names hold it.
func newRunID(now time.Time) string {
	const letters = "abcdefghijkmnpqrstuvwxyz23456789"
	b := make([]byte, 3)
	rand.Read(b) // never fails: https://pkg.go.dev/crypto/rand#Read
	for i := range b {
		b[i] = letters[int(b[i])%len(letters)]
	}
	return now.UTC().Format("20060102-150405") + "-" + string(b)
}

// guestKey returns the private key that guests accept: the given one, else farm's own. A
// missing key is made, with its public half beside it.
func (a *app) guestKey(path string) (string, error) {
	if path == "" {
		home, err := a.home()
		if err != nil {
			return "", err
		}
		path = filepath.Join(home, "keys", "id_ed25519")
	}
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		path = filepath.Join(home, rest)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return path, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	unlock, err := lockFile(path + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	// Another process may have made it while this one waited.
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return path, err
	}
	return path, makeKey(path)
}

// lockFile takes an exclusive lock among processes and returns its release.
func lockFile(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() { f.Close() }, nil
}

// makeKey writes a pair of keys; the private half appears last, and whole.
func makeKey(path string) error {
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	block, err := ssh.MarshalPrivateKey(priv, "farm")
	if err != nil {
		return err
	}
	line, err := ssh.NewPublicKey(pub)
	if err != nil {
		return err
	}
	public := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(line))) + " farm\n"
	if err := os.WriteFile(path+".pub", []byte(public), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", pem.EncodeToMemory(block), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

func appAt(home string) *app {
	return &app{getenv: func(name string) string { return map[string]string{"FARM_HOME": home}[name] }}
}

func TestGuestKeyIsMadeOnce(t *testing.T) {
	a := appAt(t.TempDir())
	const n = 8
	var paths, errs [n]string
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			path, err := a.guestKey("")
			paths[i] = path
			if err != nil {
				errs[i] = err.Error()
				return
			}
			// Whoever has a path has a whole pair.
			private, err := os.ReadFile(path)
			if err != nil {
				errs[i] = err.Error()
				return
			}
			signer, err := ssh.ParsePrivateKey(private)
			if err != nil {
				errs[i] = err.Error()
				return
			}
			public, err := os.ReadFile(path + ".pub")
			if err != nil || !bytes.HasPrefix(public, bytes.TrimSpace(ssh.MarshalAuthorizedKey(signer.PublicKey()))) {
				errs[i] = "the halves differ"
			}
		})
	}
	wg.Wait()
	for i := range n {
		if errs[i] != "" || paths[i] != paths[0] {
			t.Errorf("%s: %s", paths[i], errs[i])
		}
	}
	if info, err := os.Stat(paths[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the private key: %v, %v", info.Mode(), err)
	}
}

func TestGuestKeyLeavesAGivenKeyAlone(t *testing.T) {
	dir := t.TempDir()
	key := filepath.Join(dir, "id")
	if err := os.WriteFile(key, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := appAt(t.TempDir()).guestKey(key)
	if err != nil || got != key {
		t.Fatal(got, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("beside it: %v, %v", entries, err)
	}
	if text, _ := os.ReadFile(key); string(text) != "mine" {
		t.Errorf("it holds %q", text)
	}
}

func TestGuestKeyOfAFolderThatCannotBe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if path, err := appAt(file).guestKey(""); err == nil {
		t.Errorf("got %s", path)
	}
}

func TestRunIDsSortByTime(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("east", 3600))
	first, second := newRunID(at), newRunID(at.Add(time.Second))
	if !strings.HasPrefix(first, "20260102-020405-") || len(first) != len("20260102-020405-abc") || first >= second {
		t.Errorf("%s, then %s", first, second)
	}
}

package enginetest

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"farm/engine"
)

func (s suite) upload(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "a 'b'")
	for _, c := range []struct {
		text string
		perm fs.FileMode
	}{{"one", 0o644}, {"", 0o600}, {"three", 0o755}} {
		if err := s.conn.Upload(t.Context(), file, c.perm, strings.NewReader(c.text)); err != nil {
			t.Fatal(err)
		}
		fi, err := os.Stat(file)
		b, _ := os.ReadFile(file)
		if err != nil || fi.Mode() != c.perm || string(b) != c.text {
			t.Errorf("%q, mode %v, %v; want %q, %v", b, fi.Mode(), err, c.text, c.perm)
		}
		var got bytes.Buffer
		if err := s.conn.Download(t.Context(), file, &got); err != nil || got.String() != c.text {
			t.Errorf("Download: %q, %v", got.String(), err)
		}
	}
	err := s.conn.Upload(t.Context(), file, 0o644, io.MultiReader(strings.NewReader("half"), failingReader{}))
	if !errors.Is(err, errRead) {
		t.Errorf("a source that fails: %v", err)
	}
	if b, _ := os.ReadFile(file); string(b) != "three" {
		t.Errorf("then the file holds %q", b)
	}
	if err := s.conn.Upload(t.Context(), dir+"/none/x", 0o644, strings.NewReader("x")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without the folder: %v", err)
	}
	if l, _ := os.ReadDir(dir); len(l) != 1 {
		t.Errorf("left behind: %v", l)
	}
}

func (s suite) large(t *testing.T) {
	want := make([]byte, 20<<20)
	rand.Read(want)
	file := filepath.Join(t.TempDir(), "large")
	if err := s.conn.Upload(t.Context(), file, 0o600, bytes.NewReader(want)); err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	if err := s.conn.Download(t.Context(), file, h); err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(want); !bytes.Equal(h.Sum(nil), sum[:]) {
		t.Error("what came back differs")
	}
}

func (s suite) downloadMissing(t *testing.T) {
	if err := s.conn.Download(t.Context(), t.TempDir()+"/none", io.Discard); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("err = %v", err)
	}
	if err := s.conn.Download(t.Context(), t.TempDir(), io.Discard); err == nil || errors.Is(err, engine.ErrUnreachable) {
		t.Errorf("of a folder: %v", err)
	}
}

type onlyReader struct{ io.Reader }

var (
	errRead  = errors.New("cannot read")
	errWrite = errors.New("cannot write")
)

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, errRead }

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errWrite }

package local

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"farm/engine"
	"farm/engine/enginetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConnConformance(t *testing.T) {
	enginetest.TestConn(t, func(t *testing.T) enginetest.FullConn { return New() })
}

func TestDownloadRefusesWhatIsNoFile(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, src := range []string{pipe, t.TempDir()} {
		if err := New().Download(t.Context(), src, io.Discard); err == nil || !strings.Contains(err.Error(), "regular file") {
			t.Errorf("%s: %v", src, err)
		}
	}
}

func TestHereIsTheFolderThatFarmWasStartedIn(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	c := Here()
	defer c.Close()
	out, err := c.Exec(t.Context(), engine.Cmd{Script: "pwd"})
	if err != nil || strings.TrimSpace(string(out.Stdout)) != dir {
		t.Errorf("commands start in %q, %v; want %q", out.Stdout, err, dir)
	}
	if err := c.Upload(t.Context(), "a", 0o600, strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "a")); err != nil || string(text) != "x" {
		t.Errorf("the file holds %q, %v", text, err)
	}
}

package local

import (
	"io"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"

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

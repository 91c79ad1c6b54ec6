package enginetest

import (
	"os"
	"os/exec"
	"testing"
)

// Lacking skips a test for want of something on this machine; format and args say of what, and how
// to get it. With NO_SKIP in the environment, as `make test` has it, that is a failure.
func Lacking(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("NO_SKIP") != "" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// Need is Lacking unless the programs are on this machine, by a name in $PATH or by an
// absolute path. They have to be among those that `scripts/setup test` installs.
func Need(t testing.TB, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			Lacking(t, "needs %s, which `scripts/setup test` installs", program)
		}
	}
}

// NeedRoot is Lacking unless the test runs as root; why says what for.
func NeedRoot(t testing.TB, why string) {
	t.Helper()
	if os.Getuid() != 0 {
		Lacking(t, "needs root: %s", why)
	}
}

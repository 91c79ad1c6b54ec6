package enginetest

import (
	"os/exec"
	"testing"
)

// Need skips a test unless the programs are on this machine, by a name in $PATH or by an
// absolute path. They have to be among those that `scripts/setup test` installs.
func Need(t testing.TB, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("needs %s, which `scripts/setup test` installs", program)
		}
	}
}

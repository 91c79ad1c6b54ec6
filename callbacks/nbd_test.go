package callbacks

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

func TestNBDServerTakesItsFolderAlong(t *testing.T) {
	bin, dir := t.TempDir(), filepath.Join(t.TempDir(), "farm-nbd.x")
	const server = "#!/bin/sh\necho served at $2 as $4 from $6\nexec sleep 100\n"
	if err := os.WriteFile(filepath.Join(bin, "qemu-nbd"), []byte(server), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/bin/sh", "-c", nbdScript, "farm", dir, "qcow2", "a file")
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if want := "served at " + dir + "/nbd as qcow2 from a file\n"; err != nil || line != want {
		t.Errorf("it said %q, %v; want %q", line, err, want)
	}
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 128+int(syscall.SIGTERM) {
		t.Errorf("it ended with %v", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder: %v", err)
	}
}

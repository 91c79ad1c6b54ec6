//go:build e2e

package e2e

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestMain has one process at a time use the lab: its guests, users and daemons are
// the machine's. What an earlier one left because it was killed is removed first.
func TestMain(m *testing.M) {
	if os.Getuid() == 0 {
		if err := takeLab(); err != nil {
			fmt.Fprintln(os.Stderr, "e2e:", err)
			os.Exit(1)
		}
	}
	flag.Parse()
	if flag.Lookup("test.run").Value.String() == "" {
		go cloudFiles() // takes a minute of one processor; who wants it gets its error
	}
	os.Exit(m.Run())
}

func takeLab() error {
	cache, err := labCache()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return err
	}
	if err := lockLab(filepath.Join(cache, "lock")); errors.Is(err, syscall.EWOULDBLOCK) {
		return errors.New("another run of these tests is under way on this machine; try again when it is over")
	} else if err != nil {
		return fmt.Errorf("lock %s: %w", cache, err)
	}
	if out, err := exec.Command("lab/hypervisors", "down").CombinedOutput(); err != nil {
		return fmt.Errorf("lab/hypervisors down: %w: %s", err, out)
	}
	return clearHome(filepath.Join(cache, "home"))
}

// guestHome is the home folder that farm runs with: its cache of images is kept from test
// to test and apart from the user's own.
func guestHome() (string, error) {
	cache, err := labCache()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "home")
	return dir, os.MkdirAll(dir, 0o755)
}

// labCache is the folder of what tests build once.
func labCache() (string, error) {
	cache, err := os.UserCacheDir()
	return filepath.Join(cache, "farm-lab"), err
}

// lockLab takes the lab for as long as this process lives.
func lockLab(file string) error {
	// closed on exec: no child holds the lock
	fd, err := syscall.Open(file, syscall.O_CREAT|syscall.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	if err := syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		syscall.Close(fd)
		return err
	}
	return nil
}

// clearHome removes what a killed process left: machines, half-made images, ports.
func clearHome(dir string) error {
	// without a daemon no machine runs, and farm starts one itself when it needs it
	names, _ := virsh("list", "--all", "--name")
	for name := range strings.FieldsSeq(names) {
		definition, err := virsh("dumpxml", name)
		if err != nil || !strings.Contains(definition, dir+"/") && !strings.Contains(definition, "/farm-e2e/") {
			continue
		}
		_, _ = virsh("destroy", name) // fails for one that is off
		if out, err := virsh("undefine", "--nvram", name); err != nil {
			return fmt.Errorf("remove the machine %s of a killed test: %w: %s", name, err, out)
		}
	}
	for _, left := range leftIn(dir) {
		if err := os.RemoveAll(left); err != nil {
			return err
		}
	}
	return nil
}

// leftIn lists the files of machines and of images in the making in a home folder.
func leftIn(dir string) []string {
	left := files(dir, ".local/share/farm/machines/*")
	left = append(left, files(dir, ".local/share/farm/tmp/*")...)
	return append(left, files(dir, ".local/state/farm/ports/*")...)
}

// virsh asks the daemon that farm uses on this machine.
func virsh(args ...string) (string, error) {
	out, err := exec.Command("virsh", append([]string{"-c", "qemu:///session"}, args...)...).CombinedOutput()
	return string(out), err
}

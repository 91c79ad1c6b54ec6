package ssh

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestStorageOfTakesRegularFilesAlone(t *testing.T) {
	for mode, want := range map[fs.FileMode]storage{
		0o644:                                   keeps,
		fs.ModeDevice | fs.ModeCharDevice | 0o6: forgets,
		fs.ModeDevice:                           refused,
		fs.ModeNamedPipe:                        refused,
		fs.ModeSocket:                           refused,
		fs.ModeDir:                              refused,
		fs.ModeIrregular:                        refused,
	} {
		if got := storageOf(mode); got != want {
			t.Errorf("%v: %d, want %d", mode, got, want)
		}
	}
}

// terminal makes a character device of this test's own and returns its path. No file can be
// made or renamed in its folder, a devpts (pts(4)).
func terminal(t *testing.T) string {
	t.Helper()
	f, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	n, err := unix.IoctlGetInt(int(f.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("/dev/pts/%d", n)
}

func TestPinLeavesWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	fifo, folder, link := dir+"/fifo", dir+"/folder", dir+"/link"
	for _, err := range []error{syscall.Mkfifo(fifo, 0o600), os.Mkdir(folder, 0o700), os.Symlink("fifo", link)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{fifo, folder, link, terminal(t)} {
		before, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := addLine(file, "line\n"); err == nil || !strings.Contains(err.Error(), "not a file of known hosts") {
			t.Errorf("%s: %v", file, err)
		}
		after, err := os.Stat(file)
		if err != nil || !os.SameFile(before, after) || before.Mode() != after.Mode() {
			t.Errorf("%s: %v became %v, %v", file, before, after, err)
		}
	}
	if left, _ := filepath.Glob(dir + "/.known_hosts-*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestKnownHostsThatIsNoFileIsRefused(t *testing.T) {
	fifo := t.TempDir() + "/fifo"
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Dial(t.Context(), Config{Addr: "127.0.0.1:1", KnownHosts: []string{fifo}, AcceptNew: true})
	if stageOf(err) != StageHostKey || !strings.Contains(err.Error(), "named pipe") {
		t.Error(err)
	}
}

func TestPinFollowsLinks(t *testing.T) {
	for name, text := range map[string]string{"there": "# mine", "still to be made": ""} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file, link := dir+"/real/hosts", dir+"/home/known_hosts"
			mode, owner := fs.FileMode(0o600), os.Geteuid()
			if text != "" {
				os.Mkdir(dir+"/real", 0o700)
				os.WriteFile(file, []byte(text), 0o600)
				mode = 0o640
				os.Chmod(file, mode)
				if os.Geteuid() == 0 { // others cannot give files away, nor are they given
					owner = 12345
					os.Chown(file, owner, owner)
				}
			}
			os.Mkdir(dir+"/home", 0o700)
			for _, err := range []error{os.Symlink("second", link), os.Symlink("../real/hosts", dir+"/home/second")} {
				if err != nil {
					t.Fatal(err)
				}
			}
			if err := addLine(link, "line\n"); err != nil {
				t.Fatal(err)
			}
			want := "line\n"
			if text != "" {
				want = text + "\n" + want
			}
			if got, err := os.ReadFile(file); string(got) != want {
				t.Errorf("%q, %v", got, err)
			}
			if info, err := os.Lstat(file); err != nil || info.Mode() != mode || info.Sys().(*syscall.Stat_t).Uid != uint32(owner) {
				t.Errorf("%+v, %v", info, err)
			}
			if to, err := os.Readlink(link); to != "second" {
				t.Errorf("the link: %q, %v", to, err)
			}
		})
	}
	dir := t.TempDir()
	os.Symlink("b", dir+"/a")
	os.Symlink("a", dir+"/b")
	if err := addLine(dir+"/a", "line\n"); err == nil {
		t.Error("a circle of links was taken")
	}
}

func TestKeyIsKeptInSpareWhereKnownHostsIsADevice(t *testing.T) {
	cfg := startSSHD(t, "")
	link, spare := t.TempDir()+"/known_hosts", t.TempDir()+"/new/spare"
	if err := os.Symlink(terminal(t), link); err != nil {
		t.Fatal(err)
	}
	var said []string
	cfg.HostKeys, cfg.KnownHosts, cfg.AcceptNew = nil, []string{link}, true
	cfg.Spare, cfg.Warn = spare, func(text string) { said = append(said, text) }
	mustDial(t, cfg).Close()
	cfg.AcceptNew = false
	mustDial(t, cfg).Close()
	if text, err := os.ReadFile(spare); strings.Count(string(text), "\n") != 1 {
		t.Errorf("%q, %v", text, err)
	}
	if len(said) != 1 || !strings.Contains(said[0], spare) || !strings.Contains(said[0], link) {
		t.Errorf("said %q", said)
	}
	if info, err := os.Stat(link); err != nil || info.Mode()&fs.ModeCharDevice == 0 {
		t.Errorf("%v, %v", info, err)
	}
}

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	xssh "golang.org/x/crypto/ssh"

	"farm/bench/sshd"
	"farm/engine"
	"farm/engine/enginetest"
	"farm/engine/images"
	"farm/engine/local"
	"farm/engine/ssh"
	"farm/inventory"
)

// lasting is a callback whose work goes on in three sessions, and that says their processes.
type lasting struct{}

func (lasting) Run(ctx context.Context, im *engine.Image) error {
	const script = `
echo more >growing
setsid sleep 1000 & a=$!
( while :; do echo more >>growing; sleep 0.1; done ) & b=$!
echo $$ $a $b; wait`
	_, err := im.Conn.Exec(ctx, engine.Cmd{Script: script, Dir: im.TmpDir, Stdout: os.Stdout})
	return err
}

// preparing is the command that makes an image until somebody kills it, in the store that its
// first argument names: here, or over SSH where address, user, key file and host key follow.
func preparing() {
	ctx := context.Background()
	var conn engine.Conn = local.New()
	if len(os.Args) > 2 {
		over, err := ssh.Dial(ctx, ssh.Config{
			Name: "hv", Addr: os.Args[2], User: os.Args[3], KeyFiles: []string{os.Args[4]}, HostKeys: []string{os.Args[5]}, Timeout: 10 * time.Second,
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		conn = over
	}
	vm := inventory.VM{ID: "p/t"}
	vm.Def.Metadata.Sources = []inventory.Source{{BeforeProvision: []inventory.CallbackTask{{Callback: "lasting"}}}}
	vm.Def.Disks = []inventory.Disk{{Size: "1G"}}
	s, err := images.Open(ctx, conn, os.Args[1])
	if err == nil {
		_, err = s.Base(ctx, engine.Preparation{VM: vm, Callback: func(string) (engine.CallbackDef, error) {
			return engine.CallbackDef{Name: "lasting", New: func() engine.Callback { return &lasting{} }}, nil
		}})
	}
	fmt.Println("over:", err)
}

func TestKilledFarmTakesItsCallbacksAlong(t *testing.T) {
	killWhilePreparing(t)
}

func TestKilledFarmTakesItsCallbacksAlongOverSSH(t *testing.T) {
	enginetest.Need(t, "/usr/sbin/sshd")
	server, err := sshd.Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	killWhilePreparing(t, server.Addr, server.User, server.KeyFile, strings.TrimSpace(string(xssh.MarshalAuthorizedKey(server.HostKey))))
}

// killWhilePreparing kills the command preparing while its callback works, and wants
// nothing of that to be left.
func killWhilePreparing(t *testing.T, over ...string) {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("preparing", append([]string{dir}, over...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for word := range strings.FieldsSeq(line) {
		pid, err := strconv.Atoi(word)
		if err != nil || syscall.Kill(pid, 0) != nil {
			t.Fatalf("it said %q: %v", line, err)
		}
		pids = append(pids, pid)
	}
	if work, _ := filepath.Glob(filepath.Join(dir, "tmp/*/work/growing")); len(work) != 1 || len(pids) != 3 {
		t.Fatalf("work in %q by %v", work, pids)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait() // how it ended is known
	left := func() []string {
		all, _ := filepath.Glob(filepath.Join(dir, "tmp/*"))
		for _, pid := range pids {
			if alive(pid) {
				all = append(all, fmt.Sprintf("process %d", pid))
			}
		}
		return all
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for all := left(); len(all) > 0; all = left() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("left behind: %q", all)
		}
	}
}

// alive reports whether a process does anything: one that has ended may wait for its parent.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}

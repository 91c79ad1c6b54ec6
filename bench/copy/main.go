// Command copy measures a large file's way into a guest: the `copy` module beside scp, in
// turn, connections included, to an sshd that it starts on the loopback. It prints medians
// and their ratio; the exit status is 1 where the target is missed.
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	xssh "golang.org/x/crypto/ssh"

	"farm/bench/sshd"
	"farm/bench/target"
	"farm/engine/modules"
	"farm/engine/ssh"
	"farm/engine/task"
	"farm/inventory/expr"
)

// minScp is the least share of scp's speed.
const minScp = 0.7

func main() {
	size := flag.Int64("size", 100, "the file's size, in `MB`")
	runs := flag.Int("runs", 7, "copies by each; the medians count")
	flag.Parse()
	ok, err := measure(context.Background(), *size*1e6, *runs)
	target.Exit("bench/copy", ok, err)
}

func measure(ctx context.Context, size int64, runs int) (bool, error) {
	dir, err := os.MkdirTemp("", "farm-bench-copy-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	b := &bench{dir: dir, src: filepath.Join(dir, "src")}
	if err := random(b.src, size); err != nil {
		return false, err
	}
	if b.server, err = sshd.Start(dir); err != nil {
		return false, err
	}
	defer b.server.Stop()
	var farm, scp []time.Duration
	for range max(runs, 1) {
		for _, way := range []struct {
			copy func(context.Context, string) error
			took *[]time.Duration
		}{{b.farm, &farm}, {b.scp, &scp}} {
			dest := filepath.Join(dir, "dest")
			began := time.Now()
			if err := way.copy(ctx, dest); err != nil {
				return false, err
			}
			*way.took = append(*way.took, time.Since(began))
			if err := b.check(dest); err != nil {
				return false, err
			}
		}
	}
	f, s := target.Median(farm), target.Median(scp)
	mb := float64(size) / 1e6
	fmt.Printf("farm's copy: %.2f s, %.0f MB/s; scp: %.2f s, %.0f MB/s\n", f.Seconds(), mb/f.Seconds(), s.Seconds(), mb/s.Seconds())
	share := float64(s) / float64(f)
	return target.Met(share >= minScp, "%.0f %% of scp's speed, target %.0f %%", 100*share, 100*minScp), nil
}

func random(name string, size int64) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	_, err = io.CopyN(f, rand.Reader, size)
	return errors.Join(err, f.Close())
}

type bench struct {
	dir, src string
	server   *sshd.Server
}

// farm runs a task file of one copy on a new connection.
func (b *bench) farm(ctx context.Context, dest string) error {
	conn, err := ssh.Dial(ctx, ssh.Config{
		Name: "loopback", Addr: b.server.Addr, User: b.server.User, KeyFiles: []string{b.server.KeyFile},
		HostKeys: []string{string(xssh.MarshalAuthorizedKey(b.server.HostKey))},
	})
	if err != nil {
		return err
	}
	defer conn.Close()
	file := filepath.Join(b.dir, "task.yaml")
	text := fmt.Sprintf("- copy: {src: %s, dest: %s, mode: '0600'}\n", b.src, dest)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	host := task.NewHost("loopback", conn, expr.New(expr.Options{}).Vars())
	return task.New(task.Options{Modules: modules.All()}).RunFile(ctx, file, host, nil)
}

func (b *bench) scp(ctx context.Context, dest string) error {
	host, port, err := net.SplitHostPort(b.server.Addr)
	if err != nil {
		return err
	}
	known := filepath.Join(b.dir, "known_hosts")
	line := fmt.Sprintf("[%s]:%s %s", host, port, xssh.MarshalAuthorizedKey(b.server.HostKey))
	if err := os.WriteFile(known, []byte(line), 0o600); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "scp", "-q", "-F", "none", "-B", "-i", b.server.KeyFile, "-P", port,
		"-o", "UserKnownHostsFile="+known, b.src, b.server.User+"@"+host+":"+dest)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("scp: %w: %s", err, out)
	}
	return nil
}

// check compares what arrived and removes it.
func (b *bench) check(dest string) error {
	want, err := os.ReadFile(b.src)
	if err != nil {
		return err
	}
	got, err := os.ReadFile(dest)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return errors.New("what arrived is not what was sent")
	}
	return os.Remove(dest)
}

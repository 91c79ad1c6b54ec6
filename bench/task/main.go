// Command task measures what one task costs over SSH on this machine: a bare round trip
// through a running shell, farm's Conn, and the same 75 tasks through ansible-playbook
// with pipelining and with mitogen. It starts its own sshd on the loopback with keys and
// configuration of its own, and prints medians side by side.
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"time"

	xssh "golang.org/x/crypto/ssh"

	"farm/engine"
	"farm/engine/ssh"
)

const kinds, each = 3, 25 // shell, stat, copy

func main() {
	rounds := flag.Int("rounds", 1000, "round trips measured")
	runs := flag.Int("runs", 3, "runs of the 75 tasks; the median counts")
	flag.Parse()
	if err := measure(context.Background(), *rounds, *runs); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func measure(ctx context.Context, rounds, runs int) error {
	dir, err := os.MkdirTemp("", "farm-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := startServer(dir)
	if err != nil {
		return err
	}
	defer s.stop()
	conn, err := ssh.Dial(ctx, s.cfg)
	if err != nil {
		return err
	}
	defer conn.Close()

	bare, err := bareRoundTrip(s, rounds)
	if err != nil {
		return fmt.Errorf("bare round trip: %w", err)
	}
	one, err := median(rounds, func() error { _, err := conn.Exec(ctx, engine.Cmd{Script: "true"}); return err })
	if err != nil {
		return fmt.Errorf("farm: %w", err)
	}
	fmt.Printf("%-44s %10s\n", "bare round trip through a shell", bare)
	fmt.Printf("%-44s %10s  %.1fx bare\n", "farm, Conn.Exec of true", one, ratio(one, bare))

	work := filepath.Join(dir, "work")
	if err := os.Mkdir(work, 0o755); err != nil {
		return err
	}
	total, err := median(runs, func() error { return farmTasks(ctx, conn, work) })
	if err != nil {
		return fmt.Errorf("farm: %w", err)
	}
	report("farm, 75 tasks", total, total)
	return ansible(s, work, runs, total)
}

func report(name string, total, farm time.Duration) {
	fmt.Printf("%-44s %10s  %s a task, %.1fx farm\n", name, total.Round(10*time.Microsecond),
		(total / (kinds * each)).Round(10*time.Microsecond), ratio(total, farm))
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(b) }

func median(n int, f func() error) (time.Duration, error) {
	l := make([]time.Duration, 0, n)
	for range max(n, 1) {
		began := time.Now()
		if err := f(); err != nil {
			return 0, err
		}
		l = append(l, time.Since(began))
	}
	slices.Sort(l)
	return l[len(l)/2], nil
}

// farmTasks does what the playbook does.
func farmTasks(ctx context.Context, c *ssh.Conn, dir string) error {
	for i := range each {
		if _, err := c.Exec(ctx, engine.Cmd{Script: fmt.Sprintf("echo %d", i)}); err != nil {
			return err
		}
	}
	for range each {
		if _, err := c.Exec(ctx, engine.Cmd{Argv: []string{"stat", "-c", "%f %s %Y %u %g", "/etc/passwd"}}); err != nil {
			return err
		}
	}
	for i := range each {
		if err := c.Upload(ctx, fmt.Sprintf("%s/farm-%d", dir, i), 0o644, strings.NewReader(fmt.Sprintf("content %d\n", i))); err != nil {
			return err
		}
	}
	return nil
}

// bareRoundTrip sends a line to a running sh and waits for its answer.
func bareRoundTrip(s *server, rounds int) (time.Duration, error) {
	client, err := xssh.Dial("tcp", s.cfg.Addr, &xssh.ClientConfig{
		User: s.cfg.User, Auth: []xssh.AuthMethod{xssh.PublicKeys(s.user)}, HostKeyCallback: xssh.FixedHostKey(s.host.PublicKey()),
	})
	if err != nil {
		return 0, err
	}
	defer client.Close()
	sess, err := client.NewSession()
	if err != nil {
		return 0, err
	}
	in, _ := sess.StdinPipe()
	out, _ := sess.StdoutPipe()
	if err := sess.Start("exec /bin/sh"); err != nil {
		return 0, err
	}
	r := bufio.NewReader(out)
	return median(rounds, func() error {
		io.WriteString(in, "echo x\n")
		_, err := r.ReadString('\n')
		return err
	})
}

type server struct {
	cmd        *exec.Cmd
	cfg        ssh.Config
	host, user xssh.Signer
	dir        string
}

func (s *server) stop() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

func startServer(dir string) (*server, error) {
	s := &server{dir: dir}
	var err error
	if s.host, err = writeKey(dir + "/host"); err != nil {
		return nil, err
	}
	if s.user, err = writeKey(dir + "/user"); err != nil {
		return nil, err
	}
	if err := os.WriteFile(dir+"/authorized", xssh.MarshalAuthorizedKey(s.user.PublicKey()), 0o600); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := l.Addr().(*net.TCPAddr)
	l.Close()
	conf := fmt.Sprintf("Port %d\nListenAddress 127.0.0.1\nHostKey %s/host\nAuthorizedKeysFile %s/authorized\nPidFile none\nStrictModes no\n"+
		"UsePAM no\nSubsystem sftp internal-sftp\n", addr.Port, dir, dir)
	if err := os.WriteFile(dir+"/conf", []byte(conf), 0o600); err != nil {
		return nil, err
	}
	if os.Getuid() == 0 {
		os.MkdirAll("/run/sshd", 0o755)
	}
	s.cmd = exec.Command("/usr/sbin/sshd", "-D", "-e", "-f", dir+"/conf")
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	me, err := user.Current()
	if err != nil {
		return nil, err
	}
	s.cfg = ssh.Config{Name: "loopback", Addr: addr.String(), User: me.Username, KeyFiles: []string{dir + "/user"},
		HostKeys: []string{string(xssh.MarshalAuthorizedKey(s.host.PublicKey()))}}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range 250 {
		c, err := net.Dial("tcp", addr.String())
		if err == nil {
			return s, c.Close()
		}
		<-tick.C
	}
	s.stop()
	return nil, errors.New("sshd did not start")
}

func writeKey(file string) (xssh.Signer, error) {
	_, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	block, err := xssh.MarshalPrivateKey(priv, "")
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		return nil, err
	}
	return xssh.NewSignerFromKey(priv)
}

// ansible runs the playbook both ways, as far as they are installed.
func ansible(s *server, work string, runs int, farm time.Duration) error {
	program, err := exec.LookPath("ansible-playbook")
	if err != nil {
		fmt.Println("ansible-playbook is not installed: nothing to compare with")
		return nil
	}
	if err := writePlaybook(s, work); err != nil {
		return err
	}
	for _, w := range []struct{ name, env, dir string }{
		{"ansible-playbook with pipelining, 75 tasks", "", ""},
		{"ansible-playbook with mitogen, 75 tasks", "ANSIBLE_STRATEGY=mitogen_linear", mitogenDir()},
	} {
		if w.env != "" && w.dir == "" {
			fmt.Println("mitogen is not installed")
			continue
		}
		env := append(os.Environ(), "ANSIBLE_PIPELINING=1", "ANSIBLE_NOCOLOR=1", "ANSIBLE_HOST_KEY_CHECKING=1", "ANSIBLE_CONFIG="+s.dir+"/ansible.cfg")
		if w.env != "" {
			env = append(env, w.env, "ANSIBLE_STRATEGY_PLUGINS="+w.dir)
		}
		total, err := playbook(program, s.dir, env, runs)
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		report(w.name, total, farm)
	}
	return nil
}

func mitogenDir() string {
	for _, p := range []string{"/usr/lib/python3*/dist-packages/ansible_mitogen/plugins/strategy", "/usr/share/ansible/plugins/strategy",
		"/usr/lib/python3/dist-packages/ansible_mitogen/plugins/strategy"} {
		l, _ := filepath.Glob(p + "/mitogen_linear.py")
		if len(l) > 0 {
			return filepath.Dir(l[0])
		}
	}
	return ""
}

// playbook is the median time of a run without what an empty play takes, so that
// start-up is not counted.
func playbook(program, dir string, env []string, runs int) (time.Duration, error) {
	var times [2]time.Duration
	for i, name := range []string{"empty.yaml", "tasks.yaml"} {
		var err error
		times[i], err = median(runs, func() error {
			cmd := exec.Command(program, "-i", dir+"/inventory", dir+"/"+name)
			cmd.Env = env
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Run(); err != nil {
				return fmt.Errorf("%w\n%s", err, out.Bytes())
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	return max(times[1]-times[0], time.Millisecond), nil
}

func writePlaybook(s *server, work string) error {
	host, port, _ := net.SplitHostPort(s.cfg.Addr)
	known := fmt.Sprintf("[%s]:%s %s", host, port, xssh.MarshalAuthorizedKey(s.host.PublicKey()))
	inventory := fmt.Sprintf("loopback ansible_host=%s ansible_port=%s ansible_user=%s ansible_ssh_private_key_file=%s/user "+
		"ansible_python_interpreter=/usr/bin/python3 ansible_ssh_common_args='-o UserKnownHostsFile=%s/known'\n", host, port, s.cfg.User, s.dir, s.dir)
	head := "- hosts: loopback\n  gather_facts: false\n  tasks:\n"
	var t strings.Builder
	t.WriteString(head)
	for i := range each {
		fmt.Fprintf(&t, "  - shell: echo %d\n", i)
	}
	for range each {
		t.WriteString("  - stat: {path: /etc/passwd}\n")
	}
	for i := range each {
		fmt.Fprintf(&t, "  - copy: {content: \"content %d\\n\", dest: %s/ansible-%d}\n", i, work, i)
	}
	return errors.Join(
		os.WriteFile(s.dir+"/ansible.cfg", []byte("[defaults]\n"), 0o600), // not the user's
		os.WriteFile(s.dir+"/known", []byte(known), 0o600),
		os.WriteFile(s.dir+"/inventory", []byte(inventory), 0o600),
		os.WriteFile(s.dir+"/empty.yaml", []byte(head+"  - ping:\n"), 0o600),
		os.WriteFile(s.dir+"/tasks.yaml", []byte(t.String()), 0o600),
	)
}

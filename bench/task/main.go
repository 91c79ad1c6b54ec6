// Command task measures what one task costs over SSH on this machine: a bare round trip
// through a running shell that runs the same program, farm's runner and modules, and 75
// tasks through farm and through ansible-playbook with pipelining and with mitogen. It
// starts its own sshd on the loopback with keys and configuration of its own; -guest takes
// another machine. It prints medians side by side; the exit status is 1 where a target is missed.
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

	"farm/engine/modules"
	"farm/engine/ssh"
	"farm/engine/task"
	"farm/inventory/expr"
	"farm/inventory/value"
)

const (
	kinds, each  = 3, 25 // shell, stat, copy
	maxBare      = 3.0   // a task, in bare round trips
	minPipelined = 50.0  // times that ansible takes longer
	minMitogen   = 20.0
)

func main() {
	var g guest
	rounds := flag.Int("rounds", 400, "round trips measured")
	runs := flag.Int("runs", 3, "runs of the 75 tasks; the median counts")
	flag.StringVar(&g.addr, "guest", "", "measure on the machine at this `user@host:port` instead of an sshd of its own")
	flag.StringVar(&g.key, "key", "", "private key `file` for -guest")
	flag.StringVar(&g.hostKey, "host-key", "", "public host key `file` of -guest")
	flag.Parse()
	ok, err := measure(context.Background(), g, *rounds, *runs)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench/task:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

func measure(ctx context.Context, g guest, rounds, runs int) (bool, error) {
	dir, err := os.MkdirTemp("", "farm-bench-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	s, err := g.server(dir)
	if err != nil {
		return false, err
	}
	defer s.stop()
	conn, err := ssh.Dial(ctx, s.cfg)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	f := &farm{host: task.NewHost("guest", conn, expr.New(expr.Options{}).Vars())}

	bare, err := bareRoundTrip(s, rounds)
	if err != nil {
		return false, fmt.Errorf("bare round trip: %w", err)
	}
	fmt.Printf("%-48s %10s\n", "bare round trip: /bin/true in a running shell", bare.Round(time.Microsecond))
	ok := true
	for _, line := range []string{"command: /bin/true", "shell: /bin/true", "shell: 'true'"} {
		file := filepath.Join(dir, "one.yaml")
		if err := os.WriteFile(file, []byte("- "+line+"\n"), 0o600); err != nil {
			return false, err
		}
		one, err := median(rounds, func() error { return f.run(ctx, file) })
		if err != nil {
			return false, fmt.Errorf("farm: %s: %w", line, err)
		}
		fmt.Printf("%-48s %10s  %.2fx bare\n", "farm, one task "+line, one.Round(time.Microsecond), ratio(one, bare))
		ok = verdict(ratio(one, bare) <= maxBare, "a task %s costs %.1f bare round trips, target %.0f", line, ratio(one, bare), maxBare) && ok
	}
	work, err := f.folder(ctx, dir)
	if err != nil {
		return false, err
	}
	defer f.remove(ctx, dir, work)
	total, err := f.tasks(ctx, dir, work, runs)
	if err != nil {
		return false, fmt.Errorf("farm: %w", err)
	}
	report("farm, 75 tasks", total, total)
	good, err := ansible(s, work, runs, total)
	return ok && good, err
}

func verdict(ok bool, format string, args ...any) bool {
	word := "PASS"
	if !ok {
		word = "over"
	}
	fmt.Printf(word+"  "+format+"\n", args...)
	return ok
}

func report(name string, total, farm time.Duration) {
	fmt.Printf("%-48s %10s  %s a task, %.1fx farm\n", name, total.Round(10*time.Microsecond),
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

// farm runs task files as a run does.
type farm struct {
	host   *task.HostState
	runner *task.Runner
}

func (f *farm) run(ctx context.Context, file string) error {
	if f.runner == nil {
		f.runner = task.New(task.Options{Modules: modules.All()})
	}
	return f.runner.RunFile(ctx, file, f.host, nil)
}

// text runs tasks given as text.
func (f *farm) text(ctx context.Context, dir, text string) error {
	f.runner = nil // it reads a file once
	file := filepath.Join(dir, "some.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	return f.run(ctx, file)
}

// folder makes a folder in the guest for the copies.
func (f *farm) folder(ctx context.Context, dir string) (string, error) {
	err := f.text(ctx, dir, "- command: mktemp -d\n  register: made\n")
	made, _ := f.host.Set.Get("made")
	d, _ := made.(*value.Dict)
	path, _ := d.Get("stdout")
	if err == nil && path == nil {
		err = errors.New("mktemp printed nothing")
	}
	return value.Text(path), err
}

func (f *farm) remove(ctx context.Context, dir, work string) {
	f.text(ctx, dir, "- file: {path: "+work+", state: absent}\n")
}

// tasks is the median time of the 75 tasks, read anew each time.
func (f *farm) tasks(ctx context.Context, dir, work string, runs int) (time.Duration, error) {
	n := 0
	return median(runs, func() error {
		n++
		return f.text(ctx, dir, taskList("", fmt.Sprintf("%s/farm%d", work, n)))
	})
}

// taskList is the 75 tasks; the copies are new files that start with prefix.
func taskList(indent, prefix string) string {
	var t strings.Builder
	for i := range each {
		fmt.Fprintf(&t, "%s- shell: echo %d\n", indent, i)
	}
	for range each {
		fmt.Fprintf(&t, "%s- stat: {path: /etc/passwd}\n", indent)
	}
	for i := range each {
		fmt.Fprintf(&t, "%s- copy: {content: \"content %d\\n\", dest: %s-%d}\n", indent, i, prefix, i)
	}
	return t.String()
}

// bareRoundTrip has a running sh run a program and waits for its answer.
func bareRoundTrip(s *server, rounds int) (time.Duration, error) {
	client, err := xssh.Dial("tcp", s.cfg.Addr, &xssh.ClientConfig{
		User: s.cfg.User, Auth: []xssh.AuthMethod{xssh.PublicKeys(s.user)}, HostKeyCallback: xssh.FixedHostKey(s.host),
	})
	if err != nil {
		return 0, err
	}
	defer client.Close()
	sess, err := client.NewSession()
	if err != nil {
		return 0, err
	}
	in, err := sess.StdinPipe()
	if err != nil {
		return 0, err
	}
	out, err := sess.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := sess.Start("exec /bin/sh"); err != nil {
		return 0, err
	}
	r := bufio.NewReader(out)
	return median(rounds, func() error {
		if _, err := io.WriteString(in, "/bin/true; echo x\n"); err != nil {
			return err
		}
		_, err := r.ReadString('\n')
		return err
	})
}

// guest is a machine that is there already; the zero value is none.
type guest struct{ addr, key, hostKey string }

func (g guest) server(dir string) (*server, error) {
	if g.addr == "" {
		return startServer(dir)
	}
	name, addr, ok := strings.Cut(g.addr, "@")
	if !ok {
		return nil, fmt.Errorf("-guest %q is not user@host:port", g.addr)
	}
	s := &server{dir: dir, keyFile: g.key}
	text, err := os.ReadFile(g.key)
	if err != nil {
		return nil, err
	}
	if s.user, err = xssh.ParsePrivateKey(text); err != nil {
		return nil, err
	}
	if text, err = os.ReadFile(g.hostKey); err != nil {
		return nil, err
	}
	if s.host, _, _, _, err = xssh.ParseAuthorizedKey(text); err != nil {
		return nil, err
	}
	s.cfg = ssh.Config{Name: "guest", Addr: addr, User: name, KeyFiles: []string{g.key}, HostKeys: []string{string(xssh.MarshalAuthorizedKey(s.host))}}
	return s, nil
}

type server struct {
	cmd     *exec.Cmd // nil where it was not started here
	cfg     ssh.Config
	host    xssh.PublicKey
	user    xssh.Signer
	keyFile string // the private half of user
	dir     string
}

func (s *server) stop() {
	if s.cmd == nil {
		return
	}
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

func startServer(dir string) (*server, error) {
	s := &server{dir: dir, keyFile: dir + "/user"}
	host, err := writeKey(dir + "/host")
	if err != nil {
		return nil, err
	}
	s.host = host.PublicKey()
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
		HostKeys: []string{string(xssh.MarshalAuthorizedKey(s.host))}}
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
func ansible(s *server, work string, runs int, farm time.Duration) (bool, error) {
	program, err := exec.LookPath("ansible-playbook")
	if err != nil {
		fmt.Println("ansible-playbook is not installed: nothing to compare with")
		return false, nil
	}
	ok := true
	for i, w := range []struct {
		name, env, dir string
		least          float64
	}{
		{"ansible-playbook with pipelining", "", "", minPipelined},
		{"ansible-playbook with mitogen", "ANSIBLE_STRATEGY=mitogen_linear", mitogenDir(), minMitogen},
	} {
		if w.env != "" && w.dir == "" {
			fmt.Println("mitogen is not installed: nothing to compare with")
			ok = false
			continue
		}
		env := append(os.Environ(), "ANSIBLE_PIPELINING=1", "ANSIBLE_NOCOLOR=1", "ANSIBLE_HOST_KEY_CHECKING=1", "ANSIBLE_CONFIG="+s.dir+"/ansible.cfg")
		if w.env != "" {
			env = append(env, w.env, "ANSIBLE_STRATEGY_PLUGINS="+w.dir)
		}
		total, err := s.playbook(program, env, runs, fmt.Sprintf("%s/ansible%d", work, i))
		if err != nil {
			return false, fmt.Errorf("%s: %w", w.name, err)
		}
		report(w.name+", 75 tasks", total, farm)
		ok = verdict(ratio(total, farm) >= w.least, "%s takes %.1fx farm's time, target %.0fx", w.name, ratio(total, farm), w.least) && ok
	}
	return ok, nil
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
func (s *server) playbook(program string, env []string, runs int, prefix string) (time.Duration, error) {
	var times [2]time.Duration
	dir, n := s.dir, 0
	for i, name := range []string{"empty.yaml", "tasks.yaml"} {
		var err error
		times[i], err = median(runs, func() error {
			n++
			if err := writePlaybook(s, fmt.Sprintf("%s-%d", prefix, n)); err != nil {
				return err
			}
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

func writePlaybook(s *server, prefix string) error {
	host, port, _ := net.SplitHostPort(s.cfg.Addr)
	known := fmt.Sprintf("[%s]:%s %s", host, port, xssh.MarshalAuthorizedKey(s.host))
	inventory := fmt.Sprintf("loopback ansible_host=%s ansible_port=%s ansible_user=%s ansible_ssh_private_key_file=%s "+
		"ansible_python_interpreter=/usr/bin/python3 ansible_ssh_common_args='-o UserKnownHostsFile=%s/known'\n", host, port, s.cfg.User, s.keyFile, s.dir)
	head := "- hosts: loopback\n  gather_facts: false\n  tasks:\n"
	return errors.Join(
		os.WriteFile(s.dir+"/ansible.cfg", []byte("[defaults]\n"), 0o600), // not the user's
		os.WriteFile(s.dir+"/known", []byte(known), 0o600),
		os.WriteFile(s.dir+"/inventory", []byte(inventory), 0o600),
		os.WriteFile(s.dir+"/empty.yaml", []byte(head+"  - ping:\n"), 0o600),
		os.WriteFile(s.dir+"/tasks.yaml", []byte(head+taskList("  ", prefix)), 0o600),
	)
}

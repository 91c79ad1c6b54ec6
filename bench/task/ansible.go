package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	xssh "golang.org/x/crypto/ssh"

	"farm/bench/target"
)

// compare runs the 75 tasks by farm before and after each of the others: what else the
// machine does meanwhile then weighs on both. Where it runs without the others, nothing is compared.
func compare(ctx context.Context, s *server, f *farm, work string, runs int, without bool) (bool, error) {
	before, err := f.tasks(ctx, s.dir, work+"/0", 3*runs)
	if err != nil {
		return false, fmt.Errorf("farm: %w", err)
	}
	report("farm, 75 tasks", target.Median(before), target.Median(before))
	if without {
		return true, nil
	}
	program, err := exec.LookPath("ansible-playbook")
	if err != nil {
		fmt.Println("ansible-playbook is not installed: nothing to compare with")
		return false, nil
	}
	ok := true
	for i, w := range rivals() {
		if w.missing {
			fmt.Println(w.name + " is not installed: nothing to compare with")
			ok = false
			continue
		}
		env := append(os.Environ(), "ANSIBLE_PIPELINING=1", "ANSIBLE_NOCOLOR=1", "ANSIBLE_HOST_KEY_CHECKING=1", "ANSIBLE_CONFIG="+s.dir+"/ansible.cfg")
		total, err := s.playbook(program, append(env, w.env...), runs, fmt.Sprintf("%s/ansible%d", work, i))
		if err != nil {
			return false, fmt.Errorf("%s: %w", w.name, err)
		}
		after, err := f.tasks(ctx, s.dir, fmt.Sprintf("%s/%d", work, i+1), 3*runs)
		if err != nil {
			return false, fmt.Errorf("farm: %w", err)
		}
		mine := target.Median(append(before, after...))
		before = after
		report(w.name+", 75 tasks", total, mine)
		report("farm around it", mine, mine)
		ok = target.Met(ratio(total, mine) >= w.least, "%s takes %.1fx farm's time, target %.0fx", w.name, ratio(total, mine), w.least) && ok
	}
	return ok, nil
}

// rival is a way to run the playbook.
type rival struct {
	name    string
	env     []string
	least   float64 // how many times longer it shall take
	missing bool
}

func rivals() []rival {
	dir := mitogenDir()
	return []rival{
		{name: "ansible-playbook with pipelining", least: minPipelined},
		{name: "ansible-playbook with mitogen", least: minMitogen, missing: dir == "",
			env: []string{"ANSIBLE_STRATEGY=mitogen_linear", "ANSIBLE_STRATEGY_PLUGINS=" + dir}},
	}
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
	var took [2]time.Duration
	dir, n := s.dir, 0
	for i, name := range []string{"empty.yaml", "tasks.yaml"} {
		one := func() error {
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
		}
		if i == 0 { // fill caches, else the start that is taken off is too long
			if err := one(); err != nil {
				return 0, err
			}
		}
		var err error
		if took[i], err = median(runs, one); err != nil {
			return 0, err
		}
	}
	return max(took[1]-took[0], time.Millisecond), nil
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

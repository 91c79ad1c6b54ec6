package main

import (
	"bufio"
	"bytes"
	"context"
	_ "embed" // the callback
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"farm/bench/sshd"
)

//go:embed record.py
var recorder []byte

// batchTime bounds one process of ansible-playbook.
const batchTime = 10 * time.Minute

// Ansible runs cases by ansible-playbook, several in one process: each is a playbook of its own
// on a host name of its own, so neither a failure nor a variable of one reaches another.
type Ansible struct {
	Stage  Stage
	Server *sshd.Server
	Dir    string // for its files
}

// Setup writes configuration and callback.
func (a *Ansible) Setup() error {
	host, port, err := net.SplitHostPort(a.Server.Addr)
	if err != nil {
		return err
	}
	known := fmt.Sprintf("[%s]:%s %s", host, port, ssh.MarshalAuthorizedKey(a.Server.HostKey))
	config := fmt.Sprintf("[defaults]\nstdout_callback = record\ncallback_plugins = %s\nretry_files_enabled = false\ninternal_poll_interval = 0.001\n"+
		"[ssh_connection]\npipelining = true\nusetty = false\ncontrol_path_dir = %s/cp\nssh_args = -o ControlMaster=auto -o ControlPersist=60s -o UserKnownHostsFile=%s/known\n", a.Dir, a.Dir, a.Dir)
	return errors.Join(
		os.WriteFile(filepath.Join(a.Dir, "record.py"), recorder, 0o644),
		os.WriteFile(filepath.Join(a.Dir, "known"), []byte(known), 0o644),
		os.WriteFile(filepath.Join(a.Dir, "ansible.cfg"), []byte(config), 0o644),
	)
}

// hostsFile is an inventory for either side; work is each case's own.
func hostsFile(server *sshd.Server, stage Stage, cases []*Case) string {
	host, port, _ := net.SplitHostPort(server.Addr)
	var b strings.Builder
	b.WriteString("all:\n  vars:\n")
	for _, kv := range [][2]string{{"ansible_host", host}, {"ansible_port", port}, {"ansible_user", server.User},
		{"ansible_ssh_private_key_file", server.KeyFile}, {"ansible_python_interpreter", "/usr/bin/python3"}} {
		fmt.Fprintf(&b, "    %s: %s\n", kv[0], kv[1])
	}
	b.WriteString("  hosts:\n    other: {}\n")
	for _, c := range cases {
		fmt.Fprintf(&b, "    %s: {work: %s}\n", c.Slug, stage.work(c))
	}
	return b.String()
}

// Run runs the cases once. All have the same flags. It returns one Run for each.
func (a *Ansible) Run(ctx context.Context, cases []*Case) ([]*Run, error) {
	var out []*Run
	for len(out) < len(cases) {
		runs, tail, err := a.process(ctx, cases[len(out):])
		if err != nil {
			return nil, err
		}
		out = append(out, runs...)
		if len(runs) == 0 { // it gave up at the first; after one that merely fails it leaves out the rest
			out = append(out, &Run{Outcome: "error", Detail: tail})
		}
	}
	for i, c := range cases {
		files, err := Snapshot(a.Stage.work(c))
		if err != nil {
			return nil, err
		}
		out[i].Files = files
	}
	return out, nil
}

// process starts ansible-playbook once, and returns the runs that it finished.
func (a *Ansible) process(ctx context.Context, cases []*Case) ([]*Run, string, error) {
	ctx, cancel := context.WithTimeout(ctx, batchTime)
	defer cancel()
	dir, err := os.MkdirTemp(a.Dir, "run-")
	if err != nil {
		return nil, "", err
	}
	hosts := filepath.Join(dir, "hosts.yaml")
	if err := os.WriteFile(hosts, []byte(hostsFile(a.Server, a.Stage, cases)), 0o644); err != nil {
		return nil, "", err
	}
	args := append([]string{"-i", hosts}, cases[0].flags()...)
	for _, c := range cases {
		args = append(args, filepath.Join(a.Stage.src(c), "playbook.yaml"))
	}
	cmd := exec.CommandContext(ctx, "ansible-playbook", args...)
	cmd.Dir = a.Stage.src(cases[0])
	record := filepath.Join(dir, "record")
	cmd.Env = append(os.Environ(), "ANSIBLE_CONFIG="+filepath.Join(a.Dir, "ansible.cfg"), "FARM_CONFORMANCE_RECORD="+record, "ANSIBLE_NOCOLOR=1", "LC_ALL=C.UTF-8")
	var text bytes.Buffer
	cmd.Stdout, cmd.Stderr = &text, &text
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && (ctx.Err() != nil || !errors.As(err, &exit)) {
		return nil, "", fmt.Errorf("ansible-playbook with %s: %w\n%s", cases[0].Name, errors.Join(err, ctx.Err()), lastLines(text.String()))
	}
	runs, err := readRecord(record)
	return runs, lastLines(text.String()), err
}

func lastLines(s string) string {
	return s[max(0, len(s)-2000):]
}

// readRecord reads what the callback wrote: the runs that ended.
func readRecord(path string) ([]*Run, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out []*Run
	run := &Run{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var line struct {
			Event *Event
			End   *Run
		}
		if err := decode(lines.Bytes(), &line); err != nil {
			return nil, err
		}
		switch {
		case line.Event != nil:
			run.Events = append(run.Events, *line.Event)
		case line.End != nil:
			line.End.Events = run.Events
			out, run = append(out, line.End), &Run{}
		}
	}
	return out, lines.Err()
}

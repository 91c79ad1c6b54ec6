package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"

	xssh "golang.org/x/crypto/ssh"

	"farm/engine"
	"farm/engine/local"
	"farm/engine/play"
	"farm/engine/ssh"
	"farm/inventory"
	"farm/inventory/expr"
	"farm/inventory/value"
)

// onHost reads what --on names: the host's name and how it is reached, as variables.
func onHost(text string) (string, *value.Dict, error) {
	if text == "local" || text == "localhost" {
		return "localhost", value.NewDict("ansible_connection", "local"), nil
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return "", nil, fmt.Errorf("--on: %w", err)
	case u.Scheme != "ssh" || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "":
		return "", nil, fmt.Errorf("--on is %q, not ssh://[user@]host[:port] or local", text)
	}
	if _, set := u.User.Password(); set {
		return "", nil, errors.New("--on: others can read a password on the command line; use a key, or ansible_password in a file: -e @FILE")
	}
	vars := value.NewDict("ansible_host", u.Hostname())
	if name := u.User.Username(); name != "" {
		vars.Set("ansible_user", name)
	}
	if port := u.Port(); port != "" {
		vars.Set("ansible_port", port)
	}
	return u.Hostname(), vars, nil
}

// hostKeys are the keys in text, a public key as known_hosts and authorized_keys have
// them, or the name of a file of such; none where it is "".
func hostKeys(text string) ([]string, error) {
	if text == "" {
		return nil, nil
	}
	if !strings.Contains(strings.TrimSpace(text), " ") {
		file, err := os.ReadFile(text)
		if err != nil {
			return nil, &usageError{fmt.Errorf("--host-key: %w", err)}
		}
		text = string(file)
	}
	var keys []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		_, _, key, _, _, err := xssh.ParseKnownHosts([]byte(line + "\n"))
		if err != nil {
			key, _, _, _, err = xssh.ParseAuthorizedKey([]byte(line))
		}
		if err != nil {
			return nil, &usageError{fmt.Errorf("--host-key: %.60q is no public key", line)}
		}
		keys = append(keys, strings.TrimSpace(string(xssh.MarshalAuthorizedKey(key))))
	}
	if len(keys) == 0 {
		return nil, &usageError{errors.New("--host-key: no key there")}
	}
	return keys, nil
}

// becomePassword is the password for becoming another user, "" if none is given.
func (p *performance) becomePassword() (string, error) {
	file := p.flags.becomePasswordFile
	if file == "" {
		return p.getenv("FARM_BECOME_PASSWORD"), nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", &usageError{fmt.Errorf("--become-password-file: %w", err)}
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimSuffix(line, "\r"), nil
}

// localAllowed reports whether tasks may run on the controller: the inventory has to say so
// of localhost, or --on.
func (p *performance) localAllowed() bool {
	if p.only != "" && p.only != "localhost" {
		return false
	}
	v, _, err := p.hosts.HostVars("localhost").Get("ansible_connection")
	return err == nil && v == "local"
}

// reach are the variables that say how a host is reached.
type reach struct {
	Connection string `yaml:"ansible_connection"`
	Address    string `yaml:"ansible_host|ansible_ssh_host"`
	Port       int    `yaml:"ansible_port|ansible_ssh_port"`
	User       string `yaml:"ansible_user|ansible_ssh_user"`
	KeyFile    string `yaml:"ansible_ssh_private_key_file|ansible_private_key_file"`
	Password   string `yaml:"ansible_password|ansible_ssh_pass|ansible_ssh_password"`
	CommonArgs string `yaml:"ansible_ssh_common_args"`
}

var reachNames = []string{
	"ansible_connection", "ansible_host", "ansible_ssh_host", "ansible_port", "ansible_ssh_port", "ansible_user", "ansible_ssh_user",
	"ansible_ssh_private_key_file", "ansible_private_key_file", "ansible_password", "ansible_ssh_pass", "ansible_ssh_password",
	"ansible_ssh_common_args",
}

// login says how a host is logged into; it is play.Options.Login.
func (p *performance) login(name string, vars *expr.Vars) (play.Login, error) {
	to, err := reachOf(name, vars)
	if err != nil {
		return play.Login{}, engine.Blame(engine.UserFault, err)
	}
	become := &engine.Become{User: p.flags.becomeUser, Method: p.flags.becomeMethod, Password: p.password}
	if to.Connection == "local" {
		if p.tasks.Local == nil {
			return play.Login{}, engine.Blamef(engine.UserFault, "host %q: tasks run on the controller only where the inventory has ansible_connection: local for localhost, or with --on local", name)
		}
		me, err := user.Current()
		if err != nil {
			return play.Login{}, err
		}
		return play.Login{Key: "local", User: me.Username, Become: become, Open: func(context.Context) (engine.Conn, error) { return local.Here(), nil }}, nil
	}
	if p.flags.key != "" {
		to.KeyFile = p.flags.key
	}
	cfg, err := ssh.FromHypervisor(inventory.Hypervisor{
		Name: name, Address: to.Address, Port: to.Port, User: to.User, KeyFile: expandTilde(to.KeyFile), Password: to.Password, CommonArgs: to.CommonArgs,
	})
	if err != nil {
		return play.Login{}, err
	}
	cfg.HostKeys, cfg.Log = p.hostKeys, p.app.log.Named(name)
	cfg.KnownHosts = slices.Insert(cfg.KnownHosts, 0, filepath.Join(p.home, "known_hosts.d", "plays"))
	cfg.AcceptNew = !cfg.Strict
	if cfg.User == "" {
		me, err := user.Current()
		if err != nil {
			return play.Login{}, err
		}
		cfg.User = me.Username
	}
	return play.Login{
		Key: strings.Join([]string{cfg.Addr, cfg.User, strings.Join(cfg.KeyFiles, ":"), to.CommonArgs}, " "), User: cfg.User, Become: become,
		Open: func(ctx context.Context) (engine.Conn, error) {
			c, err := ssh.Dial(ctx, cfg)
			if err != nil {
				return nil, err // never a nil *ssh.Conn in an interface
			}
			return c, nil
		},
	}, nil
}

// reachOf evaluates the variables that say how a host is reached.
func reachOf(name string, vars *expr.Vars) (reach, error) {
	to := reach{Connection: "ssh", Port: 22, Address: name}
	if name == "localhost" {
		to.Connection = "local"
	}
	d := value.NewDict()
	for _, key := range reachNames {
		v, ok, err := vars.Get(key)
		if err != nil {
			return to, err
		}
		if ok && v != nil {
			d.Set(key, v)
		}
	}
	if err := value.Decode(d, &to); err != nil {
		return to, fmt.Errorf("host %q: %w", name, err)
	}
	switch last := to.Connection[strings.LastIndex(to.Connection, ".")+1:]; last {
	case "local":
		to.Connection = "local"
	case "ssh", "smart", "paramiko", "paramiko_ssh":
		to.Connection = "ssh"
	default:
		return to, fmt.Errorf("host %q: ansible_connection is %q, not ssh or local", name, to.Connection)
	}
	if to.Port < 1 || to.Port > 65535 {
		return to, fmt.Errorf("host %q: ansible_port is %d, not 1 to 65535", name, to.Port)
	}
	if _, _, err := net.SplitHostPort(to.Address); err == nil {
		return to, fmt.Errorf("host %q: ansible_host is %q; the port is ansible_port", name, to.Address)
	}
	return to, nil
}

// expandTilde is a path whose ~ is the user's home.
func expandTilde(path string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, rest)
		}
	}
	return path
}

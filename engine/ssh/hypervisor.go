package ssh

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/kevinburke/ssh_config"

	"farm/engine"
	"farm/inventory"
)

// maxHops bounds a chain of ProxyJump, which may go round.
const maxHops = 16

// FromHypervisor makes the Config of a host in the inventory. What the inventory says
// wins over `-o` options in ansible_ssh_common_args, and those over ~/.ssh/config and
// /etc/ssh/ssh_config.
func FromHypervisor(h inventory.Hypervisor) (Config, error) {
	user, err := readConfigs()
	if err != nil {
		return Config{}, err
	}
	args, err := parseArgs(h.CommonArgs)
	if err != nil {
		return Config{}, engine.Blamef(engine.UserFault, "hypervisor %q: ansible_ssh_common_args: %w", h.Name, err)
	}
	host := h.Address
	if host == "" {
		host = h.Name
	}
	cfg, err := resolve(host, settings{args: args, files: user}, 0)
	if err != nil {
		return Config{}, engine.Blamef(engine.UserFault, "hypervisor %q: %w", h.Name, err)
	}
	cfg.Name = h.Name
	if h.User != "" {
		cfg.User = h.User
	}
	if h.Port != 0 && h.Port != 22 {
		name, _, _ := net.SplitHostPort(cfg.Addr)
		cfg.Addr = net.JoinHostPort(name, strconv.Itoa(h.Port))
	}
	if h.KeyFile != "" {
		cfg.KeyFiles = []string{h.KeyFile}
	}
	cfg.Password = h.Password
	return cfg, nil
}

// settings looks options up as ssh(1) does: the first value found wins.
type settings struct {
	args  map[string]string // by lower-case name
	files []*ssh_config.Config
}

func (s settings) get(host, key string) (string, error) {
	if v, ok := s.args[strings.ToLower(key)]; ok {
		return v, nil
	}
	for _, f := range s.files {
		if v, err := f.Get(host, key); v != "" || err != nil {
			return v, err
		}
	}
	return "", nil
}

func (s settings) all(host, key string) (l []string, err error) {
	if v, ok := s.args[strings.ToLower(key)]; ok {
		l = append(l, v)
	}
	for _, f := range s.files {
		v, err := f.GetAll(host, key)
		if err != nil {
			return nil, err
		}
		l = append(l, v...)
	}
	return l, nil
}

// several reads options that were all asked for together.
func (s settings) several(host string, keys ...string) (map[string]string, error) {
	m := map[string]string{}
	for _, k := range keys {
		v, err := s.get(host, k)
		if err != nil {
			return nil, fmt.Errorf("ssh_config: %s: %w", k, err)
		}
		m[k] = v
	}
	return m, nil
}

func resolve(host string, s settings, depth int) (Config, error) {
	if depth > maxHops {
		return Config{}, fmt.Errorf("ProxyJump: more than %d hops", maxHops)
	}
	o, err := s.several(host, "HostName", "Port", "User", "ProxyJump", "ProxyCommand", "StrictHostKeyChecking", "UserKnownHostsFile")
	if err != nil {
		return Config{}, err
	}
	if p := o["ProxyCommand"]; p != "" && p != "none" && o["ProxyJump"] == "" {
		return Config{}, fmt.Errorf("ProxyCommand %q is not run; name the machine in between with ProxyJump (-J)", p)
	}
	name, port := strings.ReplaceAll(o["HostName"], "%h", host), o["Port"]
	if name == "" {
		name = host
	}
	if port == "" {
		port = "22"
	}
	cfg := Config{Name: host, Addr: net.JoinHostPort(name, port), User: o["User"]}
	switch v := o["StrictHostKeyChecking"]; v {
	case "", "ask":
	case "yes":
		cfg.Strict = true
	case "accept-new":
		cfg.AcceptNew = true
	default:
		return Config{}, fmt.Errorf("StrictHostKeyChecking %q: host keys are always checked; use accept-new to trust a key when it is first seen", v)
	}
	if cfg.KeyFiles, err = identities(host, s); err != nil {
		return Config{}, err
	}
	cfg.UseAgent = len(cfg.KeyFiles) > 0
	if cfg.KnownHosts, err = knownHostsFiles(o["UserKnownHostsFile"]); err != nil {
		return Config{}, err
	}
	cfg.Via, err = hops(o["ProxyJump"], s, depth)
	return cfg, err
}

// identities are the key files that exist, as ssh(1) passes over others.
func identities(host string, s settings) ([]string, error) {
	all, err := s.all(host, "IdentityFile")
	if err != nil {
		return nil, err
	}
	var l []string
	for _, f := range all {
		f, err := tilde(f)
		if err != nil {
			return nil, err
		}
		if _, err := os.Stat(f); err == nil {
			l = append(l, f)
		}
	}
	return l, nil
}

func knownHostsFiles(setting string) ([]string, error) {
	if setting == "" {
		setting = "~/.ssh/known_hosts ~/.ssh/known_hosts2"
	}
	var l []string
	for _, f := range strings.Fields(setting) {
		if f == os.DevNull {
			return nil, fmt.Errorf("UserKnownHostsFile %s: host keys are always checked; leave it out, or name a file", f)
		}
		f, err := tilde(f)
		if err != nil {
			return nil, err
		}
		l = append(l, f)
	}
	return append(l, "/etc/ssh/ssh_known_hosts"), nil
}

// hops resolves [user@]host[:port],... ; a hop's own ProxyJump counts for the first alone.
func hops(jump string, s settings, depth int) ([]Config, error) {
	if jump == "" || jump == "none" {
		return nil, nil
	}
	var l []Config
	for i, spec := range strings.Split(jump, ",") {
		spec = strings.TrimPrefix(strings.TrimSpace(spec), "ssh://")
		user, rest, ok := cutLast(spec, "@")
		if !ok {
			user, rest = "", spec
		}
		host, port, err := net.SplitHostPort(rest)
		if err != nil {
			host, port = strings.Trim(rest, "[]"), ""
		}
		if host == "" {
			return nil, fmt.Errorf("ProxyJump %q: want a list of [user@]host[:port]", jump)
		}
		hop, err := resolve(host, settings{files: s.files}, depth+1)
		if err != nil {
			return nil, err
		}
		if user != "" {
			hop.User = user
		}
		if port != "" {
			name, _, _ := net.SplitHostPort(hop.Addr)
			hop.Addr = net.JoinHostPort(name, port)
		}
		if i == 0 {
			l = append(l, hop.Via...)
		}
		hop.Via = nil
		l = append(l, hop)
	}
	return l, nil
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

func tilde(file string) (string, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	file = strings.ReplaceAll(strings.Trim(file, `"`), "%d", home)
	if rest, ok := strings.CutPrefix(file, "~/"); ok {
		return filepath.Join(home, rest), nil
	}
	return file, nil
}

// readConfigs reads the user's and the system's client configuration, as far as they exist.
func readConfigs() ([]*ssh_config.Config, error) {
	files := []string{"/etc/ssh/ssh_config"}
	if home, err := os.UserHomeDir(); err == nil {
		files = append([]string{filepath.Join(home, ".ssh", "config")}, files...)
	}
	var l []*ssh_config.Config
	for _, name := range files {
		f, err := os.Open(name)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		c, err := ssh_config.Decode(f)
		f.Close()
		if err != nil {
			return nil, engine.Blamef(engine.UserFault, "%s: %w", name, err)
		}
		l = append(l, c)
	}
	return l, nil
}

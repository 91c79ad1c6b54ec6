package modules

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"farm/inventory/value"
)

// Variables that are not handed on: those that Ansible makes itself, and those that say how the host
// is logged into, which the step does.
var (
	ansibleMagic = []string{
		"ansible_check_mode", "ansible_config_file", "ansible_diff_mode", "ansible_facts", "ansible_failed_result", "ansible_failed_task",
		"ansible_forks", "ansible_inventory_sources", "ansible_limit", "ansible_loop", "ansible_parent_role_names", "ansible_role_name",
		"ansible_run_tags", "ansible_search_path", "ansible_skip_tags", "ansible_verbosity", "ansible_version",
		"environment", "group_names", "groups", "hostvars", "inventory_dir", "inventory_file", "inventory_hostname",
		"inventory_hostname_short", "omit", "play_hosts", "playbook_dir", "role_name", "role_names", "role_path", "vars",
		"ansible_connection", "ansible_host", "ansible_password", "ansible_pipelining", "ansible_port", "ansible_private_key_file",
		"ansible_user", "ansible_become_pass", "ansible_become_password",
	}
	ansibleOwn   = regexp.MustCompile(`^ansible_(play|dependent|ssh|scp|sftp|control_path|paramiko)_`)
	groupName    = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)
	plainAddress = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.:_-]*$`)
)

// inventory writes the inventory: the one host, in its groups, with its variables.
func (s *ansibleStep) inventory(door *ansibleDoor) error {
	vars, err := s.hostVars()
	if err != nil {
		return err
	}
	for k, v := range door.vars(s.address()).All() {
		vars.Set(k, v)
	}
	host := s.task.Host
	children := value.NewDict()
	groups, _, err := s.task.Vars.Get("group_names")
	if err != nil {
		return err
	}
	list, _ := groups.([]any)
	for _, g := range list {
		if name := value.Text(g); groupName.MatchString(name) && name != "all" && name != "ungrouped" {
			children.Set(name, value.NewDict("hosts", value.NewDict(host, nil)))
		}
	}
	all := value.NewDict("hosts", value.NewDict(host, vars), "children", children)
	return s.write("inventory.yaml", ansibleYAML(value.NewDict("all", all))+"\n")
}

// hostVars are the variables of the host that can be evaluated; those that cannot be are missing there
// too. A password is given for becoming another user whether or not this task does: the plays may.
func (s *ansibleStep) hostVars() (*value.Dict, error) {
	out := value.NewDict()
	for _, name := range s.task.Vars.Names() {
		if !variableName.MatchString(name) || slices.Contains(ansibleMagic, name) || ansibleOwn.MatchString(name) {
			continue
		}
		if v, ok, err := s.task.Vars.Get(name); ok && err == nil {
			out.Set(name, v)
		}
	}
	if s.task.BecomePassword == nil {
		return out, nil
	}
	password, err := s.task.BecomePassword()
	if password != "" {
		out.Set("ansible_become_password", password)
	}
	return out, err
}

// address is what tasks read as ansible_host.
func (s *ansibleStep) address() string {
	for _, name := range []string{"ansible_host", "ansible_ssh_host"} {
		if v, ok, err := s.task.Vars.Get(name); ok && err == nil && plainAddress.MatchString(value.Text(v)) {
			return value.Text(v)
		}
	}
	if plainAddress.MatchString(s.task.Host) {
		return s.task.Host
	}
	return "127.0.0.1"
}

// sshArgs are options of ssh(1) that lead to the door, whatever the user's configuration and
// the other variables say. The first of two that contradict each other counts.
func (d *ansibleDoor) sshArgs() string {
	var words []string
	for _, o := range []string{
		"HostName=127.0.0.1", "Port=" + strconv.Itoa(d.port), "HostKeyAlias=farm", "StrictHostKeyChecking=yes",
		`UserKnownHostsFile="` + filepath.Join(d.dir, "known_hosts") + `"`, "GlobalKnownHostsFile=/dev/null", "CheckHostIP=no",
		"UpdateHostKeys=no", "IdentitiesOnly=yes", "IdentityAgent=none", "PreferredAuthentications=publickey", "PasswordAuthentication=no",
		"ControlMaster=no", "ControlPath=none", "ProxyCommand=none", "ForwardAgent=no", "ForwardX11=no", "LogLevel=ERROR",
	} {
		words = append(words, "-o "+quote(o))
	}
	return "-F /dev/null " + strings.Join(words, " ")
}

// vars say how Ansible reaches the host; address is what is shown as ansible_host.
func (d *ansibleDoor) vars(address string) *value.Dict {
	if d.listener == nil {
		return value.NewDict("ansible_connection", "local")
	}
	return value.NewDict("ansible_connection", "ssh", "ansible_host", address, "ansible_user", d.user,
		"ansible_ssh_private_key_file", filepath.Join(d.dir, "key"), "ansible_ssh_args", d.sshArgs(),
		"ansible_ssh_common_args", "", "ansible_ssh_extra_args", "")
}

// ansibleYAML is v as YAML of one line, in ASCII. Text is marked as what it is: some comes from the
// host, and Ansible would evaluate what looks like a template in it, on the controller.
func ansibleYAML(v any) string {
	switch t := v.(type) {
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(t)
	case int, int64, value.Big:
		return value.Text(t)
	case float64:
		return "!!float " + yamlText(value.Text(t))
	case []any:
		items := make([]string, len(t))
		for i, x := range t {
			items[i] = ansibleYAML(x)
		}
		return "[" + strings.Join(items, ", ") + "]"
	case *value.Dict:
		var items []string
		for k, x := range t.All() {
			items = append(items, "? "+yamlText(value.Text(k))+" : "+ansibleYAML(x))
		}
		return "{" + strings.Join(items, ", ") + "}"
	}
	return "!unsafe " + yamlText(value.Text(v))
}

// yamlText is a double-quoted scalar.
func yamlText(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r >= ' ' && r <= '~':
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

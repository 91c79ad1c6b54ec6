package modules

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"farm/engine"
	"farm/inventory/value"
)

// KnownHosts puts a host's public key into a known_hosts file, or takes it out.
type KnownHosts struct {
	Name     string `yaml:"name|host,required"` // the host, as ssh looks it up: "[host]:port" for another port than 22
	Key      string `yaml:"key"`                // the line: "host type key"; without the name it is put in front
	Path     string `yaml:"path"`               // ~/.ssh/known_hosts by default
	State    string `yaml:"state"`              // present (the default) or absent
	HashHost bool   `yaml:"hash_host"`          // hide the name
}

func newKnownHosts() engine.Module {
	return &KnownHosts{State: "present", Path: "~/.ssh/known_hosts"}
}

// Validate checks what goes together.
func (m *KnownHosts) Validate() error {
	switch {
	case m.State != "present" && m.State != "absent":
		return fmt.Errorf("state %q is neither present nor absent", m.State)
	case m.State == "present" && len(keyOf(m.Key)) == 0:
		return errors.New("state: present needs key, as ssh-keyscan prints it")
	case strings.Contains(m.Name, ","):
		return errors.New("name is a list of names: give one host a task")
	case strings.ContainsAny(m.Name, " \t\n"):
		return fmt.Errorf("%q is no name of a host", m.Name)
	case m.State == "present" && m.others():
		return errors.New("key is that of another host: the hash in it is not that of name")
	}
	return nil
}

// others reports whether the key has names of hosts with it, and name is none of them.
func (m *KnownHosts) others() bool {
	w := strings.Fields(m.Key)
	return len(w) > 0 && w[0] != keyOf(m.Key)[0] && !strings.HasPrefix(w[0], "@") && !names(m.Key, m.Name)
}

// keyOf is the type, the key and the comment of a line of known_hosts, which may start with
// a marker and names; nil if there is none.
func keyOf(line string) []string {
	w := strings.Fields(line)
	for i := range w {
		kind := strings.HasPrefix(w[i], "ssh-") || strings.HasPrefix(w[i], "ecdsa-") || strings.HasPrefix(w[i], "sk-")
		if kind && i+1 < len(w) {
			return w[i:]
		}
	}
	return nil
}

// Run edits the file.
func (m *KnownHosts) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	if err := m.Validate(); err != nil {
		return failed("known_hosts: %v", err), nil
	}
	e := editing{path: m.Path, create: true, follow: true}
	var before, after string
	res, err := e.edit(ctx, t, func(old string, _ bool) (now, msg string, err error) {
		now, msg, err = m.change(old)
		before, after = old, now
		return now, msg, err
	})
	if err != nil || res.Failed {
		return res, err
	}
	r, err := run(ctx, t, fileFuncs+`report "$(untilde "$path")"`, map[string]string{"path": m.Path, "changed": ""})
	if err != nil {
		return engine.Result{}, err
	}
	path := text(r.get("path"))
	res.Msg, res.Diff = "", textDiff(path, before, path, after)
	res.Values = fileValues(r, value.NewDict("name", m.Name, "key", m.Key, "path", path, "hash_host", m.HashHost))
	return res, nil
}

func (m *KnownHosts) change(old string) (now, msg string, err error) {
	want := keyOf(m.Key)
	var b strings.Builder
	have := false
	for _, line := range splitLines(old) {
		key := keyOf(line)
		if len(key) < 2 || !names(line, m.Name) {
			b.WriteString(line)
			continue
		}
		switch {
		case len(want) == 0: // absent, whatever the key
		case key[0] == want[0] && key[1] == want[1] && m.State == "present" && !have && m.HashHost == strings.HasPrefix(line, "|"):
			have = true
			b.WriteString(line)
		case key[0] != want[0]:
			b.WriteString(line) // another kind of key of the same host
		}
	}
	now = b.String()
	if m.State == "present" && !have {
		if now != "" && !strings.HasSuffix(now, "\n") {
			now += "\n"
		}
		name := m.Name
		if m.HashHost {
			name = hashed(m.Name)
		}
		now += name + " " + strings.Join(want, " ") + "\n"
	}
	if now == old {
		return old, "", nil
	}
	return now, "known hosts changed", nil
}

// names reports whether a line of known_hosts (sshd(8)) is for the host, by name or hash.
func names(line, host string) bool {
	w := strings.Fields(line)
	if len(w) == 0 || strings.HasPrefix(w[0], "#") || strings.HasPrefix(w[0], "@") {
		return false
	}
	for name := range strings.SplitSeq(w[0], ",") {
		if name == host || sameHash(name, host) {
			return true
		}
	}
	return false
}

func sameHash(name, host string) bool {
	p := strings.Split(name, "|")
	if len(p) != 4 || p[1] != "1" {
		return false
	}
	salt, err := base64.StdEncoding.DecodeString(p[2])
	return err == nil && base64.StdEncoding.EncodeToString(hostHash(salt, host)) == p[3]
}

func hostHash(salt []byte, host string) []byte {
	h := hmac.New(sha1.New, salt)
	h.Write([]byte(host))
	return h.Sum(nil)
}

func hashed(host string) string {
	salt := make([]byte, sha1.Size)
	rand.Read(salt) // never fails
	enc := base64.StdEncoding
	return "|1|" + enc.EncodeToString(salt) + "|" + enc.EncodeToString(hostHash(salt, host))
}

package store

import (
	"context"
	"encoding/json"
	"time"
)

// The states of a machine in the store.
const (
	Intended = "intended" // about to be made, or in use
	Kept     = "kept"     // left running on purpose, until KeepUntil
	Unmarked = "unmarked" // the same, but its host did not take the mark that says so
	Gone     = "gone"
)

// Machine is a machine that farm made or was about to make.
type Machine struct {
	Name string `json:"name"` // libvirt's
	Run  string `json:"run"`
	VM   string `json:"vm"`   // id
	Host string `json:"host"` // inventory name
	Dir  string `json:"dir"`  // its folder on the host
	// Hypervisor is how the host is reached, as JSON, without passwords.
	Hypervisor string    `json:"hypervisor"`
	SSHUser    string    `json:"ssh_user"`
	KeyFile    string    `json:"key_file"`
	HostKeys   []string  `json:"host_keys"`
	State      string    `json:"state"`
	Created    time.Time `json:"created"`
	KeepUntil  time.Time `json:"keep_until"`
}

// Intend records a machine before it is made.
func (s *Store) Intend(m Machine) error {
	keys, err := json.Marshal(m.HostKeys)
	if err != nil {
		return err
	}
	_, err = s.db.Exec(`INSERT INTO machines (name, run, vm, host, dir, hypervisor, ssh_user, key_file, host_keys, state, created)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		m.Name, m.Run, m.VM, m.Host, m.Dir, m.Hypervisor, m.SSHUser, m.KeyFile, string(keys), Intended, stamp(time.Now()))
	return err
}

// Settle records what became of a machine.
func (s *Store) Settle(name, state string, keepUntil time.Time) error {
	_, err := s.db.Exec(`UPDATE machines SET state = ?, keep_until = ? WHERE name = ?`, state, stamp(keepUntil), name)
	return err
}

// Machines lists the machines that are not gone, newest first.
func (s *Store) Machines(ctx context.Context) ([]Machine, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT name, run, vm, host, dir, hypervisor, ssh_user, key_file, host_keys, state, created, keep_until
		FROM machines WHERE state != ? ORDER BY created DESC, name DESC`, Gone)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Machine
	for rows.Next() {
		var m Machine
		var keys, created, until string
		if err := rows.Scan(&m.Name, &m.Run, &m.VM, &m.Host, &m.Dir, &m.Hypervisor, &m.SSHUser, &m.KeyFile, &keys, &m.State, &created, &until); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(keys), &m.HostKeys); err != nil {
			return nil, err
		}
		m.Created, m.KeepUntil = parse(created), parse(until)
		all = append(all, m)
	}
	return all, rows.Err()
}

package task

import (
	"fmt"

	"farm/engine"
	"farm/inventory/source"
	"farm/inventory/value"
)

// loginWords are the keywords that say how the guest is reached, with the variable that wins over each.
var loginWords = map[string]string{"connection": "ansible_connection", "remote_user": "ansible_user", "port": "ansible_port"}

// login obeys the keywords that say how the task's host is reached. A host has one
// connection: another user or port is refused rather than passed over. Those of a play were obeyed
// when the connection was opened.
func (c *call) login(t *engine.Task, delegated bool) error {
	for word, name := range loginWords {
		raw, d, ok := c.s.key(word)
		if !ok || raw == nil || d == c.root.keys {
			continue
		}
		if _, set, err := c.vars.Get(name); err != nil || set {
			if err != nil {
				return err
			}
			continue
		}
		v, err := c.vars.Eval(raw)
		if err != nil {
			return err
		}
		text := value.Text(v)
		if _, omit := v.(value.Omit); omit || text == "" {
			continue
		}
		if err := c.reach(t, word, text, delegated); err != nil {
			return &source.Error{Pos: d.KeyPos(word), What: word, Err: err}
		}
	}
	return nil
}

func (c *call) reach(t *engine.Task, word, v string, delegated bool) error {
	switch word {
	case "connection":
		switch short(v) {
		case "ssh", "smart", "paramiko", "paramiko_ssh":
			return nil
		case "local":
			if c.o.Local == nil {
				return fmt.Errorf("the task may not run on the controller: the inventory has to say ansible_connection: local")
			}
			t.Conn, t.Reconnect = c.o.Local, nil
			return nil
		}
		return fmt.Errorf("there is no connection %q, only ssh and local", v)
	case "remote_user":
		if v == c.h.LoginUser && !delegated {
			return nil
		}
		return fmt.Errorf("the connection is logged in already, not as %q; use become_user, or set ansible_user for the host", v)
	}
	return fmt.Errorf("the connection is there already; set ansible_port for the host")
}

package task

import (
	"fmt"
	"slices"
	"strings"

	"farm/inventory/source"
	"farm/inventory/value"
)

// reach collects what tasks name that others of their files, or roles, define: handlers and
// hosts. Only what nothing can define is a fault.
type reach struct {
	handlers    []string // names and topics
	hosts       []string // that tasks add
	anyHandler  bool     // there may be others
	anyHost     bool
	notices     []mention
	delegations []mention
}

// mention is a constant name where it stands.
type mention struct {
	name string
	pos  source.Pos
}

// unknown notes that tasks which cannot be read yet may define anything.
func (r *reach) unknown() { r.anyHandler, r.anyHost = true, true }

// add takes what one task names and defines.
func (r *reach) add(t *Task, s *scope, handler bool) {
	if handler {
		r.handler(t, s)
	}
	if t.Module == "add_host" {
		r.host(t)
	}
	r.notices = append(r.notices, mentions(t.Keys, "notify")...)
	if name, ok := t.Keys.Get("delegate_to"); ok && !guarded(s, value.Text(name)) {
		r.delegations = append(r.delegations, mentions(t.Keys, "delegate_to")...)
	}
}

// handler notes under which names a handler is notified.
func (r *reach) handler(t *Task, s *scope) {
	name, _ := t.Keys.Get("name")
	listen, _ := t.Keys.Get("listen")
	if hasTemplate(name) || hasTemplate(listen) {
		r.anyHandler = true
		return
	}
	r.handlers = append(r.handlers, t.Title())
	if s.role != nil {
		r.handlers = append(r.handlers, s.role.name+" : "+t.Title())
	}
	for _, m := range mentions(t.Keys, "listen") {
		r.handlers = append(r.handlers, m.name)
	}
}

func (r *reach) host(t *Task) {
	for _, key := range []string{"name", "hostname", "host"} {
		name, ok := t.Args.Get(key)
		if !ok {
			continue
		}
		if text, constant := name.(string); constant {
			r.hosts = append(r.hosts, text)
			return
		}
	}
	r.anyHost = true
}

// mentions lists the constant names at a keyword, which has one or a list of them.
func mentions(d *value.Dict, key string) (all []mention) {
	v, _ := d.Get(key)
	list, isList := v.([]any)
	if !isList {
		list = []any{v}
	}
	for i, one := range list {
		name, ok := one.(string)
		if !ok || name == "" {
			continue
		}
		pos := d.ValPos(key)
		if isList {
			pos = d.ItemPos(key, i)
		}
		all = append(all, mention{name, pos})
	}
	return all
}

// guarded reports whether a condition around a task may keep it from running where there is no
// such host.
func guarded(s *scope, host string) bool {
	for ; s != nil; s = s.parent {
		when, _ := s.keys.Get("when")
		text := value.Text(when)
		for _, word := range []string{"groups", "hostvars", host} {
			if strings.Contains(text, word) {
				return true
			}
		}
	}
	return false
}

// faults are the names that nothing defines: no handler and no topic, no host that is known
// or added; known is nil where any may be.
func (r *reach) faults(topics []string, known []string) (errs []error) {
	for _, n := range r.notices {
		if r.anyHandler || slices.Contains(r.handlers, n.name) || slices.Contains(topics, n.name) {
			continue
		}
		hint := source.DidYouMean(n.name, slices.Concat(r.handlers, topics))
		if hint == "" {
			hint = "neither the name of a handler nor a topic that one listens to"
		}
		errs = append(errs, &source.Error{Pos: n.pos, What: fmt.Sprintf("notify: no handler is called %q", n.name), Hint: hint})
	}
	if known == nil || r.anyHost {
		return errs
	}
	known = slices.Concat(known, r.hosts, []string{"localhost", "127.0.0.1", "::1"})
	for _, n := range r.delegations {
		if slices.Contains(known, n.name) {
			continue
		}
		hint := source.DidYouMean(n.name, known)
		if hint == "" {
			hint = "a hypervisor of the inventory, or localhost"
		}
		errs = append(errs, &source.Error{Pos: n.pos, What: fmt.Sprintf("delegate_to: there is no host %q", n.name), Hint: hint})
	}
	return errs
}

package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"farm/engine"
	"farm/engine/ssh"
	"farm/engine/store"
)

// guests reaches guests over SSH, through their hypervisor.
type guests struct{ *session }

// Dial logs into a guest once.
func (g guests) Dial(ctx context.Context, r *engine.Run, addr string) (engine.Conn, error) {
	get := getter{g.inv, r.VM, nil}
	auth := r.VM.Def.Metadata.Auth
	key, err := g.guestKey(get.text("ansible_ssh_private_key_file", ""))
	if err != nil {
		return nil, err
	}
	login := guestLogin{
		Name: r.VM.ID, Addr: addr, User: loginUser(&get), Key: key, HostKeys: r.Layer.HostKeys,
		Password: get.text("ansible_password", auth.Password), Machine: r.Name,
	}
	if get.err != nil {
		return nil, get.err
	}
	c, err := g.dialGuest(ctx, r.Host.Conn(), login)
	if err != nil {
		return nil, staged{err} // never a nil *ssh.Conn in an interface
	}
	return c, nil
}

// guestLogin is how a guest is logged into.
type guestLogin struct {
	Name     string // VM's id
	Addr     string // as seen from its hypervisor
	User     string
	Key      string // private key file
	Password string
	HostKeys []string // put in at image time; none = pinned on first use
	Machine  string   // libvirt's name: what a pinned key belongs to
}

// dialGuest logs in through the guest's hypervisor. Keys that were not put in at image
// time are pinned for the life of the machine.
func (a *app) dialGuest(ctx context.Context, host engine.Conn, l guestLogin) (*ssh.Conn, error) {
	known, err := a.pinned(l.Machine)
	if err != nil {
		return nil, err
	}
	return ssh.Dial(ctx, ssh.Config{
		Name: l.Name, Addr: l.Addr, User: l.User, KeyFiles: []string{l.Key}, Password: l.Password,
		HostKeys: l.HostKeys, KnownHosts: []string{known}, AcceptNew: true,
		Dialer: host.Dial, Timeout: 30 * time.Second, Log: a.log.Named(l.Name),
	})
}

// pinned is the file of the host keys that a machine's guest showed.
func (a *app) pinned(machine string) (string, error) {
	home, err := a.home()
	return filepath.Join(home, "known_hosts.d", machine), err
}

// gone records that a machine is no more and forgets its host keys.
func (a *app) gone(s *store.Store, machine string) error {
	err := s.Settle(machine, store.Gone, time.Time{})
	known, e := a.pinned(machine)
	if e == nil {
		e = os.Remove(known)
	}
	if errors.Is(e, fs.ErrNotExist) {
		e = nil
	}
	return errors.Join(err, e)
}

// staged tells how far a login came, as engine.Guest says.
type staged struct{ error }

func (s staged) Unwrap() error { return s.error }

// Stage is the rung that failed.
func (s staged) Stage() string {
	var d *ssh.DialError
	if errors.As(s.error, &d) {
		return string(d.Stage)
	}
	return "ssh"
}

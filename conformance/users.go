package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"regexp"
	"slices"
)

// baseUser is who cases become. Names that begin with it and "_" are for cases that
// make users and groups of their own.
const baseUser = "farmconf"

var madeNames = regexp.MustCompile(`\b` + baseUser + `_[a-z0-9]+\b`)

// users are the accounts that a run of this program makes and removes.
type users struct{}

// makeUsers makes the account that cases become.
func makeUsers(ctx context.Context) (*users, error) {
	if os.Getuid() != 0 {
		return nil, errors.New("the cases become another user and make users: run this as root")
	}
	if _, err := user.Lookup(baseUser); err == nil {
		return &users{}, nil // left by a run that was killed
	}
	return &users{}, command(ctx, "useradd", "--create-home", "--shell", "/bin/sh", "--password", "*", baseUser)
}

func (u *users) remove() error {
	return command(context.Background(), "userdel", "--remove", baseUser)
}

// clean removes the users and groups that a case names.
func (u *users) clean(c *Case) error {
	var names []string
	for _, n := range madeNames.FindAll(c.Text, -1) {
		if !slices.Contains(names, string(n)) {
			names = append(names, string(n))
		}
	}
	var errs []error
	for _, n := range names {
		if _, err := user.Lookup(n); err == nil {
			errs = append(errs, command(context.Background(), "userdel", "--remove", "--force", n))
		}
	}
	for _, n := range names {
		if _, err := user.LookupGroup(n); err == nil {
			errs = append(errs, command(context.Background(), "groupdel", "--force", n))
		}
	}
	return errors.Join(errs...)
}

func command(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil && !bytes.Contains(out, []byte("mail spool")) {
		return fmt.Errorf("%s %v: %w: %s", name, args, err, bytes.TrimSpace(out))
	}
	return nil
}

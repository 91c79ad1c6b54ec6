// Package engine is farm's vocabulary: the types that its parts share. It starts no
// goroutine and does no I/O.
package engine

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"time"
)

// Conn runs commands and moves files on one machine, host or guest. Safe for
// concurrent use. When ctx ends the remote process group is killed and ctx's error
// returned, wrapped. Transport errors wrap ErrUnreachable; a command that ran and
// exited non-zero returns its Output and an *ExitError.
type Conn interface {
	fmt.Stringer
	// Exec runs cmd and waits for it.
	Exec(ctx context.Context, cmd Cmd) (Output, error)
	// Upload writes src to the file dst atomically: a reader sees the old file or the
	// whole new one. The parent folder must exist.
	Upload(ctx context.Context, dst string, perm fs.FileMode, src io.Reader) error
	// Download copies the file src to dst. A missing file is fs.ErrNotExist, wrapped.
	Download(ctx context.Context, src string, dst io.Writer) error
	// Dial connects from the machine to addr; network is "tcp" or "unix".
	Dial(ctx context.Context, network, addr string) (net.Conn, error)
	Close() error
}

// Streamer is a Conn that also runs a command as a two-way stream.
type Streamer interface {
	// Stream starts argv; reading is its standard output, writing its standard input, and
	// Close ends it. ctx bounds the start alone. Once the command has failed, Read's
	// error quotes the end of its standard error. Deadlines on the stream may be ignored.
	Stream(ctx context.Context, argv []string) (net.Conn, error)
}

// Keeper is a Conn that keeps a program running to be asked again and again, where its
// start is most of what an answer costs.
type Keeper interface {
	// Keep lends the running argv, which reads questions from its standard input, as the
	// user that b says; nil is the login user. Nothing is awaited: ok is false where it
	// does not run yet, cannot run, or is lent already. The first call starts it, for later
	// ones. Give it back with Release. It ends with the connection, or earlier where its
	// session is needed otherwise.
	Keep(ctx context.Context, b *Become, argv []string) (k Kept, ok bool)
}

// Kept is a program lent by a Keeper; one goroutine at a time uses it.
type Kept interface {
	// Ask writes question and returns what the program prints before end, a text that no
	// answer holds; the rest of end's line is dropped. It waits a few seconds, or less where
	// ctx ends. After an error the program is not lent again.
	Ask(ctx context.Context, question, end string) (string, error)
	// Drop has Release end the program, so that the next Keep starts another.
	Drop()
	Release()
}

// Sharer is a Conn over SSH whose login other programs of the controller can use.
type Sharer interface {
	// ShareUser is the user that is logged in, and the only one that Share lets in.
	ShareUser(ctx context.Context) (string, error)
	// Share speaks SSH, as the server, with the client at the other end of nc, and opens a session on
	// the machine for each that the client asks for; it forwards nothing else. It closes nc and returns
	// when the client leaves or ctx ends. The error wraps ErrUnreachable where the machine was lost before.
	Share(ctx context.Context, nc net.Conn, keys ShareKeys) error
}

// ShareKeys are the keys of a shared login: made for it, and of no use elsewhere.
type ShareKeys struct {
	Host   ed25519.PrivateKey // what Share shows
	Client ed25519.PublicKey  // what the client has to have
}

// Cmd is one command. Either Argv or Script is set.
type Cmd struct {
	Argv   []string // program and arguments, passed on unchanged
	Script string   // text for Shell, run as `Shell -c Script` would
	// Functions defines functions for Script and does nothing else. A shell that runs many
	// commands reads it once for all that have the same, which is quicker where it is long.
	Functions string
	Shell     string            // program that runs Script; "" = /bin/sh
	Dir       string            // working folder; "" = home; a leading ~ is the user's home
	Env       map[string]string // added to the login environment
	Stdin     io.Reader         // nil = empty
	Become    *Become           // nil = as the login user
	// Stdout and Stderr also get the output as it comes, if set.
	Stdout, Stderr io.Writer
	// Keep is how many bytes of each stream Output keeps, the first and the last halves;
	// 0 = 8 MiB. The rest is read and dropped.
	Keep int64
}

// Become is how a command runs as another user.
type Become struct {
	User     string // "" = root
	Method   string // sudo (default), su, doas
	Password string // "" = none is asked for; never on a command line
}

// Output is what a command left.
type Output struct {
	Stdout, Stderr []byte // at most Cmd.Keep each
	Dropped        int64  // bytes of both that were not kept
	Status         int    // exit status; 128+n when signal n ended it
	Elapsed        time.Duration
}

// ExitError is a command that ran and exited with a status other than 0.
type ExitError struct{ Status int }

func (e *ExitError) Error() string {
	if e.Status > 128 && e.Status < 128+65 {
		return fmt.Sprintf("ended by signal %d", e.Status-128)
	}
	return fmt.Sprintf("exit status %d", e.Status)
}

// ErrUnreachable is wrapped by every error that means "the machine cannot be talked to".
var ErrUnreachable = errors.New("unreachable")

// ErrNotExist is wrapped where a machine, image or layer is not there.
var ErrNotExist = fs.ErrNotExist

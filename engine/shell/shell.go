// Package shell runs commands in persistent POSIX shells: the part that connections to
// guests, to hypervisors and to the controller itself have in common.
//
// A command is a call of a function in a running sh, sent on its standard input. The
// output is framed by a random token on standard output and standard error, so a
// command costs a round trip and a fork, not a login. One shell runs one command at a
// time; commands at the same time get a shell each. The protocol needs nothing but
// POSIX sh: dash, busybox ash, bash and ksh are known to work.
package shell

import (
	"context"
	"errors"
	"io"
)

// Process is a program started on the machine.
type Process struct {
	Stdin  io.WriteCloser // closing it ends the input, not the program
	Stdout io.Reader
	Stderr io.Reader // nil where a terminal carries both
	// Wait returns how the program ended, once its output is over: nil, an
	// *engine.ExitError, or an error that wraps engine.ErrUnreachable where the transport broke.
	Wait func() error
	// Exited is closed when the program itself ended; others may still hold its output.
	Exited <-chan struct{}
	// Close gives the program up: reads and writes end soon after.
	Close func() error
}

// Spawn starts line with the login shell; with pty its three streams are one raw
// terminal without echo. Errors of the transport wrap engine.ErrUnreachable.
type Spawn func(ctx context.Context, line string, pty bool) (*Process, error)

// ErrNotPOSIX is wrapped where the login shell does not start a POSIX sh.
var ErrNotPOSIX = errors.New("no POSIX shell")

// ErrNoSession is wrapped by a Spawn that was refused one more session.
var ErrNoSession = errors.New("no more sessions")

// ErrShellDied is wrapped where the shell ended before the command did.
var ErrShellDied = errors.New("the shell ended while the command ran")

package ssh

import (
	"fmt"

	"farm/engine"
)

// Stage is a rung on the way to a login.
type Stage string

// The rungs, in order. A stage names what failed; those before it succeeded.
const (
	StageTCP       Stage = "tcp"       // a connection to the port
	StageBanner    Stage = "banner"    // the server says who it is
	StageHandshake Stage = "handshake" // keys are exchanged
	StageHostKey   Stage = "host key"  // the server is who it should be
	StageAuth      Stage = "auth"      // it lets us in
)

// DialError says how far a login came. It wraps engine.ErrUnreachable and its cause.
type DialError struct {
	Name  string // of the machine
	Addr  string
	User  string
	Stage Stage
	Err   error
}

func (e *DialError) Error() string {
	s := fmt.Sprintf("connect to %q (%s@%s): %s: %v", e.Name, e.User, e.Addr, e.Stage, e.Err)
	switch e.Stage {
	case StageBanner:
		s += ": something accepts connections there but does not answer as an SSH server"
	case StageAuth:
		s += ": check the user, key or password"
	}
	return s
}

// Unwrap returns what the error is.
func (e *DialError) Unwrap() []error { return []error{engine.ErrUnreachable, e.Err} }

package libvirt

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"

	"farm/engine"

	rpc "github.com/digitalocean/go-libvirt"
)

// maxMessage bounds what is quoted of a daemon's message or of a log, in bytes.
const maxMessage = 2000

// translate makes of the library's error one that people can act on. A broken
// connection comes from the library as "invalid argument", EOF or "procedure
// interrupted", none of which says so.
func (l *link) translate(s *session, err error) error {
	var le rpc.Error
	switch {
	case err == nil, errors.Is(err, engine.ErrUnreachable), errors.Is(err, engine.ErrNotExist):
		return err
	case errors.As(err, &le):
		return libvirtError(le)
	case errors.Is(err, rpc.ErrUnsupported):
		return errors.New("this libvirt does not know the call")
	case !s.broken(err):
		return err
	}
	why := "the daemon or the way to it went away"
	if r, ok := s.raw.(*remembering); ok {
		if cause := r.cause(); cause != nil && !errors.Is(cause, io.EOF) && !errors.Is(cause, io.ErrClosedPipe) {
			why = clean(cause.Error())
		}
	}
	return fmt.Errorf("%w: connection to libvirt lost: %s", engine.ErrUnreachable, why)
}

// broken tells whether the connection is of no more use after err.
func (s *session) broken(err error) bool {
	return !s.IsConnected() || errors.Is(err, rpc.ErrInterrupted) || errors.Is(err, io.EOF)
}

func libvirtError(e rpc.Error) error {
	msg := clean(strings.TrimPrefix(e.Message, "internal error: "))
	if rpc.ErrorNumber(e.Code) == rpc.ErrNoDomain {
		return fmt.Errorf("%w: %s", engine.ErrNotExist, msg)
	}
	return &callError{Code: rpc.ErrorNumber(e.Code), Message: msg}
}

// callError is a refusal by libvirt.
type callError struct {
	Code    rpc.ErrorNumber
	Message string // libvirt's own, made printable
}

func (e *callError) Error() string { return e.Message }

// refused tells whether libvirt refused a call with one of the codes.
func refused(err error, codes ...rpc.ErrorNumber) bool {
	var ce *callError
	if !errors.As(err, &ce) {
		return false
	}
	for _, c := range codes {
		if ce.Code == c {
			return true
		}
	}
	return false
}

// clean makes text from a host printable and bounds it.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || unicode.IsPrint(r) {
			return r
		}
		return -1
	}, strings.TrimSpace(s))
	if len(s) > maxMessage {
		s = strings.ToValidUTF8(s[:maxMessage], "") + "…"
	}
	return s
}

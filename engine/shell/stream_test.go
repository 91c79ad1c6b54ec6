package shell

import (
	"io"
	"strings"
	"testing"
)

// overReader is an output that is over, and tells when somebody has seen that.
type overReader struct{ seen chan struct{} }

func (e overReader) Read([]byte) (int, error) {
	close(e.seen)
	return 0, io.EOF
}

func TestStreamQuotesWhatIsSaidAfterItsEnd(t *testing.T) {
	errs, say := io.Pipe()
	over := overReader{make(chan struct{})}
	go func() {
		<-over.seen
		io.WriteString(say, "no such disk\n")
		say.Close()
	}()
	_, in := io.Pipe()
	s := Stream(&Process{Stdin: in, Stdout: over, Stderr: errs, Close: errs.Close}, "nbd", nil)
	defer s.Close()
	if _, err := s.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "nbd: EOF: no such disk") {
		t.Errorf("got %v", err)
	}
}

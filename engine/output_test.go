package engine

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestBecauseQuotesTheLastLine(t *testing.T) {
	status := &ExitError{Status: 1}
	for _, c := range []struct {
		err    error
		stderr string
		want   string
	}{
		{status, "first\nno space left \n\n", "no space left: exit status 1"},
		{fmt.Errorf("copy: %w", status), "x", "x: copy: exit status 1"},
		{status, " \n", "exit status 1"},
		{status, "a\xffb", "a?b: exit status 1"},
		{status, strings.Repeat("x", 600), strings.Repeat("x", 500) + ": exit status 1"},
		{ErrUnreachable, "half a line", "unreachable"},
	} {
		err := Output{Stderr: []byte(c.stderr)}.Because(c.err)
		if err.Error() != c.want || !errors.Is(err, c.err) {
			t.Errorf("%q: got %q, want %q", c.stderr, err, c.want)
		}
	}
}

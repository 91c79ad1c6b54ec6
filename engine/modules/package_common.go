package modules

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"farm/engine"
	"farm/inventory/source"
)

// oneOf is an error unless v is one of the choices.
func oneOf(name, v string, choices ...string) error {
	for _, c := range choices {
		if v == c {
			return nil
		}
	}
	hint := source.DidYouMean(v, choices)
	if hint == "" {
		hint = "known: " + strings.Join(choices, ", ")
	}
	return fmt.Errorf("%s: unknown value %q (%s)", name, v, hint)
}

// canonical is a state by its usual name.
func canonical(state string) string {
	switch state {
	case "installed", "":
		return "present"
	case "removed":
		return "absent"
	}
	return state
}

// plainWord reports whether s is safe as a word of a command line that is put together
// in a script: no option, no space, nothing that a shell reads.
func plainWord(s string) bool {
	return s != "" && s[0] != '-' && !strings.ContainsAny(s, " \t\r\n'\"\\$`;&|<>(){}[]!#")
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

// runShown is run; what the script prints is shown as it comes.
func (s script) runShown(ctx context.Context, t *engine.Task) (reply, error) {
	if l := newLive(t); l != nil {
		s.Stdout = &unsaid{w: &l.out}
		defer l.end()
	}
	return s.run(ctx, t)
}

// unsaid passes a script's output on without what say put into it.
type unsaid struct {
	w      io.Writer
	inside bool // a record has begun and not ended
}

func (u *unsaid) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		end := byte('\x1e')
		if u.inside {
			end = 0
		}
		part, after, found := bytes.Cut(rest, []byte{end})
		if !u.inside && len(part) > 0 {
			if _, err := u.w.Write(part); err != nil {
				return 0, err
			}
		}
		if found {
			u.inside = !u.inside
		}
		rest = after
	}
	return len(p), nil
}

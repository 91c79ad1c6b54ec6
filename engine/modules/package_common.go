package modules

import (
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

// outputOf passes what a command prints on as events, a line each.
func outputOf(t *engine.Task) io.Writer {
	if t.Emit == nil {
		return nil
	}
	return &outputLines{emit: t.Emit}
}

// maxLine bounds a line that is passed on, in bytes.
const maxLine = 4 << 10

type outputLines struct {
	emit engine.Emit
	rest []byte
}

func (w *outputLines) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	for {
		i := strings.IndexByte(string(w.rest), '\n')
		if i < 0 {
			if len(w.rest) > maxLine {
				i = maxLine
			} else {
				return len(p), nil
			}
		}
		if line := string(w.rest[:i]); !strings.Contains(line, "\x1e") && line != "" {
			w.emit(engine.Event{Kind: engine.TaskOutput, Text: text(line)})
		}
		w.rest = w.rest[min(i+1, len(w.rest)):]
	}
}

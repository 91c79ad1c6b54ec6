package shell

import (
	"strconv"

	"farm/engine"
)

// maxKnown is how many texts of functions a shell remembers, and maxFunctions how long
// one may be, in bytes.
const (
	maxKnown     = 32
	maxFunctions = 64 << 10
)

// define makes cmd one without Functions. A text of functions is read once by the shell
// that forks for each command, as a function that defines them: so they are there in the
// commands that call it and hide no program from the others. before is what the shell has
// to read first.
func (s *session) define(cmd engine.Cmd) (before string, _ engine.Cmd) {
	text := cmd.Functions
	cmd.Functions = ""
	if text == "" {
		return "", cmd
	}
	n, known := s.known[text]
	whole := text + "\n" + cmd.Script
	full := !known && (len(s.known) >= maxKnown || len(text) > maxFunctions)
	if full || cmd.Shell != "" || ownProcess(whole) || background(whole) {
		cmd.Script = whole
		return "", cmd
	}
	if !known {
		if s.known == nil {
			s.known = map[string]int{}
		}
		n = len(s.known)
		s.known[text] = n
	}
	name := "farm_f" + strconv.Itoa(n)
	if !known {
		before = name + "() {\n" + text + "\n}\n"
	}
	cmd.Script = name + "\n" + cmd.Script
	return before, cmd
}

package modules

import (
	"context"

	"farm/engine"
)

// Shell runs a script in the guest's shell.
type Shell struct {
	Cmd        string  `yaml:"cmd"`               // the script
	Chdir      string  `yaml:"chdir"`             // folder to run in
	Creates    string  `yaml:"creates"`           // glob; do nothing if something is there
	Removes    string  `yaml:"removes"`           // glob; do nothing if nothing is there
	Executable string  `yaml:"executable"`        // the shell; /bin/sh by default
	Stdin      *string `yaml:"stdin"`             // text for its standard input
	StdinNL    bool    `yaml:"stdin_add_newline"` // with a newline after it (the default)
	Strip      bool    `yaml:"strip_empty_ends"`  // take newlines off the ends of the output (the default)
	freeForm   string
}

func newShell() engine.Module { return &Shell{StdinNL: true, Strip: true} }

// SetFreeForm takes the script.
func (s *Shell) SetFreeForm(text string) { s.freeForm = text }

// Validate wants one script.
func (s *Shell) Validate() error {
	given := 0
	for _, is := range []bool{s.freeForm != "", s.Cmd != ""} {
		if is {
			given++
		}
	}
	return oneCommand(given, "give the command either as text or as cmd, not both")
}

// Run runs the script.
func (s *Shell) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	line := s.freeForm + s.Cmd
	if line == "" {
		return failed("no command given"), nil
	}
	return execution{
		cmd: engine.Cmd{
			Script: line, Shell: s.Executable, Dir: s.Chdir, Stdin: input(s.Stdin, s.StdinNL),
		},
		shown: line, creates: s.Creates, removes: s.Removes, keepEnds: !s.Strip,
	}.run(ctx, t)
}

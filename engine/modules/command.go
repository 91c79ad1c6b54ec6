package modules

import (
	"context"
	"errors"
	"strings"

	"farm/engine"
	"farm/inventory/value"
)

// Command runs a program without a shell: no pipes, no globs; $VAR and a leading ~ are replaced.
type Command struct {
	Cmd      string  `yaml:"cmd"`                  // the command line, quoted as for a shell
	Argv     []any   `yaml:"argv"`                 // or its words
	Chdir    string  `yaml:"chdir"`                // folder to run in
	Creates  string  `yaml:"creates"`              // glob; do nothing if something is there
	Removes  string  `yaml:"removes"`              // glob; do nothing if nothing is there
	Stdin    *string `yaml:"stdin"`                // text for its standard input
	StdinNL  bool    `yaml:"stdin_add_newline"`    // with a newline after it (the default)
	Strip    bool    `yaml:"strip_empty_ends"`     // take newlines off the ends of the output (the default)
	Shell    string  `yaml:"executable"`           // accepted with a warning: it has no meaning without a shell
	Expand   bool    `yaml:"expand_argument_vars"` // replace $NAME in the words by the environment's (the default)
	freeForm string
}

func newCommand() engine.Module { return &Command{StdinNL: true, Strip: true, Expand: true} }

// SetFreeForm takes the command line.
func (c *Command) SetFreeForm(text string) { c.freeForm = text }

// Validate wants one command.
func (c *Command) Validate() error {
	given := 0
	for _, is := range []bool{c.freeForm != "", c.Cmd != "", len(c.Argv) > 0} {
		if is {
			given++
		}
	}
	return oneCommand(given, "only command or argv can be given, not both")
}

// oneCommand refuses a task that has not exactly one command.
func oneCommand(given int, several string) error {
	why := several
	switch given {
	case 0:
		why = "no command given"
	case 1:
		return nil
	}
	return engine.Refuse(errors.New(why), value.NewDict("rc", int64(256), "cmd", nil,
		"stdout", "", "stderr", "", "stdout_lines", []any{}, "stderr_lines", []any{}, "start", nil, "end", nil, "delta", nil))
}

// Run runs the command.
func (c *Command) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	words, err := c.words()
	if err != nil {
		return failed("%v", err), nil
	}
	if len(words) == 0 {
		return failed("no command given"), nil
	}
	shown := make([]any, len(words))
	for i, w := range words {
		shown[i] = w
	}
	cmd := c.command(words)
	cmd.Dir, cmd.Stdin = c.Chdir, input(c.Stdin, c.StdinNL)
	res, err := execution{cmd: cmd, shown: shown, creates: c.Creates, removes: c.Removes, keepEnds: !c.Strip}.run(ctx, t)
	if c.Shell != "" && err == nil {
		res = cautioned(t, res, "command: executable is no longer supported, and %q not used; the module shell has it", c.Shell)
	}
	return res, err
}

func (c *Command) words() ([]string, error) {
	if len(c.Argv) > 0 {
		words := make([]string, len(c.Argv))
		for i, a := range c.Argv {
			words[i] = value.Text(a)
		}
		return words, nil
	}
	return splitWords(c.freeForm + c.Cmd)
}

// command passes words on as they are, or by way of the shell where one has to be expanded.
func (c *Command) command(words []string) engine.Cmd {
	var line strings.Builder
	line.WriteString("exec")
	more := false
	for _, w := range words {
		line.WriteByte(' ')
		if c.Expand && expands(w) {
			more = true
			line.WriteString(expandWord(w))
		} else {
			line.WriteString(quote(w))
		}
	}
	if !more {
		return engine.Cmd{Argv: words}
	}
	return engine.Cmd{Script: line.String()}
}

package modules

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"farm/engine"
)

// Script copies a program from the controller to the guest, runs it and removes it.
type Script struct {
	Cmd        string `yaml:"cmd"`        // the program (looked up in files/) and its arguments
	Chdir      string `yaml:"chdir"`      // folder to run in
	Creates    string `yaml:"creates"`    // glob; do nothing if something is there
	Removes    string `yaml:"removes"`    // glob; do nothing if nothing is there
	Executable string `yaml:"executable"` // what runs it; by default its own first line
	freeForm   string
}

func newScript() engine.Module { return &Script{} }

// SetFreeForm takes the program and its arguments.
func (m *Script) SetFreeForm(text string) { m.freeForm = text }

// Validate wants a program.
func (m *Script) Validate() error {
	if (m.freeForm == "") == (m.Cmd == "") {
		return errors.New("give the program either as text or as cmd")
	}
	return nil
}

// Run runs the program.
func (m *Script) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	line := m.freeForm + m.Cmd
	words, err := splitWords(line)
	if err != nil || len(words) == 0 {
		return failed("script: no program given"), nil
	}
	file, err := t.Files.Find("files", words[0])
	if err != nil {
		return failed("%v", err), nil
	}
	e := execution{shown: line, creates: m.Creates, removes: m.Removes, keepEnds: true}
	e.cmd.Dir = m.Chdir
	why, err := e.needless(ctx, t)
	switch {
	case err != nil:
		return engine.Result{}, err
	case why != "" && strings.HasSuffix(why, " exists"):
		return engine.Result{Skipped: true, Msg: why + ", matching creates option"}, nil
	case why != "":
		return engine.Result{Skipped: true, Msg: why + ", matching removes option"}, nil
	case t.Check && e.creates+e.removes != "":
		return engine.Result{Changed: true}, nil
	case t.Check:
		return engine.Result{Skipped: true, Msg: "Check mode is not supported for this task."}, nil
	}
	f, err := t.Files.Open(file)
	if err != nil {
		return failed("%v", err), nil
	}
	defer f.Close()
	dir, bad, err := sendProgram(ctx, t, f, path.Base(file))
	if err != nil {
		return engine.Result{}, err
	}
	if bad != nil {
		return *bad, nil
	}
	program := dir + "/" + path.Base(file)
	if m.Executable != "" {
		e.cmd.Script = m.Executable + " " + quote(program)
	} else {
		e.cmd.Script = quote(program)
	}
	for _, w := range words[1:] {
		e.cmd.Script += " " + quote(w)
	}
	e.creates, e.removes = "", ""
	res, err := e.run(ctx, t)
	if r, err2 := run(ctx, t, `rm -rf -- "$dir"`, map[string]string{"dir": dir}); err == nil && err2 == nil && !r.ok() {
		warn(t, "the folder %q of a script is left: %s", dir, r.stderr())
	}
	if res.Values != nil { // Ansible tells less of a script than of a command
		for _, k := range []string{"cmd", "start", "end", "delta", "msg"} {
			res.Values.Delete(k)
		}
	}
	return res, err
}

// sendProgram puts a program into a new folder of the task's user.
func sendProgram(ctx context.Context, t *engine.Task, src io.Reader, name string) (dir string, bad *engine.Result, err error) {
	r, err := script{Text: `umask 077
dir=$(mktemp -d "${TMPDIR:-/tmp}/farm.XXXXXXXX") || exit
if cat >"$dir/$name" && chmod 700 "$dir/$name"; then say dir "$dir"; else rm -rf -- "$dir"; exit 1; fi
`, Vars: map[string]string{"name": name}, Stdin: src}.run(ctx, t)
	if err != nil {
		return "", nil, err
	}
	if !r.ok() {
		res := r.failure(fmt.Sprintf("copy %q", name))
		return "", &res, nil
	}
	return r.get("dir"), nil, nil
}

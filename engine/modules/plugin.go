package modules

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"farm/engine"
	"farm/inventory/value"
)

// pluginFolders are the folders beside an inventory or a playbook that hold modules of one's own; library is Ansible's name.
var pluginFolders = []string{"modules", "library"}

// WithPlugins is All and the modules that the user keeps beside what lies in dirs: each executable, or file that begins with #!,
// in a folder `modules` or `library` is a module of its name without extension. They win over built-in ones, and those of an earlier
// folder over later ones. A folder that cannot be read has none.
func WithPlugins(dirs ...string) []engine.ModuleDef {
	list := All()
	seen := map[string]bool{}
	for _, dir := range dirs {
		for _, sub := range pluginFolders {
			entries, err := os.ReadDir(filepath.Join(dir, sub))
			if err != nil {
				continue
			}
			for _, e := range entries {
				file := filepath.Join(dir, sub, e.Name())
				name := strings.TrimSuffix(e.Name(), filepath.Ext(e.Name()))
				if seen[name] || !variableName.MatchString(name) || !isProgram(file) {
					continue
				}
				seen[name] = true
				list = append(list, engine.ModuleDef{Name: name, File: file, New: func() engine.Module { return &plugin{file: file} }})
			}
		}
	}
	return list
}

func isProgram(file string) bool {
	st, err := os.Stat(file)
	if err != nil || !st.Mode().IsRegular() {
		return false
	}
	return st.Mode()&0o111 != 0 || bytes.HasPrefix(head(file), []byte("#!"))
}

// head is how a file begins, at most 64 KiB of it; nil where it cannot be read.
func head(file string) []byte {
	f, err := os.Open(file)
	if err != nil {
		return nil
	}
	defer f.Close()
	text := make([]byte, 64<<10)
	n, _ := f.Read(text)
	return text[:n]
}

// plugin is a user's program that works as a module: it runs on the host, its argument is a file with the task's arguments as
// JSON, and it prints its result as JSON, as Ansible's modules do that are not in Python.
// https://docs.ansible.com/ansible/latest/dev_guide/developing_program_flow_modules.html#non-native-want-json-modules
type plugin struct {
	file string
	Args *value.Dict `yaml:",rest"`
}

// Validate refuses what needs Ansible's own Python.
func (m *plugin) Validate() error {
	if bytes.Contains(head(m.file), []byte("ansible.module_utils")) {
		return fmt.Errorf("%s needs Ansible's Python modules, which are not in the guest; run it by the module ansible, or write it for JSON: "+
			"its first argument is a file with the arguments, and it prints its result", m.file)
	}
	return nil
}

const pluginScript = `umask 077
trap 'rm -rf -- "$farm_dir"' EXIT
cat >"$farm_dir/args.json" || exit
"$farm_dir/$farm_name" "$farm_dir/args.json" </dev/null
`

// maxPrinted is how many bytes of a plug-in's output are kept.
const maxPrinted = 4 << 20

// Run sends the program, runs it and reads its answer. In check mode it runs too, and is told by _ansible_check_mode.
func (m *plugin) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	args, err := m.arguments(t)
	if err != nil {
		return failed("%v", err), nil
	}
	f, err := os.Open(m.file)
	if err != nil {
		return failed("%v", err), nil
	}
	defer f.Close()
	name := filepath.Base(m.file)
	dir, bad, err := sendProgram(ctx, t, f, name)
	if err != nil {
		return engine.Result{}, err
	}
	if bad != nil {
		return *bad, nil
	}
	out, err := t.Exec(ctx, engine.Cmd{Script: pluginScript, Env: map[string]string{"farm_dir": dir, "farm_name": name},
		Stdin: bytes.NewReader(args), Keep: maxPrinted})
	var exit *engine.ExitError
	if err != nil && !errors.As(err, &exit) {
		return engine.Result{}, err
	}
	return answerOf(t, name, out), nil
}

// arguments are what the program reads, as JSON.
func (m *plugin) arguments(t *engine.Task) ([]byte, error) {
	args := value.NewDict()
	for k, v := range m.Args.All() {
		if _, omit := v.(value.Omit); !omit {
			args.Set(k, v)
		}
	}
	args.Set("_ansible_check_mode", t.Check)
	args.Set("_ansible_diff", t.Diff)
	return args.MarshalJSON()
}

// answerOf is the result that a program printed.
func answerOf(t *engine.Task, name string, out engine.Output) engine.Result {
	d, err := readResult(out)
	if err != nil {
		return engine.Result{Failed: true, Msg: fmt.Sprintf("%s: %v", name, err), Values: value.NewDict(
			"rc", int64(out.Status), "module_stdout", text(string(out.Stdout)), "module_stderr", text(string(out.Stderr)))}
	}
	res := engine.Result{Values: value.NewDict()}
	for k, v := range d.All() {
		switch k {
		case "changed":
			res.Changed = yes(v)
		case "failed":
			res.Failed = yes(v)
		case "skipped":
			res.Skipped = yes(v)
		case "diff":
			res.Diff = v
		case "ansible_facts":
			res.Facts, _ = v.(*value.Dict)
		case "warnings":
			list, _ := v.([]any)
			for _, w := range list {
				warn(t, "%s: %s", name, value.Text(w))
			}
		default:
			if key, _ := k.(string); !strings.HasPrefix(key, "_ansible_") {
				res.Values.Set(k, v)
			}
		}
	}
	if rc, ok := d.Get("rc"); ok && !d.Has("failed") {
		res.Failed = value.Text(rc) != "0"
	}
	if msg, ok := d.Get("msg"); ok {
		res.Msg = value.Text(msg)
	}
	if res.Failed && res.Msg == "" {
		res.Msg = name + " failed, and does not say why: its answer has no msg"
	}
	return res
}

// readResult finds the JSON object in a program's output. What stands before it is left out, as messages of a login may.
func readResult(out engine.Output) (*value.Dict, error) {
	if out.Dropped > 0 {
		return nil, fmt.Errorf("its output is longer than %d MiB", maxPrinted>>20)
	}
	answer := bytes.TrimSpace(out.Stdout)
	for len(answer) > 0 && answer[0] != '{' {
		_, answer, _ = bytes.Cut(answer, []byte("\n"))
		answer = bytes.TrimSpace(answer)
	}
	if len(answer) == 0 {
		why := ""
		if line := strings.TrimSpace(string(out.Stderr)); line != "" {
			why = "; it says: " + engine.Printable(text(line[max(0, len(line)-500):]))
		}
		return nil, fmt.Errorf("it ended with status %d and printed no result such as {\"changed\": false}%s", out.Status, why)
	}
	v, err := value.FromJSON(answer)
	if err != nil {
		return nil, fmt.Errorf("what it printed is no JSON: %w; messages go to standard error", err)
	}
	d, _ := v.(*value.Dict)
	return d, nil
}

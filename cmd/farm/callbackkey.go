package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"

	"farm/engine"
	"farm/engine/runner"
	"farm/engine/task"
	"farm/inventory"
	"farm/inventory/expr"
	"farm/inventory/value"
)

// callbackInputs returns what lists the files and variables that a user's callback reads.
func (s *session) callbackInputs(vm inventory.VM) func(*engine.Image, string, *value.Dict) ([]engine.Input, error) {
	return func(_ *engine.Image, file string, vars *value.Dict) ([]engine.Input, error) {
		all := s.inv.VMVars(vm)
		inputs, err := task.New(s.taskOptions(s.inv)).Closure(file, all.With(vars))
		if err != nil {
			return nil, err
		}
		return append(inputs, mentioned(all, texts(s.inv.Dir(), inputs)...)...), nil
	}
}

// texts are the contents of files among inputs; those that are no text name no variable.
func texts(dir string, inputs []engine.Input) (list []string) {
	for _, in := range inputs {
		path, ok := strings.CutPrefix(in.Name, "file ")
		if !ok {
			continue
		}
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		if st, err := os.Stat(path); err != nil || st.Size() > 1<<20 {
			continue
		}
		if text, err := os.ReadFile(path); err == nil {
			list = append(list, string(text))
		}
	}
	return list
}

var word = regexp.MustCompile(`[A-Za-z_][A-Za-z0-9_]*`)

// mentioned digests the variables whose names are words of the texts, and those that these
// variables mention: all that may be read, and some more. Where other hosts' variables or all variables
// are asked for, every one of them counts.
func mentioned(vars *expr.Vars, texts ...string) []engine.Input {
	found := map[string]string{}
	for len(texts) > 0 {
		text := texts[0]
		texts = texts[1:]
		for _, name := range word.FindAllString(text, -1) {
			names := []string{name}
			if name == "hostvars" || name == "vars" {
				names = vars.Names()
			}
			for _, n := range names {
				if _, known := found[n]; known || steering[n] {
					continue
				}
				raw, ok := vars.Raw(n)
				if !ok {
					continue
				}
				if js, err := json.Marshal(raw); err == nil { // else it is made on reading, such as groups
					found[n] = runner.Digest(js)
					texts = append(texts, string(js))
				}
			}
		}
	}
	var inputs []engine.Input
	for name, digest := range found {
		inputs = append(inputs, engine.Input{Name: "variable " + name, Digest: digest})
	}
	sort.Slice(inputs, func(i, j int) bool { return inputs[i].Name < inputs[j].Name })
	return inputs
}

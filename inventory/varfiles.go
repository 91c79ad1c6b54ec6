package inventory

import (
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"

	"farm/inventory/source"
	"farm/inventory/value"
)

// varFiles reads the group_vars and host_vars beside an inventory, each once. Safe
// for concurrent use.
type varFiles struct {
	dir   string
	mu    sync.Mutex
	names map[string]map[string]bool // by kind: what is in the folder
	read  map[string]varFile
}

type varFile struct {
	vars *value.Dict
	err  error
}

// varExtensions in the order in which they are tried; the first that is there is taken.
var varExtensions = []string{"", ".yml", ".yaml", ".json"}

func newVarFiles(dir string) *varFiles {
	return &varFiles{dir: dir, names: map[string]map[string]bool{}, read: map[string]varFile{}}
}

// get returns the variables of a group or host; nil where there is no file. kind is
// "group_vars" or "host_vars".
func (f *varFiles) get(kind, name string) (*value.Dict, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.names[kind] == nil {
		f.names[kind] = map[string]bool{}
		entries, _ := os.ReadDir(filepath.Join(f.dir, kind)) // most inventories have none
		for _, e := range entries {
			f.names[kind][e.Name()] = true
		}
	}
	if len(f.names[kind]) == 0 || strings.ContainsRune(name, '/') {
		return nil, nil
	}
	key := kind + "/" + name
	if have, ok := f.read[key]; ok {
		return have.vars, have.err
	}
	var got varFile
	for _, ext := range varExtensions {
		if f.names[kind][name+ext] {
			got.vars, got.err = readVars(filepath.Join(f.dir, kind, name+ext))
			break
		}
	}
	f.read[key] = got
	return got.vars, got.err
}

// each calls f for the variables of the files that were read so far.
func (f *varFiles) each(call func(*value.Dict)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, file := range f.read {
		call(file.vars)
	}
}

// faults are what is wrong with the files that were read so far.
func (f *varFiles) faults() (errs []error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, file := range f.read {
		errs = append(errs, file.err)
	}
	return errs
}

// readVars reads a file of variables, or a folder of such files in the order of
// their names, later ones winning.
func readVars(path string) (*value.Dict, error) {
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return readDict(path)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, &source.Error{Pos: source.Pos{File: path}, Err: err}
	}
	sort.Slice(entries, func(i, j int) bool { return entries[i].Name() < entries[j].Name() })
	out := value.NewDict()
	var errs []error
	for _, e := range entries {
		name := e.Name()
		ext := filepath.Ext(name)
		known := ext == "" || ext == ".yml" || ext == ".yaml" || ext == ".json"
		if strings.HasPrefix(name, ".") || strings.HasSuffix(name, "~") || !known && !e.IsDir() {
			continue
		}
		d, err := readVars(filepath.Join(path, name))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		lay(out, d)
	}
	return out, source.Join(errs...)
}

// lay sets high's variables in low, each whole as Ansible does.
func lay(low, high *value.Dict) {
	for k, v := range high.All() {
		low.Set(k, v)
		low.CopyPos(k, high)
	}
}

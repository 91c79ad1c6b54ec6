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

// varFiles reads the group_vars and host_vars beside an inventory, and beside a playbook, each once.
// Safe for concurrent use.
type varFiles struct {
	dirs  []string // later ones win
	mu    sync.Mutex
	names map[string]map[string]bool // by folder: what is in it
	read  map[string]varFile
}

type varFile struct {
	vars *value.Dict
	err  error
}

// varExtensions in the order in which they are tried; the first that is there is taken.
var varExtensions = []string{"", ".yml", ".yaml", ".json"}

// newVarFiles reads in dir and, unless it is "" or the same, in another folder over it.
func newVarFiles(dir, over string) *varFiles {
	f := &varFiles{dirs: []string{dir}, names: map[string]map[string]bool{}, read: map[string]varFile{}}
	if over != "" && filepath.Clean(over) != filepath.Clean(dir) {
		f.dirs = append(f.dirs, over)
	}
	return f
}

// get returns the variables of a group or host; nil where there is no file. kind is
// "group_vars" or "host_vars".
func (f *varFiles) get(kind, name string) (*value.Dict, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all *value.Dict
	for _, dir := range f.dirs {
		d, err := f.in(filepath.Join(dir, kind), name)
		switch {
		case err != nil:
			return d, err
		case all == nil:
			all = d
		case d != nil:
			all = all.Copy()
			lay(all, d)
		}
	}
	return all, nil
}

// in is get for one folder.
func (f *varFiles) in(dir, name string) (*value.Dict, error) {
	if f.names[dir] == nil {
		f.names[dir] = map[string]bool{}
		entries, _ := os.ReadDir(dir) // most inventories have none
		for _, e := range entries {
			f.names[dir][e.Name()] = true
		}
	}
	if len(f.names[dir]) == 0 || strings.ContainsRune(name, '/') {
		return nil, nil
	}
	key := dir + "/" + name
	if have, ok := f.read[key]; ok {
		return have.vars, have.err
	}
	var got varFile
	for _, ext := range varExtensions {
		if f.names[dir][name+ext] {
			got.vars, got.err = readVars(filepath.Join(dir, name+ext))
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

// Package expr evaluates Jinja2 expressions and templates as Ansible does: the syntax of
// Jinja2 3.1 with Python's operators, methods and printing, and the filters, tests and
// lookups of ansible-core 2.14 that inventories and task files use.
//
// The values are those of package value. A template that is one expression keeps its type
// (jinja2_native for that case); strings are never evaluated again, so what a guest
// printed stays text.
//
// The parser and the evaluator are this package's own. The two Go libraries were tried
// first and cannot be wrapped into Python's behaviour from outside: minijinja-go computes
// whole numbers as floats, sorts mappings, has text keys only and no methods on text;
// gonja panics on % formatting and misreads method calls.
package expr

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"farm/inventory/source"
	"farm/inventory/value"
)

// Options are what an Engine's lookups and includes may touch. Every nil function
// takes its ability away; HostOptions gives all of them.
type Options struct {
	// ReadFile reads a file for the lookups file, template and first_found, and for
	// {% include %}; nil = no files.
	ReadFile func(name string) ([]byte, error)
	// Stat follows links; it serves the tests exists, file and directory, and first_found,
	// which without it tries ReadFile. Lstat serves the tests link and link_exists.
	Stat, Lstat func(name string) (fs.FileInfo, error)
	// Glob lists what matches a pattern, sorted, for the lookup fileglob.
	Glob func(pattern string) ([]string, error)
	// Env reads an environment variable for the lookup env and for ~.
	Env func(name string) (string, bool)
	// Now is the clock of now() and strftime; nil = time.Now.
	Now func() time.Time
	// Select lists those of hosts that a host pattern selects, for the lookup inventory_hostnames;
	// groups are the members of each group.
	Select func(pattern string, hosts []string, groups map[string][]string) ([]string, error)
	// Dirs are the folders in which relative names of files are looked up, in order,
	// for the lookups; the role and the folder of the template itself come first.
	Dirs []string
}

// HostOptions lets lookups read the files and the environment of this machine.
func HostOptions(dirs ...string) Options {
	return Options{
		ReadFile: os.ReadFile,
		Stat:     os.Stat,
		Lstat:    os.Lstat,
		Glob:     filepath.Glob,
		Env:      os.LookupEnv,
		Dirs:     dirs,
	}
}

// Engine compiles and evaluates; it keeps what it compiled, up to a bound. Safe for concurrent use.
type Engine struct {
	o        Options
	programs cache
	*tables
}

// tables are the functions by name. They are built with the engine, because many of
// them lead back to the evaluator, which looks them up.
type tables struct {
	filters, tests, lookups, globalFuncs    map[string]function
	globals                                 map[string]any
	stringMethods, listMethods, dictMethods map[string]function
	listChanges                             map[string]listChange
	dictChanges                             map[string]dictChange
}

// New returns an Engine.
func New(o Options) *Engine {
	if o.Now == nil {
		o.Now = time.Now
	}
	t := &tables{
		filters: filters(), tests: tests(), lookups: lookups(), globalFuncs: globalFuncs(),
		globals:       map[string]any{"omit": value.Omit{}},
		stringMethods: stringMethods(), listMethods: listMethods(), dictMethods: dictMethods(),
		listChanges: listChanges(), dictChanges: dictChanges(),
	}
	for n, f := range t.globalFuncs {
		t.globals[n] = builtin{n, f}
	}
	return &Engine{o: o, tables: t}
}

// builtinPrefixes may stand before the name of a filter, test or lookup.
var builtinPrefixes = []string{"ansible.builtin.", "ansible.legacy.", "community.general.", "ansible.utils.", "ansible.posix."}

func find(table map[string]function, name string) (function, bool) {
	if f, ok := table[name]; ok {
		return f, true
	}
	for _, p := range builtinPrefixes {
		if short, ok := strings.CutPrefix(name, p); ok {
			f, ok := table[short]
			return f, ok
		}
	}
	return nil, false
}

func (e *Engine) filter(name string) (function, bool) { return find(e.filters, name) }
func (e *Engine) test(name string) (function, bool)   { return find(e.tests, name) }
func (e *Engine) lookup(name string) (function, bool) { return find(e.lookups, name) }

// Check parses text without evaluating it: syntax, unknown filters, tests and lookups.
func (e *Engine) Check(t value.Template) error {
	p, err := e.template(t.Text, t.Pos, valueSyntax)
	if err != nil {
		return e.faults(t.Text, t.Pos, valueSyntax)
	}
	return e.check(p, t.Pos, false)
}

// CheckExpression is Check for a bare expression.
func (e *Engine) CheckExpression(text string, pos source.Pos) error {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	if strings.Contains(text, "{{") || strings.Contains(text, "{%") {
		return e.Check(value.Template{Text: text, Pos: pos})
	}
	p, err := e.bare(text, pos)
	if err != nil {
		return err
	}
	return e.check(p, pos, false)
}

// CheckText is Check for a whole file.
func (e *Engine) CheckText(name, text string, how value.Syntax) error {
	pos := source.Pos{File: name}
	syn := fileSyntaxOf(how)
	p, err := e.template(text, pos, syn)
	if err != nil {
		return e.faults(text, pos, syn)
	}
	return e.check(p, pos, true)
}

package expr

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"farm/inventory/value"
)

// read reads the file that a lookup names; kind is the folder that such files are in.
func (c *call) read(kind string, name any) (string, string) {
	if c.m.vars.e.o.ReadFile == nil {
		throw("the lookup %q cannot read files here", c.name)
	}
	file := c.m.beside(kind, text(name))
	b, err := c.m.vars.e.o.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		throwHint("searched: "+strings.Join(c.m.candidates(kind, text(name)), ", "), "could not locate file in lookup: %s: No such file or directory", text(name))
	}
	if err != nil {
		throwErr(fmt.Errorf("read %q: %w", file, err))
	}
	if len(b) > maxText {
		throw("the file %q has more than %d bytes", file, maxText)
	}
	return file, string(b)
}

// readEncoded is read for a file in an encoding.
func (c *call) readEncoded(kind string, name any, encoding string) (string, string) {
	file, body := c.read(kind, name)
	return file, decoded([]byte(body), encoding)
}

func fileLookup(c *call) any {
	rstrip, lstrip := true, false
	if v, ok := c.named["rstrip"]; ok {
		rstrip = truth(v)
	}
	if v, ok := c.named["lstrip"]; ok {
		lstrip = truth(v)
	}
	out := []any{}
	for _, a := range c.args {
		_, s := c.read("files", a)
		if rstrip {
			s = strings.TrimRight(s, " \t\r\n")
		}
		if lstrip {
			s = strings.TrimLeft(s, " \t\r\n")
		}
		out = append(out, s)
	}
	return out
}

// templateLookup evaluates files with the variables in sight and template_vars over them. Text that
// reads as a literal is that value, unless convert_data is false.
func templateLookup(c *call) any {
	vars := c.m.vars
	if extra, ok := c.named["template_vars"]; ok {
		d, _ := c.m.export(c.m.dict(extra)).(*value.Dict)
		vars = vars.With(d)
	}
	mark := func(name string) string {
		if v, ok := c.named[name]; ok {
			return text(v)
		}
		return ""
	}
	how := value.Syntax{
		VariableStart: mark("variable_start_string"), VariableEnd: mark("variable_end_string"),
		CommentStart: mark("comment_start_string"), CommentEnd: mark("comment_end_string"),
	}
	convert := true
	if v, ok := c.named["convert_data"]; ok {
		convert = truth(v)
	}
	c.m.run.calls++
	defer func() { c.m.run.calls-- }()
	if c.m.run.calls > maxCalls {
		throw("more than %d templates inside each other", maxCalls)
	}
	out := []any{}
	for _, a := range c.args {
		file, body := c.read("templates", a)
		s, err := vars.evalText(c.m.run, file, body, how)
		if err != nil {
			throwErr(err)
		}
		if convert {
			out = append(out, converted(s))
		} else {
			out = append(out, s)
		}
	}
	return out
}

// firstFound is the first file that exists, of names, lists of names and mappings
// {files, paths, skip}. kind is the folder that such files are in.
func firstFound(c *call) any {
	skip := truth(c.named["skip"])
	kind := "files"
	if k, ok := c.named["kind"]; ok {
		kind = text(k)
	}
	var names []string
	var add func(x any, dirs []string)
	add = func(x any, dirs []string) {
		switch t := x.(type) {
		case []any:
			for _, y := range t {
				add(y, dirs)
			}
		case tuple:
			add([]any(t), dirs)
		case *value.Dict:
			var in []string
			if p, ok := t.Get("paths"); ok {
				in = splitNames(c.m, p, ":,;")
			}
			if s, ok := t.Get("skip"); ok && truth(s) {
				skip = true
			}
			f, _ := t.Get("files")
			for _, n := range splitNames(c.m, f, ",;") {
				add(n, in)
			}
			if f == nil {
				names = append(names, in...)
			}
		default:
			n := text(x)
			if len(dirs) == 0 || path.IsAbs(n) {
				names = append(names, n)
			}
			for _, d := range dirs {
				if !path.IsAbs(n) {
					names = append(names, path.Join(d, n))
				}
			}
		}
	}
	dirs := []string(nil)
	if p, ok := c.named["paths"]; ok {
		dirs = splitNames(c.m, p, ":,;")
	}
	if f, ok := c.named["files"]; ok {
		add(f, dirs)
	}
	for _, a := range c.args {
		add(a, dirs)
	}
	var searched []string
	for _, n := range names {
		for _, p := range c.m.candidates(kind, n) {
			if c.m.exists(p) {
				return []any{p}
			}
			searched = append(searched, p)
		}
	}
	if skip {
		return []any{}
	}
	throwHint("searched: "+strings.Join(searched, ", "), "first_found finds none of its files")
	return nil
}

func splitNames(m *machine, x any, seps string) []string {
	var names []string
	switch t := x.(type) {
	case nil:
	case string:
		names = strings.FieldsFunc(t, func(r rune) bool { return strings.ContainsRune(seps, r) })
		for i := range names {
			names[i] = strings.TrimSpace(names[i])
		}
	default:
		for _, y := range m.items(x) {
			names = append(names, text(y))
		}
	}
	return names
}

// glob lists the plain files that match pattern.
func (c *call) glob(pattern string) []string {
	o := &c.m.vars.e.o
	if o.Glob == nil {
		throw("%q cannot look at files here", c.name)
	}
	found, err := o.Glob(pattern)
	if err != nil {
		throwErr(err)
	}
	if o.Stat == nil {
		return found
	}
	return slices.DeleteFunc(found, func(f string) bool { st, err := o.Stat(f); return err != nil || st.IsDir() })
}

func fileGlob(c *call) any {
	out := []any{}
	for _, a := range c.args {
		for _, p := range c.m.candidates("files", text(a)) {
			if found := c.glob(p); len(found) > 0 {
				out = append(out, stringList(found)...)
				break
			}
		}
	}
	return out
}

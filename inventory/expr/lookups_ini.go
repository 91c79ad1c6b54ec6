package expr

import (
	"maps"
	"regexp"
	"strings"

	"farm/inventory/regex"
	"farm/inventory/value"
)

// iniLookup reads values from an INI file, or from one of Java's properties. A term may end in
// options, "key section=x file=y.ini re=true".
func iniLookup(c *call) any {
	base := c.options(map[string]any{
		"file": "ansible.ini", "section": "global", "type": "ini", "re": false, "default": "", "encoding": "utf-8",
		"case_sensitive": false, "allow_no_value": false, "allow_none": false,
	})
	out := []any{}
	for _, a := range c.args {
		opts, key := maps.Clone(base), text(a)
		if strings.ContainsAny(strings.TrimSpace(key), "= ") {
			key = inlineOptions(c.name, key, opts)
		}
		out = append(out, c.iniValues(key, opts)...)
	}
	return out
}

// inlineOptions takes the options out of a term; the rest, the key, is left.
func inlineOptions(lookup, term string, opts map[string]any) (key string) {
	found := false
	var last string
	for _, word := range inlineWords(term) {
		name, v, ok := strings.Cut(word, "=")
		switch {
		case ok:
			allowed(lookup, name, opts)
			opts[name], last = unquoted(v), name
		case last != "": // a value with blanks goes on
			opts[last] = text(opts[last]) + " " + word
		case !found:
			key, found = word, true
		}
	}
	if !found {
		throw("No key to lookup was provided as first term with in string inline options: %s", term)
	}
	return key
}

func (c *call) iniValues(key string, opts map[string]any) []any {
	flag := func(name string) bool {
		b, err := value.ParseBool(opts[name])
		if err != nil {
			throw("%s is %s, neither true nor false", name, kindOf(opts[name]))
		}
		return b
	}
	name, body := c.readEncoded("files", opts["file"], text(opts["encoding"]))
	section := text(opts["section"])
	if text(opts["type"]) == "properties" {
		section = "java_properties"
		body = "[" + section + "]\n" + body
	}
	bare := flag("allow_no_value") || flag("allow_none")
	f := &ini{name: name, caseful: flag("case_sensitive"), bare: bare, sections: map[string]*value.Dict{}}
	f.parse(body)
	all := f.section(section)
	if !f.caseful {
		key = strings.ToLower(key)
	}
	if flag("re") {
		re, err := regex.Compile(key, 0)
		if err != nil {
			throwErr(err)
		}
		re.MatchTimeout = regexTime
		var out []any
		for k, v := range all.All() {
			if m := c.m.matches(re, text(k), 1); len(m) > 0 && m[0].Index == 0 && v != nil {
				out = append(out, f.filled(v, all, 0))
			}
		}
		return out
	}
	v, ok := all.Get(key)
	if !ok {
		v = opts["default"]
	} else if v = f.filled(v, all, 0); v == nil {
		return nil
	}
	return []any{v}
}

// ini is a file as Python's configparser reads it
// (https://docs.python.org/3/library/configparser.html#supported-ini-file-structure).
type ini struct {
	name     string
	caseful  bool // names of options keep their case
	bare     bool // options may have no value
	sections map[string]*value.Dict
}

var (
	iniHead   = regexp.MustCompile(`^\[(.+)\]`)
	iniOption = regexp.MustCompile(`^(.*?)\s*[=:]\s*(.*)$`)
)

func (f *ini) parse(body string) {
	var in *value.Dict
	var section, option string
	depth := 0
	for line := range strings.Lines(body) {
		indent := len(line) - len(strings.TrimLeft(line, " \t"))
		s := strings.TrimSpace(line)
		switch g := iniHead.FindStringSubmatch(s); {
		case strings.HasPrefix(s, "#"), strings.HasPrefix(s, ";"):
		case s == "":
			f.goesOn(in, option, "")
		case in != nil && option != "" && indent > depth:
			f.goesOn(in, option, s)
		case g != nil:
			section, option = g[1], ""
			if f.sections[section] != nil && section != "DEFAULT" {
				throw("Duplicate section in '%s': [%s] is there already", f.name, section)
			}
			in = value.NewDict()
			f.sections[section] = in
		case in == nil:
			throw("'%s' does not begin with a [section] but with %q", f.name, s)
		default:
			depth = indent
			option = f.option(in, section, s)
		}
	}
	for _, d := range f.sections {
		for k, v := range d.All() {
			if s, ok := v.(string); ok {
				d.Set(k, strings.TrimRight(s, " \t\n"))
			}
		}
	}
}

// goesOn adds a line to the value of the option before.
func (f *ini) goesOn(in *value.Dict, option, line string) {
	if v, ok := in.Get(option); ok && v != nil {
		in.Set(option, text(v)+"\n"+line)
	}
}

func (f *ini) option(in *value.Dict, section, line string) string {
	g := iniOption.FindStringSubmatch(line)
	if g == nil && !f.bare {
		throwHint("allow_no_value=True reads options without a value", "'%s' has a line that is no option: %q", f.name, line)
	}
	key, v := line, any(nil)
	if g != nil {
		key, v = g[1], g[2]
	}
	if !f.caseful {
		key = strings.ToLower(key)
	}
	if in.Has(key) {
		throw("Duplicate option in '%s': %s in [%s] is there already", f.name, key, section)
	}
	in.Set(key, v)
	return key
}

// section is a section over the options of DEFAULT.
func (f *ini) section(name string) *value.Dict {
	d, ok := f.sections[name]
	if !ok || name == "DEFAULT" {
		throwHint(suggest(name, keysOf(f.sections)), "No section '%s' in '%s'", name, f.name)
	}
	if def := f.sections["DEFAULT"]; def != nil {
		return value.Merge(def, d)
	}
	return d
}

var iniReference = regexp.MustCompile(`%%|%\([^)]+\)s|%`)

// filled is a value with the options that %(name)s names in their places.
func (f *ini) filled(v any, all *value.Dict, depth int) any {
	s, ok := v.(string)
	if !ok {
		return v
	}
	if depth > 10 {
		throw("'%s': options need each other more than 10 deep", f.name)
	}
	return iniReference.ReplaceAllStringFunc(s, func(ref string) string {
		switch ref {
		case "%%":
			return "%"
		case "%":
			throwHint("write %% for one", "'%s': a %% that begins no %%(name)s in %q", f.name, s)
		}
		key := ref[2 : len(ref)-2]
		if !f.caseful {
			key = strings.ToLower(key)
		}
		v, ok := all.Get(key)
		if !ok {
			throw("'%s': %q names %q, which is not there", f.name, s, key)
		}
		return text(f.filled(v, all, depth+1))
	})
}

package expr

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"farm/inventory/source"
	"farm/inventory/value"
)

// lookupCall is lookup, query and q: the terms go to the lookup, which gives a list;
// lookup joins it with commas unless wantlist is true.
func lookupCall(c *call, wantList bool) any {
	c.open = true
	id := text(c.need(0, "name"))
	f, ok := c.m.vars.e.lookup(id)
	if !ok {
		throwHint(suggest(id, keysOf(c.m.vars.e.lookups)), "unknown lookup %q", id)
	}
	wantList = wantList || truth(c.named["wantlist"])
	errorsAs := "strict"
	if e, ok := c.named["errors"]; ok {
		errorsAs = text(e)
	}
	result, err := c.m.try(func() any {
		return c.m.call(f, id, nil, c.args[1:], c.named, nil)
	})
	if err != nil {
		if errorsAs == "strict" {
			throwErr(err)
		}
		result = []any{}
	}
	list := result.([]any)
	switch {
	case wantList:
		return list
	case len(list) == 1:
		return list[0]
	}
	parts := make([]string, len(list))
	for i, x := range list {
		s, ok := x.(string)
		if !ok {
			return list // what is not text is not joined
		}
		parts[i] = s
	}
	return strings.Join(parts, ",")
}

// try runs f and returns its fault as an error placed where m is.
func (m *machine) try(f func() any) (v any, err error) {
	at, depth := m.at, m.depth
	defer func() { m.depth = depth }()
	defer guard(&err, m.prog.text, m.pos, m.file, &at)
	return f(), nil
}

func lookups() map[string]function {
	return map[string]function{
		"first_found": firstFound, "template": templateLookup, "file": fileLookup,
		"unvault": fileLookup, "fileglob": fileGlob, "env": envLookup, "vars": varsLookup,
		"dict": dictLookup, "items": flatLookup, "flattened": deepLookup, "list": listLookup,
		"indexed_items": indexedItems, "sequence": sequenceLookup, "lines": refused,
		"random_choice": func(c *call) any {
			if len(c.args) == 1 {
				if list, ok := c.args[0].([]any); ok {
					c.args = list
				}
			}
			if len(c.args) == 0 {
				return []any{}
			}
			return []any{c.args[randomSource(nil, false)(uint64(len(c.args)))]}
		},
		"together": func(c *call) any {
			if len(c.args) == 0 {
				return []any{}
			}
			c.in, c.args = c.args[0], c.args[1:]
			return zipLongest(c)
		},
		"nested": func(c *call) any {
			if len(c.args) == 0 {
				return []any{}
			}
			c.in, c.args, c.named = c.args[0], c.args[1:], nil
			return productFilter(c)
		},
		"subelements": func(c *call) any {
			if len(c.args) < 2 {
				throw("subelements takes a list and a key")
			}
			key := text(c.args[1])
			if len(c.args) > 2 {
				if flags, ok := c.args[2].(*value.Dict); ok {
					skip, _ := flags.Get("skip_missing")
					c.args = []any{c.args[0], key, truth(skip)}
				}
			}
			c.in, c.args = c.args[0], c.args[1:]
			pairs := subelements(c).([]any)
			for i, p := range pairs { // the filter leaves the list in its element, the lookup does not
				pair := p.(tuple)
				pairs[i] = tuple{without(pair[0], strings.Split(key, ".")), pair[1]}
			}
			return pairs
		},
		"pipe": refused, "url": refused, "password": refused,
	}
}

// without is a mapping without what is at the path of keys.
func without(x any, keys []string) any {
	d, ok := x.(*value.Dict)
	if !ok {
		return x
	}
	d = d.Copy()
	if len(keys) == 1 {
		d.Delete(keys[0])
	} else if sub, ok := d.Get(keys[0]); ok {
		d.Set(keys[0], without(sub, keys[1:]))
	}
	return d
}

// refused is a lookup that would run a project's command on this machine, or use its network.
func refused(c *call) any {
	throwHint("use a task with register", "the lookup %q is not allowed: it would act on the machine that farm runs on", c.name)
	return nil
}

// read reads the file that a lookup names; kind is the folder that such files are in.
func (c *call) read(kind string, name any) (string, string) {
	if c.m.vars.e.o.ReadFile == nil {
		throw("the lookup %q cannot read files here", c.name)
	}
	file := c.m.beside(kind, text(name))
	b, err := c.m.vars.e.o.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		throwHint("searched: "+strings.Join(c.m.candidates(kind, text(name)), ", "), "no file %q", text(name))
	}
	if err != nil {
		throwErr(fmt.Errorf("read %q: %w", file, err))
	}
	if len(b) > maxText {
		throw("the file %q has more than %d bytes", file, maxText)
	}
	return file, string(b)
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

// templateLookup evaluates files with the variables in sight and template_vars over them.
func templateLookup(c *call) any {
	vars := c.m.vars
	if extra, ok := c.named["template_vars"]; ok {
		d, _ := c.m.export(c.m.dict(extra)).(*value.Dict)
		vars = vars.With(d)
	}
	c.m.run.calls++
	defer func() { c.m.run.calls-- }()
	if c.m.run.calls > maxCalls {
		throw("more than %d templates inside each other", maxCalls)
	}
	out := []any{}
	for _, a := range c.args {
		file, body := c.read("templates", a)
		s, err := vars.evalText(c.m.run, file, body, value.Syntax{})
		if err != nil {
			throwErr(err)
		}
		out = append(out, s)
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

func fileGlob(c *call) any {
	if c.m.vars.e.o.Glob == nil {
		throw("the lookup %q cannot look at files here", c.name)
	}
	out := []any{}
	for _, a := range c.args {
		for _, p := range c.m.candidates("files", text(a)) {
			found, err := c.m.vars.e.o.Glob(p)
			if err != nil {
				throwErr(err)
			}
			if stat := c.m.vars.e.o.Stat; stat != nil {
				found = slices.DeleteFunc(found, func(f string) bool { st, err := stat(f); return err != nil || st.IsDir() })
			}
			if len(found) > 0 {
				out = append(out, stringList(found)...)
				break
			}
		}
	}
	return out
}

func envLookup(c *call) any {
	out := []any{}
	for _, a := range c.args {
		v, ok := c.m.env(text(a))
		def, has := c.named["default"]
		switch {
		case ok:
			out = append(out, v)
		case has:
			out = append(out, def)
		default:
			out = append(out, "")
		}
	}
	return out
}

func varsLookup(c *call) any {
	out := []any{}
	for _, a := range c.args {
		v := c.m.variable(text(a))
		if u, ok := v.(*undefined); ok {
			def, has := c.named["default"]
			if !has {
				u.fail()
			}
			v = def
		}
		out = append(out, v)
	}
	return out
}

func dictLookup(c *call) any {
	out := []any{}
	for _, a := range c.args {
		for k, v := range c.m.dict(a).All() {
			out = append(out, value.NewDict("key", k, "value", v))
		}
	}
	return out
}

// flatLookup flattens its terms by one level.
func flatLookup(c *call) any {
	out := []any{}
	for _, a := range c.args {
		if list, ok := a.([]any); ok {
			out = append(out, list...)
		} else {
			out = append(out, a)
		}
	}
	return out
}

// deepLookup flattens its terms at every depth.
func deepLookup(c *call) any {
	c.in, c.args, c.named = c.args, nil, nil
	return flattenFilter(c)
}

func listLookup(c *call) any { return append([]any{}, c.args...) }

func indexedItems(c *call) any {
	out := []any{}
	for i, x := range flatLookup(c).([]any) {
		out = append(out, tuple{int64(i), x})
	}
	return out
}

var shortSequence = regexp.MustCompile(`^(?:(\d+|0x[0-9a-fA-F]+)-)?(\d+|0x[0-9a-fA-F]+)(?:/(-?\d+))?(?::(.*))?$`)

// sequenceLookup counts: "start=1 end=5 stride=2 format=%02d", "count=3", or "1-5/2:%02d".
func sequenceLookup(c *call) any {
	out := []any{}
	for _, a := range append([]any{}, c.args...) {
		params := map[string]string{}
		term := text(a)
		if g := shortSequence.FindStringSubmatch(term); g != nil {
			params = map[string]string{"start": g[1], "end": g[2], "stride": g[3], "format": g[4]}
		} else {
			for _, word := range strings.Fields(term) {
				k, v, ok := strings.Cut(word, "=")
				known := []string{"start", "end", "count", "stride", "format"}
				if !ok || !contains(known, k) {
					throwHint(source.DidYouMean(k, known), "%q is no argument of sequence", word)
				}
				params[k] = v
			}
		}
		out = append(out, c.count(params)...)
	}
	if len(c.args) == 0 {
		params := map[string]string{}
		for k, v := range c.named {
			params[k] = text(v)
		}
		out = c.count(params)
	}
	return out
}

func (c *call) count(params map[string]string) []any {
	num := func(key string, def int64) int64 {
		if params[key] == "" {
			return def
		}
		n, err := strconv.ParseInt(params[key], 0, 64)
		if err != nil {
			throw("%s=%s of sequence is no whole number", key, params[key])
		}
		return n
	}
	start, stride := num("start", 1), num("stride", 1)
	end := num("end", start)
	if params["count"] != "" {
		n := num("count", 0)
		if n == 0 {
			return nil
		}
		end = start + stride*(n-1)
	} else if params["end"] == "" {
		throw("sequence needs end= or count=")
	}
	if stride == 0 || stride > 0 && end < start || stride < 0 && end > start {
		throw("sequence from %d to %d by %d does not end", start, end, stride)
	}
	format := params["format"]
	if format == "" {
		format = "%d"
	}
	var out []any
	for i := start; stride > 0 && i <= end || stride < 0 && i >= end; i += stride {
		if len(out) >= maxItems {
			throw("a sequence of more than %d numbers", maxItems)
		}
		out = append(out, percent(format, tuple{i}))
	}
	return out
}

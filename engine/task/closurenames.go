package task

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"farm/engine"
	"farm/inventory/expr"
	"farm/inventory/source"
	"farm/inventory/value"
)

// fileName is a name that a task gives to a file, or a pattern for it as of filepath.Match.
type fileName struct {
	text string
	glob bool
}

// literal is a name as a pattern that matches it alone.
func literal(name string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(name)
}

// names are the files that an argument may name, for each item of the task's loop.
func (c *closure) names(t *Task, s *scope, arg string) []fileName {
	raw, ok := t.Args.Get(arg)
	if !ok {
		if t.Free == nil || arg == "dir" || arg == "role" {
			return nil
		}
		raw = t.Free
	}
	if text, ok := raw.(string); ok {
		return []fileName{{text: text}}
	}
	if c.vars == nil {
		c.unknown(t, "")
		return nil
	}
	p := &play{Runner: c.r, h: &HostState{Vars: c.vars}}
	vars := p.vars(s, nil)
	items, loops, err := c.items(p, t, vars)
	if !loops {
		return c.name(t, raw, vars)
	}
	if err != nil {
		return c.firstFound(t, raw, vars)
	}
	var names []fileName
	for _, item := range items {
		how, err := p.control(t, vars)
		if err != nil {
			return nil // the task fails
		}
		for _, n := range c.name(t, raw, vars.With(value.NewDict(how.name, item))) {
			if !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
	}
	return names
}

// items evaluates a loop; an error where a task may yet change what it goes over.
func (c *closure) items(p *play, t *Task, vars *expr.Vars) (items []any, loops bool, err error) {
	v := vars.With()
	items, loops, err = p.items(t, v)
	if err == nil && len(c.unsure(v)) > 0 {
		err = fmt.Errorf("not known yet")
	}
	return items, loops, err
}

// firstFound are the names of with_first_found, where some cannot be evaluated yet: any
// of them may be the one.
func (c *closure) firstFound(t *Task, raw any, vars *expr.Vars) (names []fileName) {
	list, ok := t.Keys.Get("with_first_found")
	tmpl, templated := raw.(value.Template)
	items, isList := list.([]any)
	if !ok || !isList || !templated || strings.Trim(tmpl.Text, "{} ") != "item" {
		c.unknown(t, "")
		return nil
	}
	for _, item := range items {
		for _, n := range c.name(t, item, vars) {
			names = append(names, fileName{text: pattern(n), glob: true}) // it need not be there
		}
	}
	return names
}

func pattern(n fileName) string {
	if n.glob {
		return n.text
	}
	return literal(n.text)
}

// name is what raw names, if anything: a file, or, where facts are missing, a pattern.
func (c *closure) name(t *Task, raw any, vars *expr.Vars) []fileName {
	v := vars.With()
	val, err := v.Eval(raw)
	unsure := c.unsure(v)
	switch {
	case len(unsure) == 0 && err == nil:
		if text, ok := val.(string); ok && text != "" {
			return []fileName{{text: text}}
		}
		return nil
	case len(unsure) == 0 && !c.set.any:
		return nil // it is undefined then too: the task fails, if it runs
	}
	tmpl, ok := raw.(value.Template)
	if ok {
		if glob := c.glob(tmpl, vars); glob != "" {
			return []fileName{{glob, true}}
		}
	}
	c.unknown(t, strings.Join(unsure, ", "))
	return nil
}

// printed is a part of a template that is replaced by its value.
var printed = regexp.MustCompile(`\{\{.*?\}\}`)

// glob is a pattern for the values of a template, "*" for each part that depends on facts alone:
// these are words without a slash. "" = it cannot be told.
func (c *closure) glob(t value.Template, vars *expr.Vars) string {
	if strings.Contains(t.Text, "{%") || strings.Contains(t.Text, "{#") {
		return ""
	}
	told := true
	var b strings.Builder
	at := 0
	for _, m := range printed.FindAllStringIndex(t.Text, -1) {
		b.WriteString(literal(t.Text[at:m[0]]))
		at = m[1]
		v := vars.With()
		val, err := v.Eval(value.Template{Text: t.Text[m[0]:m[1]], Pos: t.Pos})
		unsure := c.unsure(v)
		switch {
		case len(unsure) == 0 && err == nil:
			b.WriteString(literal(value.Text(val)))
		case len(unsure) > 0 && !slices.ContainsFunc(unsure, func(n string) bool { return !isFact(n) || c.set.names[n] }):
			b.WriteString("*")
		default:
			told = false
		}
	}
	b.WriteString(literal(t.Text[at:]))
	if !told || strings.Trim(b.String(), "*") == "" {
		return ""
	}
	return b.String()
}

func isFact(name string) bool { return strings.HasPrefix(name, "ansible_") }

// unsure are the variables read through v that tasks may change: facts, and what tasks
// register and set.
func (c *closure) unsure(v *expr.Vars) (names []string) {
	for _, n := range v.Read() {
		_, known := c.vars.Raw(n)
		_, here := v.Raw(n)
		switch {
		case c.set.names[n]:
			names = append(names, n)
		case n == "ansible_facts" || n == "ansible_hostname" || isFact(n) && !known && !here:
			names = append(names, n)
		}
	}
	return names
}

// unknown notes that a task reads something that cannot be told before the tasks run; names
// are the variables that it depends on.
func (c *closure) unknown(t *Task, names string) {
	c.unknownAt(t.Pos, "what "+t.Module+" reads", names)
}

// unknownAt notes that something is read that cannot be told before the tasks run;
// names are the variables that it depends on.
func (c *closure) unknownAt(pos source.Pos, what, names string) {
	at := c.short(pos.String())
	why := fmt.Sprintf("%s: %s is known only when it runs", at, what)
	if names != "" {
		why += ": it depends on " + names
	}
	c.inputs = append(c.inputs, engine.Input{Name: "unknown " + at, Unknown: why})
}

// What else reads files: calls in templates, and statements in files that are templates.
var (
	lookupCall  = regexp.MustCompile(`\b(lookup|query|q)\s*\(`)
	includeName = regexp.MustCompile(`\{%[-+]?\s*(?:include|import|from|extends)\s+['"]([^'"]+)['"]`)
	includeWord = regexp.MustCompile(`\b(include|import|from|extends)\b`) // whatever stands around it
	includeStmt = regexp.MustCompile(`\{%[-+]?\s*(include|import|from|extends)\b`)
)

// look adds the values of the templates in v that look something up. t is the task that
// they are of, if any.
func (c *closure) look(v any, s *scope, t *Task) {
	var vars *expr.Vars
	eachTemplate(v, func(tmpl value.Template) {
		if !looksUp(tmpl.Text) {
			return
		}
		c.loose = true
		unsure := []string(nil)
		if c.vars != nil {
			if vars == nil {
				vars = (&play{Runner: c.r, h: &HostState{Vars: c.vars}}).vars(s, nil)
			}
			v := vars.With()
			val, err := v.Eval(tmpl)
			digest, ok := Digest(val)
			if unsure = c.unsure(v); err == nil && ok && len(unsure) == 0 {
				c.inputs = append(c.inputs, engine.Input{Name: "lookup " + c.short(tmpl.Pos.File) + " " + tmpl.Text, Digest: digest})
				return
			}
		}
		if t != nil {
			c.unknown(t, strings.Join(unsure, ", "))
		} else {
			c.unknownAt(tmpl.Pos, "what is looked up", strings.Join(unsure, ", "))
		}
	})
}

// ofVariables are the lookups that read nothing but variables.
var ofVariables = regexp.MustCompile(`^\s*['"](ansible\.builtin\.)?(vars|varnames|dict|list|items|nested|together|indexed_items|sequence|subelements|flattened)['"]`)

// looksUp reports whether a template looks up anything but variables.
func looksUp(text string) bool {
	for _, m := range lookupCall.FindAllStringIndex(text, -1) {
		if !ofVariables.MatchString(text[m[1]:]) {
			return true
		}
	}
	return false
}

func eachTemplate(v any, f func(value.Template)) {
	switch t := v.(type) {
	case value.Template:
		f(t)
	case []any:
		for _, x := range t {
			eachTemplate(x, f)
		}
	case *value.Dict:
		for _, x := range t.All() {
			eachTemplate(x, f)
		}
	}
}

// rendered adds what a template reads that a task renders.
func (c *closure) rendered(t *Task, path string) {
	how, constant := value.SyntaxOf(t.Args)
	if !constant {
		c.unknown(t, "")
	}
	c.template(path, how)
}

// template adds what the text of a template includes: anything in its folder. What it looks
// up cannot be told.
func (c *closure) template(path string, how value.Syntax) {
	text, err := source.ReadText(path)
	if err != nil {
		return // the task fails
	}
	if c.seen["template "+path] {
		return
	}
	c.seen["template "+path] = true
	c.engine().MentionFile(&c.reads, path, string(text), how)
	stmt := includeStmt
	if how != (value.Syntax{}) {
		stmt = includeWord
	}
	if stmt.Match(text) {
		c.tree(filepath.Dir(path))
		c.included(path, text, how)
	}
	if looksUp(string(text)) {
		c.inputs = append(c.inputs, engine.Input{Name: "unknown " + c.short(path), Unknown: c.short(path) + ": what the template looks up is known only when it is rendered"})
	}
}

// included adds the variables and lookups of what a template includes: of every file of its folder
// where a name is made up.
func (c *closure) included(path string, text []byte, how value.Syntax) {
	dir := filepath.Dir(path)
	names := includeName.FindAllSubmatch(text, -1)
	for _, m := range names {
		if _, err := os.Stat(filepath.Join(dir, string(m[1]))); err != nil {
			names = nil
		}
	}
	if len(names) == 0 || len(names) != len(includeStmt.FindAll(text, -1)) {
		c.walk(dir, func(path string) { c.template(path, how) })
		return
	}
	for _, m := range names {
		c.template(filepath.Join(dir, string(m[1])), how)
	}
}

// produced are the names of variables that tasks give values to.
type produced struct {
	names map[string]bool
	any   bool // tasks may set any name
}

// size grows with what is known.
func (p *produced) size() int {
	if p.any {
		return -2 - len(p.names)
	}
	return len(p.names)
}

func (p *produced) add(t *Task) {
	if v, ok := t.Keys.Get("register"); ok {
		p.names[value.Text(v)] = true
	}
	switch t.Module {
	case "set_fact":
		p.any = p.any || len(t.ArgsFrom) > 0 || hasTemplate(t.Free)
		for _, k := range t.Args.Keys() {
			p.any = p.any || value.IsTemplate(k)
			p.names[k] = true
		}
		if text, ok := t.Free.(string); ok {
			args, _ := splitFree(text, t.Pos, func(string) bool { return true })
			for _, k := range args.Keys() {
				p.names[k] = true
			}
		}
	case "include_vars":
		if n, ok := t.Args.Get("name"); ok {
			p.names[value.Text(n)] = true
		}
	}
}

// file adds the variables of a file or folder of variables.
func (p *produced) file(path string) {
	paths := []string{path}
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		if paths, err = (&varFolder{root: path}).files(value.NewDict("ignore_unknown_extensions", true)); err != nil {
			p.any = true
		}
	}
	for _, path := range paths {
		d, err := ReadVars(path)
		if err != nil {
			p.any = true
		}
		for _, k := range d.Keys() {
			p.names[k] = true
		}
	}
}

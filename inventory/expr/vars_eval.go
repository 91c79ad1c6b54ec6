package expr

import (
	"strings"

	"farm/inventory/source"
	"farm/inventory/value"
)

// Eval evaluates every Template in x, at any depth. A template that is one expression
// gives that expression's native value, any other gives text. Dict entries that evaluate
// to Omit are dropped. The error holds the faults of all templates in x.
func (v *Vars) Eval(x any) (any, error) {
	val, err := v.Partly(x)
	if err != nil {
		return nil, err
	}
	return val, nil
}

// Partly is Eval for finding more faults: with an error comes what could be evaluated, Omit standing
// for each template that could not.
func (v *Vars) Partly(x any) (any, error) { return v.eval(newRun(), x) }

// eval returns with an error what Partly does.

func (v *Vars) eval(r *run, x any) (any, error) {
	switch t := x.(type) {
	case value.Template:
		return v.evalTemplate(r, t, false)
	case []any:
		return v.evalList(r, t)
	case *value.Dict:
		return v.evalDict(r, t)
	}
	return x, nil
}

// evalList copies only if an item changes.
func (v *Vars) evalList(r *run, list []any) (any, error) {
	var out []any
	var errs []error
	for i, item := range list {
		val, err := v.eval(r, item)
		if err != nil {
			errs = append(errs, err)
		}
		if out == nil && !same(val, item) {
			out = append(make([]any, 0, len(list)), list[:i]...)
		}
		if out != nil {
			out = append(out, val)
		}
	}
	if out == nil {
		out = list
	}
	return out, source.Join(errs...)
}

func (v *Vars) evalDict(r *run, d *value.Dict) (any, error) {
	out := d
	var errs []error
	for k, item := range d.All() {
		val, err := v.eval(r, item)
		if err != nil {
			errs = append(errs, err)
		}
		_, omit := val.(value.Omit)
		omit = omit && err == nil
		if !omit && same(val, item) {
			continue
		}
		if out == d {
			out = d.Copy()
		}
		if omit {
			out.Delete(k)
		} else {
			out.Set(k, val)
		}
	}
	return out, source.Join(errs...)
}

// same reports whether evaluating left a value as it was.
func same(a, b any) bool {
	switch x := a.(type) {
	case []any:
		y, ok := b.([]any)
		return ok && len(x) == len(y) && (len(x) == 0 || &x[0] == &y[0])
	case *value.Dict:
		y, ok := b.(*value.Dict)
		return ok && x == y
	}
	_, isTemplate := b.(value.Template)
	return !isTemplate
}

// evalInside is eval for what another expression reads: a template that gives a Lazy leaves it so.
func (v *Vars) evalInside(r *run, raw any) (any, error) {
	if t, ok := raw.(value.Template); ok {
		return v.evalTemplate(r, t, true)
	}
	return v.eval(r, raw)
}

// whole reads all of l.
func (v *Vars) whole(r *run, l Lazy) (val any, err error) {
	m := &machine{vars: v, run: r, prog: &program{}}
	defer guard(&err, "", m.pos, false, &m.at)
	return m.export(l), nil
}

func (v *Vars) evalTemplate(r *run, t value.Template, inside bool) (any, error) {
	if !value.IsTemplate(t.Text) {
		return t.Text, nil
	}
	p, err := v.e.template(t.Text, t.Pos, valueSyntax)
	if err != nil {
		return value.Omit{}, err
	}
	m := &machine{vars: v, run: r, prog: p, pos: t.Pos, convert: true, inside: inside}
	val, err := m.value()
	if err != nil {
		return value.Omit{}, err
	}
	return val, nil
}

// Expression evaluates the text of a bare expression, such as a `when` item. Text
// with {{ }} in it is evaluated as a template.
func (v *Vars) Expression(text string, pos source.Pos) (any, error) {
	if strings.Contains(text, "{{") || strings.Contains(text, "{%") {
		return v.Eval(value.Template{Text: text, Pos: pos})
	}
	p, err := v.e.bare(text, pos)
	if err != nil {
		return nil, err
	}
	m := &machine{vars: v, run: newRun(), prog: p, pos: pos}
	return m.value()
}

// Condition is Expression's truth, as Python has it. The texts true and false count as booleans where
// a template made them, as Ansible reads what that gives once more. Empty text is true.
func (v *Vars) Condition(text string, pos source.Pos) (bool, error) {
	if strings.TrimSpace(text) == "" {
		return true, nil
	}
	x, err := v.Expression(text, pos)
	if err != nil {
		return false, err
	}
	if value.IsTemplate(text) {
		return Truth(x), nil
	}
	return truth(x), nil
}

// Truth says whether a value counts as true in a condition: as in Python, and the
// words true and false in any case count as booleans.
func Truth(x any) bool {
	if s, ok := x.(string); ok {
		switch strings.ToLower(strings.TrimSpace(s)) {
		case "false":
			return false
		case "true":
			return true
		}
	}
	return truth(x)
}

// EvalText evaluates a whole file as a template, always giving text (one trailing newline is kept).
func (v *Vars) EvalText(name, text string) (string, error) {
	return v.evalText(newRun(), name, text, value.Syntax{})
}

// EvalFile is EvalText with more variables over v and another syntax.
func (v *Vars) EvalFile(name, text string, more *value.Dict, how value.Syntax) (string, error) {
	return v.With(more).evalText(newRun(), name, text, how)
}

func (v *Vars) evalText(r *run, name, text string, how value.Syntax) (string, error) {
	pos := source.Pos{File: name}
	p, err := v.e.template(text, pos, fileSyntaxOf(how))
	if err != nil {
		return "", err
	}
	m := &machine{vars: v, run: r, prog: p, pos: pos, file: true}
	return m.text()
}

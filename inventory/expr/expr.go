// Package expr evaluates Jinja2 expressions and templates as Ansible does.
package expr

import (
	"farm/inventory/source"
	"farm/inventory/value"
)

// Engine compiles and evaluates; it keeps what it compiled. Safe for concurrent use.
type Engine struct{}

// Vars is a set of variables in layers, the later winning. Values may hold templates,
// which are evaluated when a variable is read, each at most once for one Vars; one that needs
// itself is an error that names the chain. Safe for concurrent use. It is an engine.Vars.
type Vars struct{}

// Lazy is a value whose parts are made on reading, such as hostvars. It may stand
// as a value in any layer of Vars.
type Lazy interface {
	Get(key string) (v any, ok bool, err error)
	Keys() []string
}

// Options are what an Engine's lookups and includes may touch.
type Options struct {
	// ReadFile reads a file for the lookups file, template and first_found, and for
	// {% include %}; nil = no files.
	ReadFile func(name string) ([]byte, error)
}

// New returns an Engine.
func New(o Options) *Engine { panic("expr: in the making") }

// Vars makes a scope of layers, the last winning.
func (e *Engine) Vars(layers ...*value.Dict) *Vars { panic("expr: in the making") }

// With returns a scope that sees layers over v.
func (v *Vars) With(layers ...*value.Dict) *Vars { panic("expr: in the making") }

// Get evaluates a variable; ok is false where there is none.
func (v *Vars) Get(name string) (val any, ok bool, err error) { panic("expr: in the making") }

// Raw returns a variable without evaluating it.
func (v *Vars) Raw(name string) (val any, ok bool) { panic("expr: in the making") }

// Names lists the variables, sorted.
func (v *Vars) Names() []string { panic("expr: in the making") }

// Read lists the names of variables that were read through v so far, sorted, with scopes made by With counted in.
func (v *Vars) Read() []string { panic("expr: in the making") }

// Eval evaluates every Template in x, at any depth. A template that is one expression
// gives that expression's native value, any other gives text. Dict entries that evaluate to Omit are dropped.
func (v *Vars) Eval(x any) (any, error) { panic("expr: in the making") }

// Expression evaluates the text of a bare expression, such as a `when` item.
func (v *Vars) Expression(text string, pos source.Pos) (any, error) { panic("expr: in the making") }

// Condition is Expression's truth: strings "true"/"false" count as booleans as in Ansible.
func (v *Vars) Condition(text string, pos source.Pos) (bool, error) { panic("expr: in the making") }

// EvalText evaluates a whole file as a template, always giving text (one trailing newline is kept).
func (v *Vars) EvalText(name, text string) (string, error) { panic("expr: in the making") }

// Check parses text without evaluating it: syntax, unknown filters, tests and lookups.
func (e *Engine) Check(t value.Template) error { panic("expr: in the making") }

// CheckExpression is Check for a bare expression.
func (e *Engine) CheckExpression(text string, pos source.Pos) error { panic("expr: in the making") }

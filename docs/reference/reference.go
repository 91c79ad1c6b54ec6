// Package reference is the manual of what task files, inventories and expressions can use.
// The pages beside it and reference.json are made from the code's comments and from the
// folder text by `make docs`.
package reference

import (
	_ "embed" // for reference.json
	"encoding/json"
	"fmt"
)

//go:embed reference.json
var text []byte

// The kinds of entries.
const (
	Module   = "module"
	Callback = "callback"
	Keyword  = "keyword"
	Filter   = "filter"
	Test     = "test"
	Lookup   = "lookup"
	Setting  = "setting"
)

// Kinds lists the kinds in the order in which they are shown.
var Kinds = [...]string{Module, Callback, Keyword, Filter, Test, Lookup, Setting}

// Entry is what is said of one name.
type Entry struct {
	Kind      string     `json:"kind"`
	Name      string     `json:"name"`
	Aliases   []string   `json:"aliases,omitempty"`
	About     string     `json:"about"`        // Markdown, one line
	On        string     `json:"on,omitempty"` // of a keyword or setting: what it stands on
	Notes     []string   `json:"notes,omitempty"`
	Arguments []Argument `json:"arguments,omitempty"` // in the order of the code
	Example   string     `json:"example,omitempty"`
	// Value is what an example that is an expression gives, as JSON.
	Value string `json:"value,omitempty"`
}

// Argument is one argument of a module or callback.
type Argument struct {
	Name     string   `json:"name"`
	Aliases  []string `json:"aliases,omitempty"`
	Type     string   `json:"type,omitempty"` // text, number, yes or no, list, mapping, time, any
	Required bool     `json:"required,omitempty"`
	Default  string   `json:"default,omitempty"`
	About    string   `json:"about"`
}

// All lists the entries by kind and name.
func All() []Entry {
	var list []Entry
	if err := json.Unmarshal(text, &list); err != nil {
		panic(fmt.Errorf("reference.json: %w", err)) // written by our own program, read by its test
	}
	return list
}

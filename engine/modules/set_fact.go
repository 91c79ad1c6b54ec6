package modules

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"farm/engine"
	"farm/inventory/value"
)

// SetFact sets variables of the host.
type SetFact struct {
	Cacheable bool        `yaml:"cacheable"` // accepted; facts live as long as the run
	Facts     *value.Dict `yaml:",rest"`     // names and values
}

func newSetFact() engine.Module { return &SetFact{} }

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// Validate checks the names.
func (m *SetFact) Validate() error {
	if m.Facts.Len() == 0 {
		return fmt.Errorf("give at least one name: value, or name=value")
	}
	for k := range m.Facts.All() {
		if name := fmt.Sprint(k); !variableName.MatchString(name) {
			return fmt.Errorf("%q is no name for a variable: letters, digits and _, not starting with a digit", name)
		}
	}
	return nil
}

// Run sets the variables.
func (m *SetFact) Run(context.Context, *engine.Task) (engine.Result, error) {
	if err := m.Validate(); err != nil {
		return failed("set_fact: %v", err), nil
	}
	facts := value.NewDict()
	for k, v := range m.Facts.All() {
		if s, ok := v.(string); ok { // these words are booleans for Ansible, however they came about
			switch strings.ToLower(s) {
			case "yes", "true":
				v = true
			case "no", "false":
				v = false
			}
		}
		facts.Set(k, v)
	}
	return engine.Result{Facts: facts}, nil
}

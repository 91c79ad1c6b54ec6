package modules

import (
	"context"

	"farm/engine"
	"farm/inventory/value"
)

// SetStats sets figures that `farm play` shows at its end.
type SetStats struct {
	Data      any `yaml:"data"`      // a mapping of names and values
	PerHost   any `yaml:"per_host"`  // keep them for each host, not for the whole play; false by default
	Aggregate any `yaml:"aggregate"` // add to what is there: numbers, texts, lists and mappings; false replaces it; true by default
}

func newSetStats() engine.Module { return &SetStats{Aggregate: true} }

// Run hands the figures over. Ansible looks at the arguments no sooner, so what is wrong with them can be rescued.
func (m *SetStats) Run(context.Context, *engine.Task) (engine.Result, error) {
	data := value.NewDict()
	if m.Data != nil {
		d, ok := m.Data.(*value.Dict)
		if !ok {
			return failed("The 'data' option needs to be a dictionary/hash"), nil
		}
		data = d
	}
	for k := range data.All() {
		if name := value.Text(k); !variableName.MatchString(name) {
			return failed("The variable name '%s' is not valid. Variables must start with a letter or underscore character, "+
				"and contain only letters, numbers and underscores.", name), nil
		}
	}
	stats := value.NewDict("data", data, "per_host", yes(m.PerHost), "aggregate", yes(m.Aggregate))
	return engine.Result{Values: value.NewDict("ansible_stats", stats)}, nil
}

// yes is v as a boolean; what is none is false.
func yes(v any) bool {
	b, err := value.ParseBool(v)
	return err == nil && b
}

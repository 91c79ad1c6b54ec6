package report

import (
	"encoding/json"
	"slices"

	"farm/engine"
	"farm/inventory/value"
)

// Stats are the figures that tasks have set by set_stats, in the order in which they came.
type Stats struct {
	Run   *value.Dict            // of the whole play; nil = none
	Hosts map[string]*value.Dict // by host, with per_host; nil = none
}

// add takes what a task that did not fail returned as ansible_stats.
func (s *Stats) add(e engine.Event) {
	result, _ := e.Result.(*value.Dict)
	v, _ := result.Get("ansible_stats")
	stats, _ := v.(*value.Dict)
	v, _ = stats.Get("data")
	data, _ := v.(*value.Dict)
	if data.Len() == 0 || e.Status != engine.OK && e.Status != engine.Changed {
		return
	}
	to := s.Run
	// A module that says nothing of it means the host.
	perHost, said := stats.Get("per_host")
	if perHost == true || !said {
		to = s.Hosts[e.VM]
	}
	if to == nil {
		to = value.NewDict()
	}
	aggregate, _ := stats.Get("aggregate")
	for k, v := range data.All() {
		if old, ok := to.Get(k); ok && aggregate == true {
			v = added(old, v)
		}
		to.Set(k, v)
	}
	if perHost != true && said {
		s.Run = to
		return
	}
	if s.Hosts == nil {
		s.Hosts = map[string]*value.Dict{}
	}
	s.Hosts[e.VM] = to
}

// added is more added to old; old where they are of different kinds.
func added(old, more any) any {
	switch a := old.(type) {
	case int64:
		if b, ok := more.(int64); ok {
			return a + b
		}
	case float64:
		if b, ok := more.(float64); ok {
			return a + b
		}
	case string:
		if b, ok := more.(string); ok {
			return a + b
		}
	case []any:
		if b, ok := more.([]any); ok {
			return append(slices.Clip(a), b...)
		}
	case *value.Dict:
		if b, ok := more.(*value.Dict); ok {
			return value.Merge(a, b)
		}
	}
	return old
}

// write prints the figures, those of each host in the order of hosts.
func (s *Stats) write(p *printer, hosts []string) error {
	line := func(name string, d *value.Dict) {
		text, err := json.MarshalIndent(d, "", "  ")
		if err != nil {
			p.err = err
			return
		}
		p.printf("\nstats of %s: %s\n", name, engine.Printable(string(text)))
	}
	for _, name := range hosts {
		if d := s.Hosts[name]; d != nil {
			line(name, d)
		}
	}
	if s.Run != nil {
		line("the play", s.Run)
	}
	return p.err
}

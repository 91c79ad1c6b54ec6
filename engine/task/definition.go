package task

import (
	"context"
	"path/filepath"

	"farm/engine"
	"farm/inventory"
	"farm/inventory/value"
)

// Definitions returns what runs definitions that are task files. conn opens the
// hypervisor that a definition is evaluated for; it may be nil or return a nil Conn, then a definition
// may use no module that needs one. o.AddHost and o.Emit are still called.
func Definitions(o Options, conn func(ctx context.Context, host string) (engine.Conn, error)) inventory.DefinitionRunner {
	return func(ctx context.Context, req inventory.DefinitionRequest) (inventory.DefinitionFacts, error) {
		hosts := map[string]*value.Dict{}
		mine := o
		mine.AddHost = func(n engine.NewHost) bool {
			hosts[n.Name] = value.Merge(hosts[n.Name], n.Vars)
			if o.AddHost != nil {
				return o.AddHost(n)
			}
			return true
		}
		if mine.Project == "" {
			mine.Project = filepath.Dir(req.Path)
		}
		h := NewHost(req.Host, nil, req.Vars)
		h.Conn = &lazyConn{name: req.Host, open: conn}
		if err := New(mine).RunFile(ctx, req.Path, h, nil); err != nil {
			return inventory.DefinitionFacts{}, err
		}
		facts := h.Set
		if facts == nil {
			facts = value.NewDict()
		}
		return inventory.DefinitionFacts{Facts: facts, Hosts: hosts}, nil
	}
}

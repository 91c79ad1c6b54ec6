package phases

import (
	"context"
	"fmt"
	"strings"

	"farm/engine"
)

// tasks runs the project's task file of a phase in the guest.
type tasks struct{ name string }

func (p tasks) Name() string { return p.name }

func (p tasks) Run(ctx context.Context, r *engine.Run) error {
	file, searched, err := r.Tasks.PhaseFile(r.VM, p.name)
	if err != nil {
		return engine.Blame(engine.UserFault, err)
	}
	if file == "" {
		return engine.Skip(fmt.Sprintf("no file %s.yaml in %s", p.name, strings.Join(searched, ", ")))
	}
	if r.Conn == nil {
		return engine.Skip("the guest is not reachable")
	}
	return r.Tasks.Run(ctx, r, p.name, file)
}

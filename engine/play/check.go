package play

import (
	"farm/engine/task"
	"farm/inventory/expr"
	"farm/inventory/source"
)

// Check finds what can be found wrong in plays without running anything: expressions and the
// files that tasks include. It tells all faults at once.
func Check(r *task.Runner, plays []*Play, e *expr.Engine) error {
	var errs []error
	for _, p := range plays {
		for _, list := range append(p.sections(), p.Handlers) {
			errs = append(errs, r.ValidateTasks(p.File, list, e))
		}
	}
	return source.Join(errs...)
}

package play

import (
	"farm/engine/task"
	"farm/inventory/expr"
	"farm/inventory/source"
)

// Check finds what can be found wrong in plays without running anything: expressions and the
// files that tasks include. It tells all faults at once. whole is false where not all could be read: then
// what the rest may define is not missed.
func Check(r *task.Runner, plays []*Play, e *expr.Engine, whole bool) error {
	var errs []error
	for _, p := range plays {
		v := r.Validation(e)
		if !whole {
			v.Partly()
		}
		for _, list := range p.sections() {
			v.Tasks(p.File, list)
		}
		v.Handlers(p.File, p.Handlers)
		errs = append(errs, v.Err())
	}
	return source.Join(errs...)
}

package play

import (
	"path/filepath"
	"slices"

	"farm/engine/task"
	"farm/inventory/expr"
	"farm/inventory/source"
)

// Check finds what can be found wrong in plays without running anything: expressions and the
// files that tasks include. It tells all faults at once. whole is false where not all could be read: then
// what the rest may define is not missed. later are faults of tasks that may not run, or are meant to fail.
func Check(r *task.Runner, plays []*Play, e *expr.Engine, whole bool) (later []error, err error) {
	var errs []error
	writes := false // a play before may write files here
	for _, p := range plays {
		v := r.Validation(e)
		if !whole {
			v.Partly()
		}
		v.Keywords(p.Keys)
		v.Values(p.Vars)
		v.Values([]any{p.Strategy, p.Order})
		errs = append(errs, checkFiles(v, p, writes))
		for _, list := range p.sections() {
			v.Tasks(p.File, list)
		}
		v.Handlers(p.File, p.Handlers)
		errs, later = append(errs, v.Err()), append(later, v.Later()...)
		writes = writes || v.MayWrite()
	}
	return later, source.Join(errs...)
}

// checkFiles checks a play's vars_files whose names are known. With writes one that is missing may come.
func checkFiles(v *task.Validation, p *Play, writes bool) error {
	var errs []error
	for i, entry := range p.VarsFiles {
		names := listOf(entry)
		if slices.ContainsFunc(names, isTemplate) {
			continue
		}
		path, err := firstFile(filepath.Dir(p.File), names)
		if err != nil && writes {
			continue
		}
		if err != nil {
			errs = append(errs, &source.Error{Pos: p.filesPos[i], What: "vars_files", Err: err})
			continue
		}
		d, err := task.ReadVars(path)
		errs = append(errs, err)
		v.Values(d)
	}
	return source.Join(errs...)
}

package task

import (
	"errors"
	"slices"
	"strings"

	"farm/inventory/source"
)

// doubt is why a fault of a task may do no harm: what is around the task deals with it, or may
// keep the task from running.
type doubt uint8

const (
	certain  doubt = iota // the task runs and its failure counts
	perhaps               // it may not run
	expected              // its failure may be what is meant
)

// doubts is how certain it is that a fault of a task in s does harm.
func doubts(s *scope) doubt {
	worst := certain
	for ; s != nil; s = s.parent {
		one := s.doubt
		for _, key := range s.keys.Keys() {
			switch {
			case key == "ignore_errors" || key == "failed_when":
				one = expected
			case key == "when" || key == "loop" || strings.HasPrefix(key, "with_") || key == "tags" && taggedNever(s):
				one = max(one, perhaps)
			}
		}
		worst = max(worst, one)
	}
	return worst
}

// taggedNever reports whether a task runs only if its tag is asked for.
func taggedNever(s *scope) bool {
	v, _ := s.keys.Get("tags")
	return slices.Contains(itemsOf(v), any("never"))
}

// section is the scope of one part of a block.
func (s *scope) section(d doubt) *scope {
	c := *s
	c.doubt = max(c.doubt, d)
	return &c
}

// defers reports whether a fault waits until the task comes to run: any where a failure may be meant;
// where the task may not run at all, only what another program may know.
func (d doubt) defers(err error) bool {
	var e *source.Error
	return d == expected || d == perhaps && errors.As(err, &e) && e.Foreign
}

// tell takes faults of a task in s.
func (v *validator) tell(s *scope, errs ...error) {
	d := doubts(s)
	for _, err := range errs {
		for _, one := range source.Flatten(err) {
			if d.defers(one) {
				v.later = append(v.later, one)
			} else {
				v.errs = append(v.errs, one)
			}
		}
	}
}

// doubted sorts what f finds by how certain the tasks in s are.
func (v *validator) doubted(s *scope, f func()) {
	before := v.errs
	v.errs = nil
	f()
	found := v.errs
	v.errs = before
	v.tell(s, found...)
}

// Package source reads YAML files that people write: with limits, so that no file
// can exhaust the machine, and with positions, so that every complaint says where.
package source

import (
	"errors"
	"fmt"
	"sort"
	"strings"

	"github.com/hashicorp/go-multierror"
)

// Pos is a place in a file. Line and Col count from 1, Col in characters; the zero
// Pos means "not from a file".
type Pos struct {
	File string
	Line int
	Col  int
}

// IsZero reports whether p names no place.
func (p Pos) IsZero() bool { return p == Pos{} }

// String is "file:line:col", or "file" where the line is not known.
func (p Pos) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
}

// Error is one complaint about a user's file. It prints as
// "file:line:col: what (hint)".
type Error struct {
	Pos  Pos
	What string // what is wrong and why, lower case, no full stop
	Hint string // what would be right; may be empty
	Err  error  // the cause, if any; printed after What
	// Foreign says that something has a name that is not known, and near none that is: it may
	// be one that only another program knows.
	Foreign bool
}

func (e *Error) Error() string {
	var b strings.Builder
	if e.Pos.File != "" {
		b.WriteString(e.Pos.String())
		b.WriteString(": ")
	}
	b.WriteString(e.What)
	if e.Err != nil {
		if e.What != "" {
			b.WriteString(": ")
		}
		b.WriteString(e.Err.Error())
	}
	if e.Hint != "" {
		fmt.Fprintf(&b, " (%s)", e.Hint)
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error at pos without a hint. %w is honoured.
func Errorf(pos Pos, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Pos: pos, Err: err}
}

// Join collects errors into one that prints a line each, in the order of their
// positions, each distinct line once. It returns nil if none of errs is non-nil.
func Join(errs ...error) error {
	var flat []error
	for _, err := range errs {
		flat = append(flat, Flatten(err)...)
	}
	if len(flat) == 0 {
		return nil
	}
	if len(flat) == 1 {
		return flat[0]
	}
	sort.SliceStable(flat, func(i, j int) bool { return before(flat[i], flat[j]) })
	all := &multierror.Error{ErrorFormat: lines}
	seen := map[string]bool{}
	for _, err := range flat {
		if line := err.Error(); !seen[line] {
			seen[line] = true
			all.Errors = append(all.Errors, err)
		}
	}
	return all
}

// Flatten returns the single errors that err holds; none for nil.
func Flatten(err error) []error {
	switch e := err.(type) {
	case nil:
		return nil
	case *multierror.Error:
		var flat []error
		for _, one := range e.Errors {
			flat = append(flat, Flatten(one)...)
		}
		return flat
	}
	return []error{err}
}

func lines(errs []error) string {
	text := make([]string, len(errs))
	for i, err := range errs {
		text[i] = err.Error()
	}
	return strings.Join(text, "\n")
}

func before(a, b error) bool {
	var x, y *Error
	xok, yok := errors.As(a, &x), errors.As(b, &y)
	if !xok || !yok {
		return xok && !yok
	}
	if x.Pos.File != y.Pos.File {
		return x.Pos.File < y.Pos.File
	}
	if x.Pos.Line != y.Pos.Line {
		return x.Pos.Line < y.Pos.Line
	}
	return x.Pos.Col < y.Pos.Col
}

package expr

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"unicode/utf8"

	"farm/inventory/source"
)

// fault is what the parser and the evaluator throw; guard turns it into an error.
type fault struct {
	at   int // byte offset in the text; -1 = where the evaluator is
	what string
	hint string
	err  error    // if set, it is positioned already, or printed in place of what
	in   *program // that at belongs to; nil = the one that runs
}

// throwAt and its like stop a parse or an evaluation. They panic with a fault, which
// every public entrance of the package recovers: the evaluator is deep, and
// threading errors through each operator would hide what it does.
func throwAt(at int, what, hint string) { panic(&fault{at: at, what: what, hint: hint}) }

func throw(format string, args ...any) { panic(&fault{at: -1, what: fmt.Sprintf(format, args...)}) }

func throwHint(hint, format string, args ...any) {
	panic(&fault{at: -1, what: fmt.Sprintf(format, args...), hint: hint})
}

func throwErr(err error) { panic(&fault{at: -1, err: err}) }

// UndefinedError is the cause of an error about a variable, key or attribute that does not exist.
type UndefinedError struct {
	Name string // as written: "vm.disks"
	Why  string // the same in Jinja2's words, for results; "" = 'Name' is undefined
}

// Undefined marks the error for those who do not know this type.
func (e *UndefinedError) Undefined() bool { return true }

func (e *UndefinedError) Error() string { return fmt.Sprintf("%q is undefined", e.Name) }

// CircularError is the cause of an error about a variable that needs itself.
type CircularError struct {
	Chain []string // from the variable to itself
}

func (e *CircularError) Error() string {
	return fmt.Sprintf("the variable %q needs itself: %s", e.Chain[len(e.Chain)-1], strings.Join(e.Chain, " -> "))
}

// guard recovers a fault into *err. text is what was parsed, pos where it stands, at
// where the evaluator is.
func guard(err *error, text string, pos source.Pos, inFile bool, at *int) {
	switch r := recover().(type) {
	case nil:
	case *fault:
		if r.in != nil && r.in.text != text {
			r.at = -1
		}
		if r.at < 0 && at != nil {
			r.at = *at
		}
		*err = r.positioned(text, pos, inFile)
	default:
		// A bug of this package must not end the program that evaluates a user's file.
		f := &fault{at: -1, what: fmt.Sprintf("internal error: %v", r)}
		if at != nil {
			f.at = *at
		}
		*err = errors.Join(f.positioned(text, pos, inFile), errors.New(string(debug.Stack())))
	}
}

func (f *fault) positioned(text string, pos source.Pos, inFile bool) error {
	var placed *source.Error
	if f.err != nil && errors.As(f.err, &placed) && !placed.Pos.IsZero() {
		return f.err
	}
	where, line := place(text, pos, inFile, f.at)
	e := &source.Error{Pos: where, What: f.what, Hint: f.hint, Err: f.err}
	if placed != nil && placed == f.err {
		e.What, e.Hint, e.Err = placed.What, placed.Hint, placed.Err
	}
	if line != "" && e.What != "" {
		e.What = line + ": " + e.What
	} else if line != "" {
		e.What = line
	}
	return e
}

// place turns an offset into a position. In a file it is exact. A YAML scalar of one
// line starts one column later if it is quoted, which one that begins with a brace
// must be; of one with several lines only the start is known, so the line is quoted.
func place(text string, pos source.Pos, inFile bool, at int) (source.Pos, string) {
	if at < 0 || at > len(text) {
		return pos, ""
	}
	lineStart := strings.LastIndexByte(text[:at], '\n') + 1
	col := utf8.RuneCountInString(text[lineStart:at])
	switch {
	case inFile:
		return source.Pos{File: pos.File, Line: strings.Count(text[:at], "\n") + 1, Col: col + 1}, ""
	case !strings.Contains(strings.TrimRight(text, "\n"), "\n"):
		if pos.Line > 0 {
			pos.Col += col
			if strings.HasPrefix(text, "{") {
				pos.Col++
			}
		}
		return pos, ""
	}
	line, _, _ := strings.Cut(text[lineStart:], "\n")
	line = strings.TrimSpace(line)
	if len(line) > 80 {
		line = strings.ToValidUTF8(line[:80], "") + "..."
	}
	return pos, fmt.Sprintf("in line %d of the text, %q", strings.Count(text[:at], "\n")+1, line)
}

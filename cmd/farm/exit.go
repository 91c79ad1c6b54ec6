package main

import (
	"errors"

	"farm/engine"
	"farm/inventory/source"
)

// The exit statuses, as `farm --help` documents them.
const (
	exitPassed      = 0
	exitTestFailed  = 1
	exitNoVerdict   = 2
	exitNothing     = 3
	exitUsage       = 64
	exitBadInput    = 65
	exitInterrupted = 130
)

// errNothingSelected is a selection that selects no VM.
var errNothingSelected = errors.New("nothing selected")

// usageError is a command line that makes no sense.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

// exitError ends farm with a status; everything has been said already.
type exitError struct{ status int }

func (e *exitError) Error() string { return "exit" }

// exitStatus maps an error to farm's exit status.
func exitStatus(err error) int {
	var exit *exitError
	var usage *usageError
	switch {
	case err == nil:
		return exitPassed
	case errors.As(err, &exit):
		return exit.status
	case errors.As(err, &usage):
		return exitUsage
	case errors.Is(err, errNothingSelected):
		return exitNothing
	case isUserFile(err):
		return exitBadInput
	}
	switch engine.FaultOf(err) {
	case engine.TestFault:
		return exitTestFailed
	case engine.UserFault:
		return exitBadInput
	case engine.Cancelled:
		return exitInterrupted
	}
	return exitNoVerdict
}

// isUserFile reports whether err is about a user's file, with a position.
func isUserFile(err error) bool {
	for _, one := range source.Flatten(err) {
		var bad *source.Error
		if errors.As(one, &bad) {
			return true
		}
	}
	return false
}

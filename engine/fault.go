package engine

import (
	"context"
	"errors"
	"fmt"
)

// Fault says whose fault a failure is. It decides the exit status, whether JUnit
// calls it failure or error, and whether another host is tried.
type Fault string

// The faults, worst first for a verdict.
const (
	NoFault   Fault = ""
	TestFault Fault = "test" // the project under test failed
	FarmFault Fault = "farm" // hypervisor, network, image
	UserFault Fault = "user" // inventory, task file
	Cancelled Fault = "cancelled"
)

// FaultError is an error with a fault.
type FaultError struct {
	Fault Fault
	Err   error
}

func (e *FaultError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *FaultError) Unwrap() error { return e.Err }

// Blame gives err a fault unless it has one; nil stays nil.
func Blame(f Fault, err error) error {
	var fe *FaultError
	if err == nil || errors.As(err, &fe) {
		return err
	}
	return &FaultError{Fault: f, Err: err}
}

// Blamef makes an error with a fault.
func Blamef(f Fault, format string, args ...any) error {
	return &FaultError{Fault: f, Err: fmt.Errorf(format, args...)}
}

// FaultOf is err's fault; an error that nobody was blamed for is farm's, one by a
// cancelled context nobody's.
func FaultOf(err error) Fault {
	var fe *FaultError
	switch {
	case err == nil:
		return NoFault
	case errors.As(err, &fe):
		return fe.Fault
	case errors.Is(err, context.Canceled):
		return Cancelled
	}
	return FarmFault
}

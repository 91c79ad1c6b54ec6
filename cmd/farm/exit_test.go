package main

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"farm/engine"
	"farm/inventory/source"
)

func TestExitStatusOfErrors(t *testing.T) {
	cause := errors.New("cause")
	position := &source.Error{Pos: source.Pos{File: "f", Line: 1, Col: 2}, What: "wrong"}
	for name, c := range map[string]struct {
		err  error
		want int
	}{
		"none":                          {nil, exitPassed},
		"already said":                  {&exitError{7}, 7},
		"usage":                         {&usageError{cause}, exitUsage},
		"usage, wrapped":                {fmt.Errorf("x: %w", &usageError{cause}), exitUsage},
		"usage with a position":         {&usageError{position}, exitUsage},
		"nothing selected":              {fmt.Errorf("%w: none", errNothingSelected), exitNothing},
		"a position":                    {position, exitBadInput},
		"a position, wrapped":           {fmt.Errorf("x: %w", position), exitBadInput},
		"one position among several":    {source.Join(position, position), exitBadInput},
		"the user's fault":              {engine.Blame(engine.UserFault, cause), exitBadInput},
		"a failed test":                 {engine.Blame(engine.TestFault, cause), exitTestFailed},
		"a hypervisor":                  {engine.Blame(engine.FarmFault, cause), exitNoVerdict},
		"interrupted":                   {engine.Blame(engine.Cancelled, context.Canceled), exitInterrupted},
		"anything else has no verdict":  {cause, exitNoVerdict},
		"a fault is kept when wrapped":  {fmt.Errorf("x: %w", engine.Blame(engine.TestFault, cause)), exitTestFailed},
		"the first blame is what holds": {engine.Blame(engine.FarmFault, engine.Blame(engine.UserFault, cause)), exitBadInput},
	} {
		if got := exitStatus(c.err); got != c.want {
			t.Errorf("%s: %d, not %d", name, got, c.want)
		}
	}
}

package phases

import (
	"context"
	"fmt"
	"time"

	"farm/engine"
)

// shutdown asks the guest to power off and does it by force where it does not.
type shutdown struct{}

func (shutdown) Name() string { return Shutdown }

// powerOffBudget is left of the phase's deadline for the power switch: ending a guest
// that does not answer was seen to take 13 s.
const powerOffBudget = 30 * time.Second

func (shutdown) Run(ctx context.Context, r *engine.Run) error {
	reached := r.Conn != nil
	if reached {
		r.Conn.Close()
		r.Conn = nil
	}
	if r.Machine == nil {
		return engine.Skip("the machine was not started")
	}
	// A guest that nobody could log in to most likely hangs, boots still, or has no system
	// that heeds its power button; unless its disks stay, nothing is lost with it.
	if reached || r.VM.Def.DiskMode == "persistent" {
		if err := gently(ctx, r); err == nil {
			return nil
		} else if ctx.Err() == nil {
			r.Emit(engine.Event{Kind: engine.Warning, Text: fmt.Sprintf("the guest did not shut down (%v); switched off", err)})
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), powerOffBudget)
	defer cancel()
	return r.Machine.PowerOff(ctx)
}

func gently(ctx context.Context, r *engine.Run) error {
	budget := time.Minute
	if d, ok := ctx.Deadline(); ok {
		budget = max(time.Until(d)-powerOffBudget, time.Until(d)/2)
	}
	ctx, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	return r.Machine.Shutdown(ctx)
}

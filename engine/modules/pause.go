package modules

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"time"

	"farm/engine"
	"farm/inventory/value"
)

// Pause waits. Nobody is asked: a pause without a time is over at once.
type Pause struct {
	Seconds float64 `yaml:"seconds"` // how long
	Minutes float64 `yaml:"minutes"` // added to seconds
	Prompt  string  `yaml:"prompt"`  // shown
	Echo    bool    `yaml:"echo"`    // accepted
}

func newPause() engine.Module { return &Pause{Echo: true} }

// Run waits until the time is over or ctx ends.
func (m *Pause) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	wait := time.Duration((m.Seconds + m.Minutes*60) * float64(time.Second))
	if m.Prompt != "" && t.Emit != nil {
		t.Emit(engine.Event{Kind: engine.Progress, Task: t.Name, Text: engine.Printable(m.Prompt)})
	}
	if wait <= 0 {
		warn(t, "a pause without seconds or minutes does not wait: nobody is there to answer")
	}
	began := time.Now()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return engine.Result{}, fmt.Errorf("pause: %w", context.Cause(ctx))
	}
	ended := time.Now()
	return engine.Result{Values: value.NewDict("start", stamp(began), "stop", stamp(ended),
		"delta", int64(ended.Sub(began)/time.Second), "echo", m.Echo, "user_input", "", "rc", int64(0),
		"stdout", paused(m), "stderr", "")}, nil
}

// paused says how long, as Ansible does: in the unit that was given.
func paused(m *Pause) string {
	n, unit := m.Seconds, "seconds"
	if m.Minutes > 0 {
		n, unit = m.Minutes, "minutes"
	}
	text := strconv.FormatFloat(n, 'f', -1, 64)
	if n == math.Trunc(n) {
		text += ".0"
	}
	return "Paused for " + text + " " + unit
}

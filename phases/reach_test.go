package phases

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"farm/engine"
)

// nowhere is a machine that never has an address.
type nowhere struct {
	engine.Machine
	state func() engine.PowerState
}

func (m nowhere) SSH(ctx context.Context) (string, error) {
	<-ctx.Done()
	return "", errors.New("no lease names one")
}

func (m nowhere) State(context.Context) (engine.PowerState, error) { return m.state(), nil }

func TestNobodyWaitsForTheAddressOfAMachineThatIsOff(t *testing.T) {
	var asked, told atomic.Int32
	r := &engine.Run{
		Machine: nowhere{state: func() engine.PowerState {
			if asked.Add(1) > 8 {
				return engine.Off
			}
			return engine.Running
		}},
		Emit: func(e engine.Event) {
			if strings.Contains(e.Text, "still waiting for SSH") {
				told.Add(1)
			}
		},
	}
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	if _, err := address(ctx, r, time.Now(), time.Millisecond); err == nil || !strings.Contains(err.Error(), "the machine is") {
		t.Errorf("it says %v", err)
	}
	if told.Load() == 0 {
		t.Error("nothing was told meanwhile")
	}
}

func TestAddressThatDoesNotComeInTime(t *testing.T) {
	r := &engine.Run{Machine: nowhere{state: func() engine.PowerState { return engine.Running }}, Emit: func(engine.Event) {}}
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer stop()
	if _, err := address(ctx, r, time.Now(), time.Millisecond); err == nil || err.Error() != "no lease names one" {
		t.Errorf("it says %v", err)
	}
}

package runner

import (
	"context"
	"fmt"
	"time"

	"farm/engine"
)

// lease is how long a machine's mark protects it where nobody knows whether its run goes on.
const lease = 24 * time.Hour

// mark says whose the VM's machine is.
func (v *vmRun) mark() engine.Owner {
	return engine.Owner{
		Run: v.ID, VM: v.Run.VM.ID, User: v.User, Dir: v.HostDir, Expires: time.Now().Add(lease),
		Project: v.settings.Project, Inventory: v.Inventory, Home: v.Home,
	}
}

// claim makes the machine's folder and says there whose it is, or says it anew.
func (v *vmRun) claim(ctx context.Context, o engine.Owner) error {
	caps, err := v.back.Host.Capabilities(ctx)
	if err == nil {
		_, err = v.back.Host.Conn().Exec(ctx, engine.Claim{Owner: o, URI: caps.URI}.Cmd())
	}
	return err
}

// keeping reports whether the machine stays up: only one that somebody can enter.
func (v *vmRun) keeping() bool {
	if v.Machine == nil || !v.reached {
		return false
	}
	return v.Keep == KeepAlways || v.Keep == KeepOnFailure && v.first != nil && engine.FaultOf(v.first) != engine.Cancelled
}

// keepMachine marks the machine as kept, on its host and in the journal. Where the host
// does not take the mark the journal says that, so that it can be set later.
func (v *vmRun) keepMachine(ctx context.Context) {
	until := time.Now().Add(v.KeepFor).UTC().Truncate(time.Second)
	o := v.Owner
	o.Keep, o.Expires = true, until
	state, unmarked := "kept", v.Machine.SetOwner(ctx, o)
	if unmarked == nil {
		unmarked = v.claim(ctx, o)
	}
	if unmarked != nil {
		state = "unmarked"
	}
	if err := v.Journal.Settle(v.Name, state, until); err != nil {
		v.warn("%v", err)
	}
	id := v.Run.VM.ID
	if unmarked != nil {
		v.warn("%q was left running, but could not be marked as kept: %v; once %q answers, `farm ssh %s` and `farm down %s` find it, "+
			"and `farm gc` marks it, or removes it after %s", v.Name, unmarked, v.Run.Host.Name(), id, id, until.Local().Format("15:04"))
		return
	}
	v.Run.Emit(engine.Event{Kind: engine.Progress, Text: fmt.Sprintf("kept until %s: farm ssh %s", until.Local().Format("15:04"), id)})
}

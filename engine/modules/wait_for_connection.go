package modules

import (
	"context"
	"time"

	"farm/engine"
	"farm/inventory/value"
)

// waitForConnectionModule waits until the host can be worked with.
type waitForConnectionModule struct {
	// Seconds to wait at most.
	Timeout int64 `yaml:"timeout"`
	// Seconds before the first try, and between tries.
	Delay int64 `yaml:"delay"`
	Sleep int64 `yaml:"sleep"`
	// Seconds for one try.
	ConnectTimeout int64 `yaml:"connect_timeout"`
}

// Run tries a command on the connection, and on new ones where it is lost.
func (m *waitForConnectionModule) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	begun := time.Now()
	if err := pause(ctx, time.Duration(m.Delay)*time.Second); err != nil {
		return engine.Result{}, err
	}
	works := func(ctx context.Context, c engine.Conn) error {
		_, err := c.Exec(ctx, engine.Cmd{Script: "true"})
		return err
	}
	each := time.Duration(m.ConnectTimeout) * time.Second
	try, cancel := context.WithTimeout(ctx, each)
	err := works(try, t.Conn)
	cancel()
	if err != nil && t.Reconnect != nil {
		limit, cancel := context.WithTimeout(ctx, time.Duration(m.Timeout)*time.Second)
		defer cancel()
		err = again(limit, t, each, works)
	}
	if ctx.Err() != nil {
		return engine.Result{}, ctx.Err()
	}
	elapsed := int64(time.Since(begun).Seconds())
	if err != nil {
		return failed("not reachable after %d s: %v", elapsed, err), nil
	}
	return engine.Result{Values: value.NewDict("elapsed", elapsed)}, nil
}

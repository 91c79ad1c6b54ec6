package modules

import (
	"context"
	"fmt"
	"time"

	"farm/engine"
	"farm/inventory/value"
)

// waitForConnectionModule waits until the host can be worked with.
type waitForConnectionModule struct {
	// Seconds to wait at most.
	Timeout int64 `yaml:"timeout"`
	// Seconds before the first try.
	Delay int64 `yaml:"delay"`
	// Accepted; the pause between tries begins short and grows to 2 seconds.
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
	each := time.Duration(max(m.ConnectTimeout, 1)) * time.Second
	limit, cancel := context.WithTimeout(ctx, time.Duration(m.Timeout)*time.Second)
	defer cancel()
	try, cancel := context.WithTimeout(limit, each)
	err := works(try, t.Conn)
	cancel()
	switch {
	case err == nil:
	case t.Reconnect != nil:
		err = again(limit, t, each, works)
	default:
		err = fmt.Errorf("%w; this connection cannot be made again", err)
	}
	if ctx.Err() != nil {
		return engine.Result{}, context.Cause(ctx)
	}
	if err != nil {
		res := failed("not reachable within %d s: %v", m.Timeout, err)
		res.Values = value.NewDict("elapsed", seconds(begun))
		return res, nil
	}
	return engine.Result{Values: value.NewDict("elapsed", seconds(begun))}, nil
}

package modules

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"farm/engine"
	"farm/inventory/value"
)

// rebootModule reboots the host and waits until it is up again.
type rebootModule struct {
	// Seconds until the host must answer.
	RebootTimeout int64 `yaml:"reboot_timeout|reboot_timeout_sec"`
	// Seconds for one try to connect.
	ConnectTimeout int64 `yaml:"connect_timeout|connect_timeout_sec"`
	// Seconds to wait before rebooting, and after the host has answered.
	PreDelay  int64 `yaml:"pre_reboot_delay|pre_reboot_delay_sec"`
	PostDelay int64 `yaml:"post_reboot_delay|post_reboot_delay_sec"`
	// Command that must succeed after the reboot.
	TestCommand string `yaml:"test_command"`
	// Command that reboots.
	RebootCommand string `yaml:"reboot_command"`
	// Command whose output changes with every boot.
	BootTimeCommand string `yaml:"boot_time_command"`
	// Message to users who are logged in.
	Msg string `yaml:"msg"`
	// Folders to look for the shutdown command in; accepted for compatibility.
	SearchPaths []string `yaml:"search_paths"`
}

const bootID = `cat /proc/sys/kernel/random/boot_id 2>/dev/null || sysctl -n kern.boottime 2>/dev/null || who -b`

// The command goes to the background, so that the connection's end is not its own.
const rebootScript = `nohup sh -c 'sleep 1; eval "$reboot" || reboot || shutdown -r now || systemctl reboot' >/dev/null 2>&1 </dev/null &
exit 0
`

// Run reboots. The host's boot id tells that it did.
func (m *rebootModule) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	if t.Check {
		return engine.Result{Changed: true, Values: value.NewDict("rebooted", true, "elapsed", int64(0))}, nil
	}
	if t.Reconnect == nil {
		return failed("this connection cannot be made again after a reboot"), nil
	}
	begun := time.Now()
	ask := bootID
	if m.BootTimeCommand != "" {
		ask = m.BootTimeCommand
	}
	before, err := t.Exec(ctx, engine.Cmd{Script: ask})
	if err != nil {
		return engine.Result{}, fmt.Errorf("ask for the boot id: %w", err)
	}
	if err := pause(ctx, time.Duration(m.PreDelay)*time.Second); err != nil {
		return engine.Result{}, err
	}
	r, err := run(ctx, t, rebootScript, map[string]string{"reboot": m.RebootCommand})
	if err == nil && !r.ok() {
		return r.failure("reboot"), nil
	}
	if err != nil && !errors.Is(err, engine.ErrUnreachable) {
		return engine.Result{}, err
	}
	limit, cancel := context.WithTimeout(ctx, time.Duration(m.RebootTimeout)*time.Second)
	defer cancel()
	err = again(limit, t, time.Duration(m.ConnectTimeout)*time.Second, func(ctx context.Context, c engine.Conn) error {
		after, err := c.Exec(ctx, engine.Cmd{Script: ask})
		if err != nil {
			return err
		}
		if strings.TrimSpace(string(after.Stdout)) == strings.TrimSpace(string(before.Stdout)) {
			return errors.New("it has not rebooted yet")
		}
		_, err = c.Exec(ctx, engine.Cmd{Script: m.TestCommand, Become: t.Become})
		return err
	})
	if ctx.Err() != nil {
		return engine.Result{}, ctx.Err()
	}
	elapsed := int64(time.Since(begun).Seconds())
	if err != nil {
		res := failed("not up again %d s after the reboot: %v", elapsed, err)
		res.Values = value.NewDict("rebooted", true, "elapsed", elapsed)
		return res, nil
	}
	if err := pause(ctx, time.Duration(m.PostDelay)*time.Second); err != nil {
		return engine.Result{}, err
	}
	return engine.Result{Changed: true, Values: value.NewDict("rebooted", true, "elapsed", int64(time.Since(begun).Seconds()))}, nil
}

// again connects anew until test passes or ctx ends, and leaves the connection in t.
func again(ctx context.Context, t *engine.Task, each time.Duration, test func(context.Context, engine.Conn) error) error {
	var last error
	for {
		last = once(ctx, t, max(each, time.Second), test)
		if last == nil {
			return nil
		}
		if pause(ctx, time.Second) != nil {
			return last
		}
	}
}

func once(ctx context.Context, t *engine.Task, limit time.Duration, test func(context.Context, engine.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	c, err := t.Reconnect(ctx)
	if err != nil {
		return err
	}
	if err := test(ctx, c); err != nil {
		c.Close()
		return err
	}
	t.Conn.Close()
	t.Conn = c
	return nil
}

// pause waits for d or ctx's end, whose error it returns.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

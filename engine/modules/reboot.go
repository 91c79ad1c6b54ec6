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
	// Seconds to wait before rebooting.
	PreDelay int64 `yaml:"pre_reboot_delay|pre_reboot_delay_sec"`
	// Seconds to wait after the host has answered.
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

// The command runs on its own, so that the end of the connection is not its end.
const rebootScript = `if [ -z "$reboot" ]; then reboot='shutdown -r now "$msg" || reboot || systemctl reboot'; fi
export reboot
nohup sh -c 'sleep 1; eval "$reboot"' >/dev/null 2>&1 </dev/null &
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
	before, err := m.bootID(ctx, t, t.Conn)
	var exit *engine.ExitError
	switch {
	case errors.As(err, &exit) || errors.Is(err, errNoBootID):
		return failed("the host does not say when it was booted: %v", err), nil
	case err != nil:
		return engine.Result{}, fmt.Errorf("ask for the boot id: %w", err)
	}
	if err := pause(ctx, time.Duration(m.PreDelay)*time.Second); err != nil {
		return engine.Result{}, err
	}
	r, err := run(ctx, t, rebootScript, map[string]string{"reboot": m.RebootCommand, "msg": m.Msg})
	if err == nil && !r.ok() {
		return r.failure("reboot"), nil
	}
	if err != nil && !errors.Is(err, engine.ErrUnreachable) {
		return engine.Result{}, err
	}
	limit, cancel := context.WithTimeout(ctx, time.Duration(m.RebootTimeout)*time.Second)
	defer cancel()
	err = again(limit, t, time.Duration(m.ConnectTimeout)*time.Second, func(ctx context.Context, c engine.Conn) error {
		after, err := m.bootID(ctx, t, c)
		if err != nil {
			return err
		}
		if after == before {
			return errors.New("it has not rebooted yet")
		}
		if _, err = c.Exec(ctx, engine.Cmd{Script: m.TestCommand, Become: t.Become, Env: t.Env}); err != nil {
			return fmt.Errorf("test_command: %w", err)
		}
		return nil
	})
	if ctx.Err() != nil {
		return engine.Result{}, context.Cause(ctx)
	}
	if err != nil {
		res := failed("not up again within the %d s of reboot_timeout: %v", m.RebootTimeout, err)
		res.Values = value.NewDict("rebooted", false, "elapsed", seconds(begun))
		return res, nil
	}
	if err := pause(ctx, time.Duration(m.PostDelay)*time.Second); err != nil {
		return engine.Result{}, err
	}
	return engine.Result{Changed: true, Values: value.NewDict("rebooted", true, "elapsed", seconds(begun))}, nil
}

var errNoBootID = errors.New("the command printed nothing")

// bootID is what the host says on c that changes with every boot.
func (m *rebootModule) bootID(ctx context.Context, t *engine.Task, c engine.Conn) (string, error) {
	ask := engine.Cmd{Script: bootID}
	if m.BootTimeCommand != "" {
		ask = engine.Cmd{Script: m.BootTimeCommand, Become: t.Become, Env: t.Env}
	}
	out, err := c.Exec(ctx, ask)
	if err != nil {
		return "", err
	}
	id := strings.TrimSpace(string(out.Stdout))
	if id == "" {
		return "", errNoBootID
	}
	return id, nil
}

// seconds is the time since begun in whole seconds.
func seconds(begun time.Time) int64 { return int64(time.Since(begun).Seconds()) }

const (
	firstPause = 100 * time.Millisecond // after the first try to connect; doubled up to lastPause
	lastPause  = 2 * time.Second
	// testLimit bounds one try of what is to work on a new connection.
	testLimit = time.Minute
)

// again connects anew until test passes or ctx ends, and leaves the connection in t. each
// bounds one try to connect.
func again(ctx context.Context, t *engine.Task, each time.Duration, test func(context.Context, engine.Conn) error) error {
	var last error
	for wait := firstPause; ; wait = min(2*wait, lastPause) {
		// A try that ctx's end cut short says less than the one before it.
		if err := once(ctx, t, max(each, time.Second), test); err == nil {
			return nil
		} else if last == nil || ctx.Err() == nil {
			last = err
		}
		if pause(ctx, wait) != nil {
			return last
		}
	}
}

func once(ctx context.Context, t *engine.Task, each time.Duration, test func(context.Context, engine.Conn) error) error {
	connect, cancel := context.WithTimeout(ctx, each)
	defer cancel()
	c, err := t.Reconnect(connect)
	if err != nil {
		return err
	}
	try, cancel := context.WithTimeout(ctx, max(each, testLimit))
	defer cancel()
	if err := test(try, c); err != nil {
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
		return context.Cause(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

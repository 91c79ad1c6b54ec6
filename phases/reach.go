package phases

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"farm/engine"
)

// reach climbs the ladder to a guest that works: an address, sshd's banner, a login, a
// command, and the end of cloud-init where there is one. One try at a time: a storm of
// tries slows a booting guest and trips sshd's limits.
func reach(ctx context.Context, r *engine.Run) error {
	begun := time.Now()
	if err := enter(ctx, r, begun); err != nil {
		return err
	}
	return settled(ctx, r, begun)
}

// enter is reach without the end of cloud-init.
func enter(ctx context.Context, r *engine.Run, begun time.Time) error {
	r.Emit(engine.Event{Kind: engine.Progress, Text: "waiting for SSH"})
	watched, leave := watchConsole(ctx, r)
	defer leave()
	addr, err := address(watched, r, begun, 5*time.Second)
	if err != nil {
		return stalled(ctx, r, begun, "an address", err)
	}
	pause := time.NewTicker(500 * time.Millisecond)
	defer pause.Stop()
	told, refused := begun, time.Time{}
	var last error
	for {
		err := try(watched, r, addr)
		if err == nil {
			return nil
		}
		if last == nil || watched.Err() == nil { // one that was cut off says nothing
			last = err
		}
		if gaveUp := (*panicError)(nil); errors.As(context.Cause(watched), &gaveUp) {
			return stalled(ctx, r, begun, rung(last), gaveUp)
		}
		if refused = since(refused, last); !refused.IsZero() && time.Since(refused) > patience(r) {
			return stalled(ctx, r, begun, rung(last), last)
		}
		if final := off(ctx, r); final != nil {
			return stalled(ctx, r, begun, rung(last), final)
		}
		if time.Since(told) > 15*time.Second {
			told = time.Now()
			r.Emit(engine.Event{Kind: engine.Progress, Text: fmt.Sprintf("still waiting for SSH after %s (%s)", time.Since(begun).Round(time.Second), rung(last))})
		}
		select {
		case <-ctx.Done():
			return stalled(ctx, r, begun, rung(last), last)
		case <-pause.C:
		}
	}
}

// address waits for where the guest's sshd can be reached, or until the machine runs no more, which is looked at
// again and again.
func address(ctx context.Context, r *engine.Run, begun time.Time, every time.Duration) (string, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var addr string
	found := make(chan error, 1)
	go func() {
		var err error
		addr, err = r.Machine.SSH(ctx)
		found <- err
	}()
	look := time.NewTicker(every)
	defer look.Stop()
	for told := begun; ; {
		select {
		case err := <-found:
			if why := context.Cause(ctx); err != nil && ctx.Err() == context.Canceled && why != context.Canceled {
				err = why
			}
			return addr, err
		case <-look.C:
		}
		if final := off(ctx, r); final != nil {
			cancel(final)
		}
		if time.Since(told) > 3*every {
			told = time.Now()
			r.Emit(engine.Event{Kind: engine.Progress, Text: fmt.Sprintf("still waiting for SSH after %s (an address)", time.Since(begun).Round(time.Second))})
		}
	}
}

// try logs in once and runs `true`.
func try(ctx context.Context, r *engine.Run, addr string) error {
	once, cancel := context.WithTimeout(ctx, time.Duration(10*r.Scale)*time.Second)
	defer cancel()
	conn, err := r.Guest.Dial(once, r, addr)
	if err != nil {
		return err
	}
	if _, err := conn.Exec(once, engine.Cmd{Script: "true"}); err != nil {
		conn.Close()
		return fmt.Errorf("logged in, but `true` failed: %w", err)
	}
	r.Conn = conn
	return nil
}

// awaitCloudInit waits for the end of cloud-init's last stage, where the guest has it. Its own
// `status --wait` comes back at the first error, while later stages still install.
const awaitCloudInit = `if [ -d /run/cloud-init ] && command -v cloud-init >/dev/null 2>&1 && [ ! -e /run/cloud-init/disabled ]; then
	until [ -e /run/cloud-init/result.json ] || [ "$(systemctl is-active cloud-final.service 2>/dev/null)" = failed ]; do sleep 1; done
	cloud-init status 2>&1 | tail -n 1
fi`

// settled waits for cloud-init, which may still be installing.
func settled(ctx context.Context, r *engine.Run, begun time.Time) error {
	out, err := r.Conn.Exec(ctx, engine.Cmd{Script: awaitCloudInit})
	if err != nil {
		return stalled(ctx, r, begun, "the end of cloud-init", err)
	}
	if text := strings.TrimSpace(string(out.Stdout)); strings.Contains(text, "error") {
		r.Emit(engine.Event{Kind: engine.Warning, Text: "cloud-init ended with: " + text})
	}
	return nil
}

// patience is how long a guest may refuse logins: while it boots users and keys can still
// come, but waiting for the whole deadline would tell nobody anything.
func patience(r *engine.Run) time.Duration {
	return time.Duration(min(r.Scale, 4) * float64(30*time.Second))
}

// since is when the refusals began that err goes on with; zero if err is none.
func since(begun time.Time, err error) time.Time {
	switch rung(err) {
	case "auth", "host key":
		if begun.IsZero() {
			return time.Now()
		}
		return begun
	}
	return time.Time{}
}

// off is an error if the machine does not run any more.
func off(ctx context.Context, r *engine.Run) error {
	state, err := r.Machine.State(ctx)
	if err == nil && state != engine.Running {
		return fmt.Errorf("the machine is %s", state)
	}
	return nil
}

// panicError is a guest's kernel that stopped for good.
type panicError struct{ line string }

func (e *panicError) Error() string { return "the guest's kernel gave up: " + e.line }

// watchConsole ends the context that it returns with a *panicError as its cause when the console
// shows a kernel's end: nobody has to wait for a guest that will not come. leave ends the watch.
func watchConsole(ctx context.Context, r *engine.Run) (watched context.Context, leave func()) {
	watched, cancel := context.WithCancelCause(ctx)
	over := make(chan struct{})
	go func() {
		defer close(over)
		look := time.NewTicker(5 * time.Second)
		defer look.Stop()
		for {
			select {
			case <-watched.Done():
				return
			case <-look.C:
			}
			if line := panicked(watched, r); line != "" {
				cancel(&panicError{line})
			}
		}
	}()
	return watched, func() {
		cancel(nil)
		<-over
	}
}

// panicked is the line in which the guest's kernel says that it stops for good; "" if it does not.
func panicked(ctx context.Context, r *engine.Run) string {
	tail := consoleTail(ctx, r, 40)
	at := strings.LastIndex(tail, "Kernel panic - not syncing")
	if at < 0 || strings.Contains(tail[at:], "Rebooting in") {
		return ""
	}
	line, _, _ := strings.Cut(tail[at:], "\n")
	return line
}

// rung is how far the last try came.
func rung(err error) string {
	var s interface{ Stage() string }
	if errors.As(err, &s) {
		return s.Stage()
	}
	return "ssh"
}

// stalled explains a boot that did not end in a login, with the console's last lines.
func stalled(ctx context.Context, r *engine.Run, begun time.Time, awaited string, cause error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return engine.Blame(engine.Cancelled, fmt.Errorf("boot interrupted: %w", ctx.Err()))
	}
	waited := time.Since(begun).Round(time.Second)
	err := fmt.Errorf("guest not reachable after %s (waiting for %s): %w", waited, awaited, cause)
	if tail := consoleTail(context.WithoutCancel(ctx), r, 10); tail != "" {
		err = fmt.Errorf("%w\nthe console's last lines:\n%s", err, tail)
	}
	return engine.Blame(engine.FarmFault, err)
}

// consoleTail is the last n lines of the serial console, "" if they cannot be had soon.
func consoleTail(ctx context.Context, r *engine.Run, n int) string {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := r.Host.Conn().Exec(ctx, engine.Cmd{Argv: []string{"tail", "-c", "4096", r.Machine.ConsoleLog()}})
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimRight(engine.Printable(string(out.Stdout)), "\n"), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	for i, line := range lines {
		lines[i] = "  | " + strings.TrimRight(line, " \r")
	}
	return strings.Join(lines, "\n")
}

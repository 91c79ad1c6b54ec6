package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"farm/engine"
)

var errNeedsPOSIX = errors.New("dir, env, become and shell need a POSIX shell there")

// execPlain runs cmd by the login shell, whatever that is: a switch's command line, or
// cmd.exe. Only Argv without quotes' worth of quoting, or Script as it stands, can be run so.
func (p *Pool) execPlain(ctx context.Context, cmd engine.Cmd) (out engine.Output, err error) {
	if cmd.Dir != "" || len(cmd.Env) > 0 || cmd.Become != nil || cmd.Shell != "" {
		return out, errNeedsPOSIX
	}
	line := cmd.Script
	if cmd.Functions != "" {
		line = cmd.Functions + "\n" + line
	}
	if line == "" {
		line = Join(cmd.Argv)
	}
	if err := p.Reserve(ctx); err != nil {
		return out, err
	}
	defer p.Release()
	began := time.Now()
	proc, err := p.spawn(ctx, line, false)
	if err != nil {
		return out, err
	}
	defer proc.Close()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var mu sync.Mutex
	stdout := newCapture(&mu, cmd.Keep, cmd.Stdout, stop)
	stderr := newCapture(&mu, cmd.Keep, cmd.Stderr, stop)
	go func() {
		if cmd.Stdin != nil {
			io.Copy(proc.Stdin, cmd.Stdin)
		}
		proc.Stdin.Close()
	}()
	done := make(chan error, 1)
	go func() {
		var wg sync.WaitGroup
		wg.Go(func() { io.Copy(stdout, proc.Stdout) })
		wg.Go(func() { io.Copy(stderr, proc.Stderr) })
		wg.Wait()
		done <- proc.Wait()
	}()
	select {
	case err = <-done:
	case <-ctx.Done():
		err = fmt.Errorf("the command was left behind: %w", causeOf(ctx))
	}
	var dropped int64
	out.Stdout, out.Dropped = stdout.close()
	out.Stderr, dropped = stderr.close()
	out.Dropped += dropped
	out.Elapsed = time.Since(began)
	var exit *engine.ExitError
	if errors.As(err, &exit) {
		out.Status = exit.Status
	}
	return out, err
}

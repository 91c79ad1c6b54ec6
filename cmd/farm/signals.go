package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// What a run says at the first and at the second Ctrl-C.
const (
	runInterrupted = "interrupted: terminate and shutdown still run; again to switch off"
	runSwitchesOff = "switching off; again to leave at once (then run: farm gc)"
)

// interrupts maps Ctrl-C (and SIGTERM, and the loss of the terminal) to contexts: the first ends soft, so that
// nothing new starts; the second ends hard, so that machines are switched off; the
// third leaves at once. first and second are what the user is told then.
func interrupts(ctx context.Context, say io.Writer, first, second string) (soft, hard context.Context, stop func()) {
	soft, endSoft := context.WithCancel(ctx)
	hard, endHard := context.WithCancel(ctx)
	signals := make(chan os.Signal, 3)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	// A reader that goes away (`farm run ... | head`) must not end the run.
	signal.Ignore(syscall.SIGPIPE)
	done := make(chan struct{})
	go func() {
		for n := 1; ; n++ {
			select {
			case <-done:
				return
			case <-signals:
			}
			switch n {
			case 1:
				fmt.Fprintln(say, "farm: "+first)
				endSoft()
			case 2:
				fmt.Fprintln(say, "farm: "+second)
				endSoft()
				endHard()
			default:
				os.Exit(exitInterrupted)
			}
		}
	}()
	return soft, hard, func() {
		signal.Stop(signals)
		close(done)
		endSoft()
		endHard()
	}
}

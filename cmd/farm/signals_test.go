package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"
)

func ended(t *testing.T, ctx context.Context, what string) {
	t.Helper()
	select {
	case <-ctx.Done():
	case <-time.After(10 * time.Second):
		t.Fatalf("%s has not ended", what)
	}
}

func TestInterruptsEndSoftThenHard(t *testing.T) {
	// Signals that come late must not end the test.
	signal.Ignore(syscall.SIGTERM)
	defer signal.Reset(syscall.SIGTERM)

	r, w := io.Pipe()
	said := make(chan string)
	go func() {
		text, _ := io.ReadAll(r)
		said <- string(text)
	}()
	soft, hard, stop := interrupts(context.Background(), w, runInterrupted, runSwitchesOff)
	interrupt := func() {
		if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	}
	interrupt()
	ended(t, soft, "the first context")
	if hard.Err() != nil {
		t.Fatal("one signal ended both contexts")
	}
	interrupt()
	ended(t, hard, "the second context")
	stop()
	w.Close()
	text := <-said
	for _, want := range []string{"again to switch off", "again to leave at once (then run: farm gc)"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in %q", want, text)
		}
	}
}

func TestInterruptsStopEndsBoth(t *testing.T) {
	soft, hard, stop := interrupts(context.Background(), io.Discard, runInterrupted, runSwitchesOff)
	if soft.Err() != nil || hard.Err() != nil {
		t.Fatal("ended at once")
	}
	stop()
	ended(t, soft, "the first context")
	ended(t, hard, "the second context")
}

package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestAskerTakesAnswers(t *testing.T) {
	var out strings.Builder
	a := newAsker(strings.NewReader("y\n\nNO\nmaybe\nYes\nc\n"), &out)
	for i, want := range []bool{true, false, false, false, true, true, true, true} {
		if got, err := a.ask(t.Context(), "install"); got != want || err != nil {
			t.Errorf("answer %d: %v, %v", i, got, err)
		}
	}
	if n := strings.Count(out.String(), `run task "install"? (N)o/(y)es/(c)ontinue: `); n != 6 {
		t.Errorf("asked %d times, want 6", n)
	}
}

func TestAskerEnds(t *testing.T) {
	a := newAsker(strings.NewReader("y"), io.Discard) // no newline at the end
	if got, err := a.ask(t.Context(), "x"); !got || err != nil {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := a.ask(t.Context(), "x"); err == nil || !strings.Contains(err.Error(), "nobody answers") {
		t.Errorf("at the end: %v", err)
	}
	in, w := io.Pipe()
	defer w.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := newAsker(in, io.Discard).ask(ctx, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("when farm is to end: %v", err)
	}
}

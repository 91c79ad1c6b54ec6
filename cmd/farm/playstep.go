package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"farm/engine"
)

// asker asks, task by task, what is to run. play.Run calls it for one task at a time.
type asker struct {
	in     *bufio.Reader
	out    io.Writer
	always bool // nothing is asked any more
}

func newAsker(in io.Reader, out io.Writer) *asker { return &asker{in: bufio.NewReader(in), out: out} }

// ask is play.Options.Step. Anything but yes and continue is no.
func (a *asker) ask(ctx context.Context, title string) (bool, error) {
	if a.always {
		return true, nil
	}
	fmt.Fprintf(a.out, "run task %q? (N)o/(y)es/(c)ontinue: ", engine.Printable(title))
	type answer struct {
		text string
		err  error
	}
	given := make(chan answer, 1)
	go func() { // a read of a terminal cannot be ended; when ctx does, farm does soon
		text, err := a.in.ReadString('\n')
		given <- answer{text, err}
	}()
	select {
	case <-ctx.Done():
		return false, context.Cause(ctx)
	case got := <-given:
		word := strings.ToLower(strings.TrimSpace(got.text))
		if word == "" && got.err != nil {
			if errors.Is(got.err, io.EOF) {
				return false, errors.New("--step: nobody answers: standard input has ended")
			}
			return false, fmt.Errorf("--step: %w", got.err)
		}
		a.always = word == "c" || word == "continue"
		return a.always || word == "y" || word == "yes", nil
	}
}

package shell

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"farm/engine"
)

// session is one running shell. One goroutine at a time uses it.
type session struct {
	proc     *Process
	out, err *framer // err is nil on a terminal: the frames come one after the other on out
	pid      int
	known    map[string]int // texts of functions that it has, by number
	spent    int64          // bytes of errors on a terminal, which lie in a file until the shell ends
}

// How long a shell may take to start, and a signalled command to end.
const (
	startTime = 60 * time.Second
	graceTime = 3 * time.Second
)

// maxSpent is how many bytes of errors a shell on a terminal may gather.
const maxSpent = 16 << 20

// open starts a shell as the user that b says; nil is the login user.
func open(ctx context.Context, spawn Spawn, b *engine.Become, stay bool) (*session, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, startTime, fmt.Errorf("no shell after %v", startTime))
	defer cancel()
	l := newLogin(b)
	l.stay = stay
	proc, err := spawn(ctx, l.line, l.pty)
	if err != nil {
		return nil, err
	}
	s := &session{proc: proc, out: newFramer(proc.Stdout)}
	if proc.Stderr != nil {
		s.err = newFramer(proc.Stderr)
	}
	l.send = func(text string) { io.WriteString(proc.Stdin, text) }
	done := make(chan error, 1)
	go func() { done <- s.hello(l) }()
	select {
	case err = <-done:
	case <-ctx.Done():
		err = fmt.Errorf("%w: %w", ctx.Err(), context.Cause(ctx))
		if l.refused() {
			err = l.explain(err)
		}
	case <-l.wrong:
		err = l.explain(io.EOF)
	}
	if err != nil {
		proc.Close()
		return nil, err
	}
	return s, nil
}

// hello sees the login through and teaches the shell its functions.
func (s *session) hello(l *login) error {
	token := newToken()
	errs := make(chan error, 1)
	if s.err != nil {
		go func() { _, err := s.err.next(token, &l.errText); errs <- err }()
	}
	fail := func(err error) error {
		if s.err != nil {
			<-errs
		}
		how := s.proc.Wait()
		if errors.Is(how, engine.ErrUnreachable) {
			return how
		}
		if how != nil {
			err = how
		}
		return l.explain(err)
	}
	if l.up != "" {
		if _, err := s.out.next(l.up, &l.outText); err != nil {
			return fail(err)
		}
	}
	l.pass()
	go l.send(preludeText(token, s.err == nil, l.stay))
	rec, err := s.out.next(token, &l.outText)
	if err != nil {
		return fail(err)
	}
	if s.err == nil {
		_, err = s.out.next(token, &l.outText)
	} else {
		err = <-errs
	}
	if err != nil {
		return fail(err)
	}
	if _, err := fmt.Sscanf(rec, " e h %d", &s.pid); err != nil {
		return fmt.Errorf("%w: it answered %q", ErrNotPOSIX, rec)
	}
	return nil
}

// ending is how a command ended, from its frames.
type ending struct {
	status int
	left   bool // something of it still runs
	err    error
}

// use says what a shell is good for after a command.
type use int

const (
	again use = iota // the next command
	spent            // nothing
	busy             // nothing, but descendants of the command hold its output
)

// run runs cmd. When ctx ends, signal is
// called with TERM and then KILL, until the command is over or the shell is given up.
func (s *session) run(ctx context.Context, cmd engine.Cmd, signal func(string) error) (out engine.Output, after use, err error) {
	began := time.Now()
	token := newToken()
	data, stream, err := splitInput(cmd.Stdin)
	if err != nil {
		return out, again, err
	}
	s.out.forget()
	if s.err != nil {
		s.err.forget()
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var mu sync.Mutex
	stdout := newCapture(&mu, cmd.Keep, cmd.Stdout, stop)
	stderr := newCapture(&mu, cmd.Keep, cmd.Stderr, stop)
	before, cmd := s.define(cmd)
	text := callText(token, cmd, data, stream != nil)
	if stream != nil && s.err == nil {
		text, stream, err = countedInput(token, cmd, stream)
		if err != nil {
			return out, spent, err // it does not have the functions that it is taken to know
		}
	}
	text = before + text
	done := make(chan ending, 1)
	go func() { done <- s.converse(token, text, stream, stdout, stderr) }()

	exited := s.proc.Exited
	if stream != nil {
		exited = nil // such a shell ends as soon as the command has, and its last output may still be on the way
	}
	var e ending
	select {
	case e = <-done:
	case <-exited:
		e = s.lastWords(done)
	case <-ctx.Done():
		e = s.interrupt(done, signal)
		err = fmt.Errorf("the command was ended: %w", causeOf(ctx))
	}
	out.Stdout, out.Dropped = stdout.close()
	var dropped int64
	out.Stderr, dropped = stderr.close()
	out.Dropped += dropped
	out.Status = e.status
	out.Elapsed = time.Since(began)
	if s.err == nil {
		s.spent += int64(len(out.Stderr)) + dropped
	}
	switch {
	case e.err != nil || stream != nil || s.spent >= maxSpent:
		after = spent
	case e.left:
		after = busy
	}
	switch {
	case err != nil:
	case e.err != nil:
		err = e.err
	case e.status != 0:
		err = &engine.ExitError{Status: e.status}
	}
	return out, after, err
}

// causeOf is ctx's error, with its cause where that says more.
func causeOf(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause == nil || errors.Is(err, cause) {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// interrupt ends the command, with the shell if it must.
func (s *session) interrupt(done <-chan ending, signal func(string) error) ending {
	for _, name := range []string{"USR1", "USR2"} {
		if err := signal(name); err != nil {
			break
		}
		t := time.NewTimer(graceTime)
		select {
		case e := <-done:
			t.Stop()
			return e
		case <-t.C:
		}
	}
	s.proc.Close()
	return ending{err: ErrShellDied}
}

// lastWords waits a moment for the output of a shell that has ended: what it started may
// hold the streams for long.
func (s *session) lastWords(done <-chan ending) ending {
	t := time.NewTimer(time.Second)
	defer t.Stop()
	select {
	case e := <-done:
		return e
	case <-t.C:
		s.proc.Close()
		return ending{err: s.death(io.EOF)}
	}
}

// converse sends the call, passes the input on and reads the output to its end.
func (s *session) converse(token, text string, stream io.Reader, stdout, stderr io.Writer) ending {
	errs := make(chan error, 1)
	if s.err != nil {
		go func() { _, err := s.err.next(token, stderr); errs <- err }()
	}
	sent := make(chan error, 1)
	go func() { _, err := io.WriteString(s.proc.Stdin, text); sent <- err }()
	rec, err := s.out.next(token, stdout)
	if err == nil && rec == " r" {
		go func() {
			<-sent
			io.Copy(s.proc.Stdin, stream) // a command need not read its input: no error
			if s.err != nil {
				s.proc.Stdin.Close()
			}
		}()
		rec, err = s.out.next(token, stdout)
	}
	if err == nil && s.err == nil {
		_, err = s.out.next(token, stderr)
	} else if s.err != nil {
		if err2 := <-errs; err == nil {
			err = err2
		}
	}
	if err != nil {
		return ending{err: s.death(err)}
	}
	e := ending{}
	e.status, e.left, err = parseEnd(rec)
	e.err = err
	return e
}

// parseEnd reads " e STATUS LEFT".
func parseEnd(rec string) (status int, left bool, err error) {
	f := strings.Fields(rec)
	if len(f) != 3 || f[0] != "e" {
		return 0, false, fmt.Errorf("the shell sent a broken frame: %q", rec)
	}
	status, err = strconv.Atoi(f[1])
	if status > 256 { // ksh: 256+n when signal n ended the command
		status -= 128
	}
	return status, f[2] == "1", err
}

// death says why the shell is gone.
func (s *session) death(cause error) error {
	if !errors.Is(cause, io.EOF) && !errors.Is(cause, io.ErrClosedPipe) {
		s.proc.Close()
	}
	how := s.proc.Wait()
	switch {
	case errors.Is(how, engine.ErrUnreachable):
		return how
	case how == nil:
		return ErrShellDied
	}
	return fmt.Errorf("%w: %w", ErrShellDied, noExit{how})
}

// noExit hides an ExitError: it is the shell's, not the command's.
type noExit struct{ err error }

func (e noExit) Error() string { return e.err.Error() }

// inlineInput is the longest input that is sent as part of the script.
const inlineInput = 16 << 10

// splitInput reads short input whose length is known; other input is streamed.
func splitInput(r io.Reader) (data []byte, stream io.Reader, err error) {
	l, ok := r.(interface{ Len() int })
	switch {
	case r == nil || ok && l.Len() == 0:
		return nil, nil, nil
	case ok && l.Len() <= inlineInput:
		data, err = io.ReadAll(r)
		return data, nil, err
	}
	return nil, r, nil
}

// maxCounted bounds the input that is held in memory for a shell on a terminal.
const maxCounted = 256 << 20

// countedInput makes the call for a terminal, which cannot say that input is over: the
// input's length is told beforehand.
func countedInput(token string, cmd engine.Cmd, stream io.Reader) (string, io.Reader, error) {
	data, err := io.ReadAll(io.LimitReader(stream, maxCounted+1))
	if err != nil {
		return "", nil, fmt.Errorf("read the command's input: %w", err)
	}
	if len(data) > maxCounted {
		return "", nil, fmt.Errorf("input of more than %d MiB cannot be passed through a terminal", maxCounted>>20)
	}
	body, _ := bodyText(cmd)
	text := "set --\n" + settingText(cmd) + "head -c " + strconv.Itoa(len(data)) + " | ( eval " + alwaysQuote(body) + " )"
	return "farm_run " + token + " s " + alwaysQuote(text) + "\n", bytes.NewReader(data), nil
}

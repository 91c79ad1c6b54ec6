package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"farm/engine"
	"farm/engine/report"
	"farm/engine/runner"
	"farm/engine/store"
)

// eventsName is the file in a run's folder that holds its events.
const eventsName = "events.ndjson"

func (s *session) sinks() ([]engine.Sink, error) {
	events, err := os.Create(filepath.Join(s.dir, eventsName))
	if err != nil {
		return nil, err
	}
	sinks := []engine.Sink{
		report.NewNDJSON(events), s.store.Sink(), report.NewTaskLog(s.dir, runner.FileName), report.NewPlain(s.err, s.verbose),
	}
	return append(sinks, s.reports...), nil
}

// openReports opens the files that the user named, before anything is started.
func (s *session) openReports() error {
	if s.flags.junit != "" && filepath.Clean(s.flags.junit) == filepath.Clean(s.flags.ndjson) {
		return &usageError{fmt.Errorf("--junit and --ndjson are the same file, %q", s.flags.junit)}
	}
	if s.flags.ndjson == "-" {
		s.reports = append(s.reports, report.NewNDJSON(unclosed{s.out}))
	} else if s.flags.ndjson != "" {
		f, err := os.Create(s.flags.ndjson)
		if err != nil {
			return &usageError{fmt.Errorf("--ndjson: %w", err)}
		}
		s.reports = append(s.reports, report.NewNDJSON(f))
	}
	if s.flags.junit != "" {
		f, err := os.Create(s.flags.junit)
		if err != nil {
			return &usageError{fmt.Errorf("--junit: %w", err)}
		}
		s.reports = append(s.reports, report.NewJUnit(f))
	}
	return nil
}

// finish prints the summary and turns the verdict into an exit status.
func (s *session) finish() error {
	out := s.out
	if s.flags.ndjson == "-" {
		out = s.err
	}
	status, err := s.conclude(out)
	if err != nil {
		return err
	}
	return s.exit(status)
}

// conclude ends the run's reports and its record, and prints the summary on out; nil = nowhere.
func (s *session) conclude(out io.Writer) (engine.Status, error) {
	if err := s.bus.Close(); err != nil {
		fmt.Fprintf(s.err, "farm: a report is not complete: %v\n", err)
	}
	var status engine.Status
	var err error
	s.bus.State(func(state *engine.State) {
		status = state.Status
		if out == nil {
			return
		}
		fmt.Fprintln(out)
		err = report.Summary{
			State: state, Dir: s.dir, Again: s.again(), Retry: s.takeUp, Kept: s.keptUntil(), Folder: runner.FileName,
		}.Write(out)
	})
	if errors.Is(err, syscall.EPIPE) {
		err = nil // nobody reads it; the verdict stands
	}
	if e := s.store.Finish(s.id, status); err == nil {
		err = e
	}
	return status, err
}

// exit is the verdict of the last run as an exit status; nil = all passed.
func (s *session) exit(status engine.Status) error {
	switch status {
	case engine.OK:
		return nil
	case engine.Failed:
		return &exitError{exitTestFailed}
	case engine.Interrupted:
		return &exitError{exitInterrupted}
	}
	return &exitError{s.noVerdict()}
}

// noVerdict is 65 where every VM without a verdict is the user's fault, else 2.
func (s *session) noVerdict() int {
	exit := exitBadInput
	s.bus.State(func(state *engine.State) {
		for _, vm := range state.VMs {
			if vm.Status == engine.NoVerdict && vm.Fault != engine.UserFault {
				exit = exitNoVerdict
			}
		}
	})
	return exit
}

// again is the command that repeats the run for one VM, secrets masked.
func (s *session) again() string {
	args := []string{"farm", "run", quote(s.path)}
	for _, v := range s.flags.vars {
		args = append(args, "--vars", quote(v))
	}
	for _, e := range s.flags.extra {
		args = append(args, "-e", quote(s.mask.Text(e)))
	}
	return strings.ReplaceAll(strings.Join(args, " "), "%", "%%") + " -l %s"
}

// takeUp is the command that takes a VM of the run up at a phase that failed.
func (s *session) takeUp(vm, phase string) string {
	text := fmt.Sprintf("farm retry %s %s", s.id, quote(vm))
	if slices.Contains(enterable, phase) {
		text += fmt.Sprintf("    (from %s; farm shell %s enters the state before it)", phase, quote(vm))
	}
	return text
}

// quote quotes text for a shell where that is needed.
func quote(text string) string {
	if text != "" && strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./=@:,+") == "" {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// keptUntil is when the machines of this run that were kept will be ended, by VM.
func (s *session) keptUntil() map[string]time.Time {
	kept, err := keptMachines(context.Background(), s.store)
	if err != nil {
		return nil
	}
	until := map[string]time.Time{}
	for _, m := range kept {
		if m.Run == s.id && m.State == store.Kept {
			until[m.VM] = m.KeepUntil
		}
	}
	return until
}

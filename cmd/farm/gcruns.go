package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"farm/engine/store"
)

// lapse is after which the things of another controller or system that shares files with
// this one count as left for good, where nothing says when their time is over or that has
// passed by as much: a lock that it holds may not show here.
const lapse = 7 * 24 * time.Hour

// runState is what is known of a run.
type runState struct {
	alive     bool // it goes on, or cannot be told to be over
	elsewhere bool // it is of another controller that shares the records with this one
}

// lockName is the file in a run's folder that its process holds a lock on; it says on which
// controller that is.
const lockName = "lock"

// lockRun marks a run as alive until farm ends, however it ends.
func lockRun(dir string) (unlock func(), err error) {
	file := filepath.Join(dir, lockName)
	unlock, err = lockFile(file)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(file, []byte(controller()), 0o600); err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

// controller tells this machine from others, also from those of the same name.
func controller() string {
	id, _ := os.ReadFile("/etc/machine-id") // not everywhere; then the name has to do
	host, _ := os.Hostname()
	return strings.TrimSpace(string(id)) + " " + host
}

// knownRuns are all runs of the store. A process that is there holds its run's lock. One of
// another controller is judged by what the run itself recorded, and by time.
func knownRuns(ctx context.Context, s *store.Store, now time.Time) (map[string]runState, error) {
	all, err := s.Runs(ctx, 0)
	if err != nil {
		return nil, err
	}
	runs := map[string]runState{}
	for _, r := range all {
		held, by := locked(filepath.Join(r.Dir, lockName))
		state := runState{elsewhere: by != "" && by != controller()}
		state.alive = r.Ended.IsZero() && (held || state.elsewhere && now.Before(r.Started.Add(lapse)))
		runs[r.ID] = state
	}
	return runs, nil
}

// locked reports whether a process holds the lock of a run, and on which controller, "" where
// that is not said. Where it cannot be told the run counts as alive: its machines are not
// ours to end.
func locked(path string) (held bool, by string) {
	f, err := os.Open(path)
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist), ""
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 1<<10))
	if err != nil {
		return true, ""
	}
	return syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) != nil, string(text)
}

// controllerOf says on which controller a run was, for people.
func (a *app) controllerOf(ctx context.Context, s *store.Store, run string) (name string, elsewhere bool, err error) {
	all, err := s.Runs(ctx, 0)
	if err != nil {
		return "", false, fmt.Errorf("look up run %q: %w", run, err)
	}
	for _, r := range all {
		if r.ID == run {
			_, by := locked(filepath.Join(r.Dir, lockName))
			return by[strings.LastIndexByte(by, ' ')+1:], by != "" && by != controller(), nil
		}
	}
	return "", false, nil
}

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"farm/engine"
	"farm/engine/runner"
	"farm/engine/store"
)

func newLogsCommand(a *app) *cobra.Command {
	var run string
	var console, asJSON bool
	cmd := &cobra.Command{
		Use:   "logs ID",
		Short: "Print what a VM's tasks did and printed",
		Long: "Print the task log of a VM's last run, its serial console, or its events as NDJSON.\n\n" +
			"ID is a VM's id (platform/target), as in the summary of the run.",
		Example: "  farm logs debian_12/arm64\n  farm logs debian_12/arm64 --console",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if console && asJSON {
				return &usageError{errors.New("--console and --json: one of the two")}
			}
			dir, err := a.vmDir(cmd.Context(), args[0], run)
			if err != nil {
				return err
			}
			if asJSON {
				return a.printEvents(filepath.Join(filepath.Dir(dir), eventsName), args[0])
			}
			name := "tasks.log"
			if console {
				name = "console.log"
			}
			f, err := os.Open(filepath.Join(dir, name))
			if errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("%s has no %s: it did not come that far; see the other files in %s", args[0], name, dir)
			} else if err != nil {
				return err
			}
			defer f.Close()
			_, err = io.Copy(a.out, f)
			return err
		},
	}
	cmd.Flags().StringVar(&run, "run", "", "`id` of the run; default the last one that had this VM")
	cmd.Flags().BoolVar(&console, "console", false, "print the serial console instead")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the VM's events instead, one JSON object a line")
	return cmd
}

// printEvents prints the lines of a run's events that are of a VM. The last line of a run
// that goes on may still be in the making; it is left out.
func (a *app) printEvents(file, vm string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	for r := bufio.NewReader(f); ; {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		var e engine.Event
		if err := json.Unmarshal(line, &e); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if e.VM != vm {
			continue
		}
		if _, err := a.out.Write(line); err != nil {
			return err
		}
	}
}

// vmDir finds the folder of a VM's last run that was no mere visit, or of the given run.
func (a *app) vmDir(ctx context.Context, vm, run string) (string, error) {
	s, err := a.openStore()
	if err != nil {
		return "", err
	}
	defer s.Close()
	runs, err := s.Runs(ctx, 0)
	if err != nil {
		return "", err
	}
	for _, r := range runs {
		if run != "" && r.ID != run || run == "" && r.Request != nil && r.Request.Visit {
			continue
		}
		name := runner.FileName(vm)
		if name == "" {
			break // it would be the folder of the run itself
		}
		dir := filepath.Join(r.Dir, name)
		if st, err := os.Stat(dir); err == nil && st.IsDir() {
			return dir, nil
		}
	}
	return "", noSuchVM(ctx, s, vm, run, runs)
}

func noSuchVM(ctx context.Context, s *store.Store, vm, run string, runs []store.Run) error {
	where := "any run"
	if run != "" {
		where = "run " + run
	}
	hint := "no run has been made yet"
	if len(runs) > 0 {
		ids, err := s.VMs(ctx, runs[0].ID)
		if err != nil {
			return err
		}
		hint = fmt.Sprintf("the last run, %s, has: %s", runs[0].ID, strings.Join(ids, ", "))
		if len(ids) == 0 {
			hint = fmt.Sprintf("the last run, %s, came to no VM", runs[0].ID)
		}
	}
	return &usageError{fmt.Errorf("no VM %q in %s (%s)", vm, where, hint)}
}

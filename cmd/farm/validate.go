package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"farm/inventory/source"
)

func newValidateCommand(a *app) *cobra.Command {
	var flags inventoryFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "validate INVENTORY",
		Short: "Check an inventory, its definitions and its task files without starting anything",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			count, err := a.validate(cmd, &flags, args[0])
			if !asJSON {
				if err == nil {
					_, err = fmt.Fprintf(a.out, "%s: valid, %d %s\n", args[0], count, plural(count, "VM"))
				}
				return err
			}
			report := validation{Valid: err == nil, VMs: count, Errors: []finding{}}
			for _, one := range source.Flatten(err) {
				report.Errors = append(report.Errors, findingOf(one))
			}
			text, encErr := encode(report)
			if encErr != nil {
				return encErr
			}
			if _, encErr = a.out.Write(text); encErr != nil {
				return encErr
			}
			if err != nil {
				return &exitError{exitStatus(err)}
			}
			return nil
		},
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print what was found as JSON")
	return cmd
}

// validation is what `farm validate --json` prints.
type validation struct {
	Valid  bool      `json:"valid"`
	VMs    int       `json:"vms"`
	Errors []finding `json:"errors"`
}

type finding struct {
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Col     int    `json:"col,omitempty"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

func findingOf(err error) finding {
	bad, ok := err.(*source.Error)
	if !ok {
		f := finding{Message: err.Error()}
		if errors.As(err, &bad) && strings.HasPrefix(f.Message, bad.Pos.String()+": ") { // with a fault around it
			f.File, f.Line, f.Col = bad.Pos.File, bad.Pos.Line, bad.Pos.Col
			f.Message = strings.TrimPrefix(f.Message, bad.Pos.String()+": ")
		}
		return f
	}
	bare := *bad
	bare.Pos, bare.Hint = source.Pos{}, ""
	return finding{bad.Pos.File, bad.Pos.Line, bad.Pos.Col, bare.Error(), bad.Hint}
}

// validate checks everything that can be checked here and counts the VMs.
func (a *app) validate(cmd *cobra.Command, flags *inventoryFlags, path string) (int, error) {
	inv, err := flags.load(path)
	if inv == nil {
		return 0, err
	}
	vms, expandErr := inv.Expand(cmd.Context(), a.expandOptions(inv))
	later, wrong := a.check(inv, vms)
	if err := source.Join(append(later, err, expandErr, wrong)...); err != nil {
		right := slices.DeleteFunc(vms, inv.Faulty)
		return len(right), err
	}
	if len(vms) == 0 {
		return 0, fmt.Errorf("%w: the inventory asks for no VM", errNothingSelected)
	}
	return len(vms), nil
}

// plural is a word for n things.
func plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}

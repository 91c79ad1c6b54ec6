package main

import (
	"strings"

	"github.com/spf13/cobra"

	"farm/inventory"
)

// inventoryFlags are the options of every command that reads an inventory.
type inventoryFlags struct {
	vars, extra []string
	limit       string
	playbooks   string // the folder of those that are run
}

func (f *inventoryFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.vars, "vars", nil, "`file` of variables, such as a project's; later ones win")
	cmd.Flags().StringArrayVarP(&f.extra, "extra-vars", "e", nil, "variable `k=v`, JSON, or @FILE; over all others")
}

func (f *inventoryFlags) addLimit(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.limit, "limit", "l", "", "`pattern` of VMs: ids, names, groups, as Ansible's host patterns")
}

func (f *inventoryFlags) options() inventory.Options {
	return inventory.Options{Vars: f.vars, Extra: f.extra, Playbooks: f.playbooks}
}

// check finds what is wrong in -e itself; faults of a file named there are the file's.
func (f *inventoryFlags) check() error {
	for _, text := range f.extra {
		if strings.HasPrefix(text, "@") {
			continue
		}
		if _, err := inventory.ParseExtra(text); err != nil {
			return &usageError{err}
		}
	}
	return nil
}

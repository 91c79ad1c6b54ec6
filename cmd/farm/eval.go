package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"farm/inventory"
	"farm/inventory/expr"
	"farm/inventory/source"
	"farm/inventory/value"
)

func newEvalCommand(a *app) *cobra.Command {
	var flags inventoryFlags
	var host string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "eval [INVENTORY] EXPR",
		Short: "Evaluate an expression or template and print the value as JSON",
		Long: `Evaluate an expression, or a template if the text has {{ }} or {% %}, with the
variables of a host or VM (its id or name), and print the value as JSON.`,
		Example: `  farm eval -e a=1 'a | int + 1'
  farm eval inventory.yaml --host debian_12/amd64 'vm.metadata.name'`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			vars, err := a.evalVars(cmd, &flags, args[:len(args)-1], host)
			if err != nil {
				return err
			}
			text := args[len(args)-1]
			pos := source.Pos{File: "EXPR", Line: 1, Col: 1}
			var v any
			if value.IsTemplate(text) {
				v, err = vars.Eval(value.Template{Text: text, Pos: pos})
			} else {
				v, err = vars.Expression(text, pos)
			}
			if err != nil {
				return err
			}
			out, err := value.JSON(value.From(v))
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.out, "%s\n", out)
			return err
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&host, "host", "", "`host` or VM whose variables are seen; default localhost")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, which is always so")
	return cmd
}

// evalVars is what an expression sees: a host's or VM's variables, or only -e without an inventory.
func (a *app) evalVars(cmd *cobra.Command, flags *inventoryFlags, args []string, host string) (*expr.Vars, error) {
	if len(args) == 0 {
		if host != "" {
			return nil, &usageError{fmt.Errorf("--host needs an inventory")}
		}
		if err := flags.check(); err != nil {
			return nil, err
		}
		extra, err := inventory.ReadExtra(flags.options())
		if err != nil {
			return nil, err
		}
		lookups := expr.HostOptions()
		lookups.ReadFile = source.ReadText // bounded
		return expr.New(lookups).Vars(extra), nil
	}
	inv, err := flags.load(args[0])
	if err != nil {
		return nil, err
	}
	if host == "" {
		host = "localhost"
	}
	if inv.HasHost(host) {
		return inv.HostVars(host), nil
	}
	vms, err := inv.Expand(cmd.Context(), a.expandOptions(inv))
	if err != nil {
		return nil, err
	}
	names := inv.HostNames()
	for _, vm := range vms {
		if vm.ID == host || vm.Name == host {
			return inv.VMVars(vm), nil
		}
		names = append(names, vm.ID, vm.Name)
	}
	return nil, &usageError{fmt.Errorf("no host or VM %q in %s%s", host, args[0], bracket(source.DidYouMean(host, names)))}
}

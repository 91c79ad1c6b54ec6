package main

import (
	"bufio"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"farm/engine/runner"
	"farm/inventory"
	"farm/inventory/value"
)

// listedVM is a VM as `farm list --json` prints it.
type listedVM struct {
	ID       string   `json:"id"`
	Platform string   `json:"platform"`
	Target   string   `json:"target"`
	Name     string   `json:"name"`
	Arch     string   `json:"arch"`
	Groups   []string `json:"groups"`
	Vars     any      `json:"vars"`
	Host     string   `json:"host,omitempty"`
}

func newListCommand(a *app) *cobra.Command {
	var flags inventoryFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list INVENTORY",
		Short: "List the VMs that an inventory asks for",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			inv, err := flags.load(args[0])
			if err != nil {
				return err
			}
			vms, err := a.expand(cmd.Context(), inv, flags.limit)
			if err != nil {
				return err
			}
			if asJSON {
				return a.listJSON(vms)
			}
			return a.listTable(vms)
		},
	}
	flags.add(cmd)
	flags.addLimit(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	return cmd
}

// listJSON writes one VM a line. VMs share most of their variables, so each
// distinct set is masked and encoded once.
func (a *app) listJSON(vms []inventory.VM) error {
	w := bufio.NewWriter(a.out)
	masked := map[*value.Dict]rawJSON{}
	for i, vm := range vms {
		vars, ok := masked[vm.Vars]
		if !ok {
			secrets := &runner.Mask{}
			secrets.AddValue("", vm.Vars)
			text, err := encode(secrets.Value(mask(vm.Vars)))
			if err != nil {
				return err
			}
			vars = text
			masked[vm.Vars] = vars
		}
		text, err := encode(listedVM{vm.ID, vm.Platform, vm.Target, vm.Name, vm.Arch, vm.Groups, vars, vm.Host})
		if err != nil {
			return err
		}
		lead := ",\n"
		if i == 0 {
			lead = "["
		}
		w.WriteString(lead)
		w.Write(text[:len(text)-1])
	}
	w.WriteString("]\n")
	return w.Flush()
}

// rawJSON is text that is JSON already.
type rawJSON []byte

// MarshalJSON returns the text.
func (r rawJSON) MarshalJSON() ([]byte, error) { return r, nil }

func (a *app) listTable(vms []inventory.VM) error {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tARCH\tVCPUS\tMEMORY\tHOST\tNAME")
	for _, vm := range vms {
		host := vm.Host
		if host == "" {
			host = "-"
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%d MiB\t%s\t%s\n", vm.ID, vm.Arch, vm.Def.VCPUs, vm.Def.RAMMiB, host, vm.Name)
	}
	return w.Flush()
}

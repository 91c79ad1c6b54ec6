package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "write docs/reference/commands.md")

func TestCommandPageIsCurrent(t *testing.T) {
	const page = "../../docs/reference/commands.md"
	want := commandPage((&app{}).rootCommand())
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(have)); diff != "" {
		t.Errorf("%s is old; `make docs` renews it (-code +page):\n%s", page, diff)
	}
}

// commandPage is the help of every command, in the order of `farm --help`.
func commandPage(root *cobra.Command) string {
	var b bytes.Buffer
	b.WriteString("# Commands\n\nEvery long option `--some-option` may also be given as the variable `FARM_SOME_OPTION`; the command line wins.\n" +
		"Results go to standard output, everything else to standard error.\n")
	addCommand(&b, root)
	return b.String()
}

func addCommand(b *bytes.Buffer, cmd *cobra.Command) {
	var help bytes.Buffer
	cmd.InitDefaultHelpFlag()
	cmd.SetOut(&help)
	if err := cmd.Help(); err != nil {
		panic(err) // a buffer takes everything
	}
	fmt.Fprintf(b, "\n## %s\n\n```text\n%s\n```\n", cmd.CommandPath(), strings.TrimSpace(help.String()))
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() && sub.Name() != "completion" && sub.Name() != "help" {
			addCommand(b, sub)
		}
	}
}

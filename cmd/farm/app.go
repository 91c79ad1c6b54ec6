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
	"sync"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// app is what every subcommand shares: the streams, the environment and the global flags.
type app struct {
	in     io.Reader
	out    io.Writer // results
	err    io.Writer // progress and complaints
	getenv func(string) string

	verbose int
	log     hclog.Logger
	began   bool // the command line made sense; a command runs
}

// warned holds what warnOnce has said in this process.
var warned sync.Map

// warnOnce tells the user of something that several parts may meet. Safe for concurrent use.
func (a *app) warnOnce(text string) {
	if _, before := warned.LoadOrStore(text, true); !before {
		fmt.Fprintln(a.err, "warning: "+text)
	}
}

// main runs one command line and returns the exit status.
func (a *app) main(ctx context.Context, args []string) int {
	root := a.rootCommand()
	root.SetArgs(args)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		i := slices.IndexFunc(args, func(arg string) bool { return !strings.HasPrefix(arg, "-") })
		if cmd == root && i >= 0 { // where there is no such command its options are taken for those of all
			return unknownCommand(root, args[i])
		}
		return badFlag(cmd, err)
	})
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil && !a.began {
		err = &usageError{err}
	}
	var quiet *exitError
	if err != nil && !errors.As(err, &quiet) {
		a.complain(cmd, err)
	}
	return exitStatus(err)
}

// complain prints err: positions first on their lines, everything else after "farm: ".
func (a *app) complain(cmd *cobra.Command, err error) {
	text := err.Error()
	var usage *usageError
	isUsage := errors.As(err, &usage)
	if isUserFile(err) && !isUsage {
		fmt.Fprintln(a.err, text)
		return
	}
	fmt.Fprintf(a.err, "farm: %s\n", text)
	if isUsage {
		fmt.Fprintf(a.err, "See '%s --help'.\n", cmd.CommandPath())
	}
}

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "farm",
		Short:         "Build and test a project in virtual machines of many systems and architectures",
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       version,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			a.log = a.logger()
			return a.flagsFromEnv(cmd)
		},
	}
	root.PersistentFlags().CountVarP(&a.verbose, "verbose", "v", "log what farm itself does on stderr; -vv for more")
	root.SetVersionTemplate("farm {{.Version}}\n")
	cobra.EnableCommandSorting = false // they are in an order that helps
	for _, make := range commands {
		root.AddCommand(make(a))
	}
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	a.guard(root)
	return root
}

// commands are the subcommands in the order of `farm --help`.
var commands = []func(*app) *cobra.Command{
	newRunCommand,
	newPlayCommand,
	newPlanCommand,
	newListCommand,
	newValidateCommand,
	newInventoryCommand,
	newEvalCommand,
	newCatalogCommand,
	newDocCommand,
	newSSHCommand,
	newShellCommand,
	newRetryCommand,
	newLogsCommand,
	newDownCommand,
	newCacheCommand,
	newGCCommand,
	newVersionCommand,
}

// flagsFromEnv takes FARM_LONG_OPTION as the value of --long-option where it was not given.
func (a *app) flagsFromEnv(cmd *cobra.Command) error {
	var bad error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Changed || f.Name == "help" || f.Name == "version" || f.Name == "all" { // what ends everything is said each time
			return
		}
		name := "FARM_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		if v := a.getenv(name); v != "" && bad == nil {
			if err := f.Value.Set(v); err != nil {
				bad = badValue(name, v, f)
			}
			f.Changed = true
		}
	})
	return bad
}

func (a *app) logger() hclog.Logger {
	level := hclog.Warn
	switch {
	case a.verbose == 1:
		level = hclog.Info
	case a.verbose > 1:
		level = hclog.Debug
	}
	return hclog.New(&hclog.LoggerOptions{Name: "farm", Level: level, Output: a.err})
}

// home is farm's own folder on the controller: $FARM_HOME, else $XDG_STATE_HOME/farm,
// else ~/.local/state/farm.
func (a *app) home() (string, error) {
	if dir := a.getenv("FARM_HOME"); dir != "" {
		return filepath.Abs(dir)
	}
	if dir := a.getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "farm"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(home, ".local", "state", "farm"), nil
}

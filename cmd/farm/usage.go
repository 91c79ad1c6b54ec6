package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"farm/inventory/source"
)

// guard has cmd and the commands below it tell of a command line in the words of this
// program. Whatever goes wrong before a command itself runs is a usageError.
func (a *app) guard(cmd *cobra.Command) {
	check := cmd.Args
	cmd.Args = func(c *cobra.Command, args []string) error {
		if c.HasSubCommands() && len(args) > 0 {
			return unknownCommand(c, args[0])
		}
		if check != nil && check(c, args) != nil {
			return fmt.Errorf("want `%s`, got %s", strings.TrimSuffix(c.UseLine(), " [flags]"), counted(args))
		}
		return nil
	}
	switch run := cmd.RunE; {
	case run != nil:
		cmd.RunE = func(c *cobra.Command, args []string) error {
			a.began = true
			return run(c, args)
		}
	case cmd.Name() == "help":
		cmd.Args = func(c *cobra.Command, args []string) error {
			found, rest, err := c.Root().Find(args)
			if err == nil && len(rest) > 0 {
				err = unknownCommand(found, rest[0])
			}
			return err
		}
	case cmd.Run == nil:
		cmd.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	}
	for _, sub := range cmd.Commands() {
		a.guard(sub)
	}
}

func unknownCommand(cmd *cobra.Command, name string) error {
	var known []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			known = append(known, sub.Name())
		}
	}
	hint := source.DidYouMean(name, known)
	if hint == "" {
		hint = "there is " + strings.Join(known, ", ")
	}
	path := strings.TrimPrefix(cmd.CommandPath()+" "+name, cmd.Root().Name()+" ")
	return fmt.Errorf("unknown command %q (%s)", path, hint)
}

// counted says how many arguments there are, and which.
func counted(args []string) string {
	switch len(args) {
	case 0:
		return "no argument"
	case 1:
		return fmt.Sprintf("1 argument: %q", args[0])
	}
	return fmt.Sprintf("%d arguments: %q", len(args), args)
}

// badFlag says what is wrong with an option and what would be right.
func badFlag(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() == "":
		var known []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
		name := unknown.GetSpecifiedName()
		if near := source.Nearest(name, known); near != "" {
			return fmt.Errorf("unknown option --%s (did you mean --%s?)", name, near)
		}
		return fmt.Errorf("unknown option --%s", name)
	case errors.As(err, &unknown):
		return fmt.Errorf("unknown option -%s", unknown.GetSpecifiedName())
	case errors.As(err, &invalid):
		return badValue("--"+invalid.GetFlag().Name, invalid.GetValue(), invalid.GetFlag())
	}
	return err
}

// exclusive is the error for more than one of the options of these names; nil where one or none is given.
func exclusive(cmd *cobra.Command, names ...string) error {
	var given []string
	for _, name := range names {
		if cmd.Flags().Changed(name) {
			given = append(given, "--"+name)
		}
	}
	if len(given) < 2 {
		return nil
	}
	return &usageError{fmt.Errorf("%s exclude each other: give one of them", strings.Join(given, " and "))}
}

// badValue says what an option's value has to be; name is where the value came from.
func badValue(name, text string, f *pflag.Flag) error {
	return fmt.Errorf("%s is %q, not %s", name, text, valueKinds[f.Value.Type()])
}

// valueKinds are the types of options, as pflag calls them and as people do.
var valueKinds = map[string]string{
	"bool":        "true or false",
	"count":       "a whole number",
	"int":         "a whole number",
	"duration":    `a time such as "90s" or "1h30m"`,
	"stringSlice": `a list such as "a,b"`,
}

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"farm/engine"
	"farm/engine/runner"
	"farm/engine/ssh"
	"farm/phases"
)

// shellFlags are the options of `farm shell`.
type shellFlags struct {
	inventoryFlags
	at, run string
	keep    string
	keepFor time.Duration
	given   bool // --vars or -e is on the command line
}

func newShellCommand(a *app) *cobra.Command {
	f := &shellFlags{}
	cmd := &cobra.Command{
		Use:   "shell ID [INVENTORY] [-- COMMAND...]",
		Short: "Open a shell in the state of a VM before a phase, though the VM is gone",
		Long: "Boot a new machine from the state that a VM of an earlier run was in before a phase, open a shell in it or run\n" +
			"COMMAND, and remove the machine afterwards. The state is that of the nearest layer that is kept; phases between it and\n" +
			"the phase run first, and farm says so. What the shell does is lost with the machine; no layer is changed.\n\n" +
			"The inventory and its options are those of the run. With INVENTORY (and --vars, -e) there need not have been a run:\n" +
			"the state is that which farm run INVENTORY would start from now.\n\n" +
			"Exit status: that of the shell or COMMAND; else 1 a phase before failed, 2 the state is lost or cannot be reached,\n" +
			"3 the inventory has the VM no more, 64 usage, 65 bad inventory or task file, 130 interrupted.",
		Example: "  farm shell debian_12/arm64\n" +
			"  farm shell debian_12/arm64 --at main -- dpkg -l gcc\n" +
			"  farm shell debian_12/arm64 --at main inventory.yaml --vars vde.yaml",
		Args: func(cmd *cobra.Command, args []string) error {
			f.given = cmd.Flags().Changed("vars") || cmd.Flags().Changed("extra-vars")
			if n := len(shellArgs(cmd, args)); n < 1 || n > 2 {
				return errors.New("ID and perhaps INVENTORY")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			own := shellArgs(cmd, args)
			return a.shellAt(cmd.Context(), own, args[len(own):], f)
		},
	}
	f.add(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.at, "at", "", "the `phase` before which: "+strings.Join(enterable, ", ")+"; default the one that failed")
	fl.StringVar(&f.run, "run", lastRun, "`id` of the run; last = the last one that had this VM")
	fl.StringVar(&f.keep, "keep", string(runner.KeepNever), "leave the machine running: --keep afterwards, --keep=on-failure if it was not entered")
	fl.Lookup("keep").NoOptDefVal = string(runner.KeepAlways)
	fl.DurationVar(&f.keepFor, "keep-for", 30*time.Minute, "how long it is kept")
	return cmd
}

// shellArgs are the arguments before `--`.
func shellArgs(cmd *cobra.Command, args []string) []string {
	if n := cmd.ArgsLenAtDash(); n >= 0 {
		return args[:n]
	}
	return args
}

// What a visit says at the first and at the second Ctrl-C.
const (
	visitInterrupted = "interrupted: the machine is shut down and removed; again to switch it off"
	visitSwitchesOff = "switching off; again to leave at once (then run: farm gc)"
)

// shellAt boots the state of a VM before a phase and lets the user in. args are the VM's id and perhaps an inventory.
func (a *app) shellAt(ctx context.Context, args, command []string, f *shellFlags) (err error) {
	if f.keepFor <= 0 {
		return &usageError{fmt.Errorf("--keep-for is %s, not a time above 0", f.keepFor)}
	}
	if f.at != "" {
		if err := checkPoint("--at", f.at, enterable); err != nil {
			return err
		}
	}
	soft, hard, stop := interrupts(ctx, a.err, visitInterrupted, visitSwitchesOff)
	defer stop()
	s := &session{app: a, mask: &runner.Mask{}, visit: true}
	if s.keep, err = (&runFlags{keep: f.keep}).keepMode(a.getenv); err != nil {
		return err
	}
	if s.store, err = a.openStore(); err != nil {
		return err
	}
	defer s.store.Close()
	p, path, err := s.destination(soft, args, f)
	if err != nil {
		return err
	}
	s.flags.keepFor = f.keepFor
	t, err := s.travel(soft, p, path, f.at)
	if err != nil {
		return err
	}
	defer closeAll(s.hosts)
	return t.visitGuest(soft, hard, strings.Join(command, " "))
}

// destination is the VM that is asked for, in a run or in an inventory as that is now, and the inventory. It fills in what
// f leaves open.
func (s *session) destination(ctx context.Context, args []string, f *shellFlags) (p past, path string, err error) {
	if len(args) == 2 {
		if f.at == "" {
			return p, "", &usageError{fmt.Errorf("with an inventory there is no phase that failed: give --at, of %s", strings.Join(enterable, ", "))}
		}
		if f.run != lastRun {
			return p, "", &usageError{errors.New("--run and INVENTORY: one of the two")}
		}
		s.flags = &runFlags{inventoryFlags: f.inventoryFlags}
		s.flags.limit = args[0]
		p.vm, p.run.ID, p.run.Inventory = args[0], "none", args[1]
		return p, args[1], nil
	}
	if f.given {
		return p, "", &usageError{errors.New("--vars and -e go with INVENTORY; without one they are those of the run")}
	}
	if p, err = pastOf(ctx, s.store, f.run, args[0]); err != nil {
		return p, "", err
	}
	if s.flags, err = p.options(); err != nil {
		return p, "", err
	}
	f.at, err = p.phaseOf("--at", f.at, enterable)
	return p, p.run.Inventory, err
}

// visitGuest runs the plan up to the point, lets the user in, and ends the machine.
func (t *trip) visitGuest(soft, hard context.Context, line string) error {
	c, err := t.beginRun()
	if err != nil {
		return err
	}
	defer t.alive()
	t.collect(soft)
	v := &visit{app: t.app, soft: soft, line: line}
	c.Tasks = entered{t.guestTasks, v}
	c.Plan = func(q runner.PlanQuery) []engine.Step { return v.into(phases.Plan(phases.Query(q)), t.phase) }
	runner.Run(soft, hard, c)
	t.guestTasks.end()
	status, err := t.conclude(nil)
	switch {
	case err != nil:
		return err
	case v.done && status != engine.Interrupted:
		return v.err
	case v.done || status != engine.OK:
		return t.exit(status)
	}
	return engine.Blamef(engine.FarmFault, "%s was not entered before %s", t.vm, t.phase)
}

// visit is the phase in which somebody works in a guest. One goroutine uses it at a time.
type visit struct {
	app    *app
	soft   context.Context // it ends with the first Ctrl-C
	line   string          // command; "" = a shell
	failed string          // phase that failed on the way
	done   bool            // somebody was in
	err    error           // as the shell ended
}

// Name is the phase's.
func (v *visit) Name() string { return "shell" }

// longestVisit bounds a visit; a machine's mark protects it for as long.
const longestVisit = 24 * time.Hour

// into is a plan that goes as far as a phase, then to the visit, then ends. The visit comes also after a
// failure: main's is what somebody may want to see.
func (v *visit) into(steps []engine.Step, phase string) []engine.Step {
	at := slices.IndexFunc(steps, func(s engine.Step) bool { return s.Phase.Name() == phase })
	last := steps[len(steps)-1]
	return append(steps[:at:at], engine.Step{Phase: v, Always: true, Timeout: longestVisit}, last)
}

// Run lets the user in.
func (v *visit) Run(ctx context.Context, r *engine.Run) error {
	switch {
	case v.soft.Err() != nil:
		return engine.Skip("interrupted")
	case v.failed == phases.Dependencies || v.failed == phases.Init:
		return engine.Skip(v.failed + " failed, so the point was not reached; --at " + v.failed + " stands before it")
	case r.Conn == nil:
		return engine.Skip("the guest is not reachable")
	}
	c, ok := r.Conn.(*ssh.Conn)
	if !ok {
		return engine.Skip("this kind of guest has no shell")
	}
	ctx, cancel := context.WithTimeout(ctx, longestVisit)
	defer cancel()
	defer context.AfterFunc(v.soft, cancel)()
	v.done = true
	v.err = v.app.shell(ctx, c, v.line)
	if v.soft.Err() != nil {
		return engine.Blame(engine.Cancelled, v.soft.Err())
	}
	if exit := (*exitError)(nil); errors.As(v.err, &exit) {
		return nil // that is the user's to judge
	}
	return v.err
}

// entered are a VM's tasks on the way to a visit: whatever they say, it comes.
type entered struct {
	engine.Tasks
	visit *visit
}

// Run runs a phase's tasks and sees whether they fail.
func (e entered) Run(ctx context.Context, r *engine.Run, phase, file string) error {
	err := e.Tasks.Run(ctx, r, phase, file)
	r.Allowed = nil
	if err != nil && e.visit.failed == "" {
		e.visit.failed = phase
	}
	return err
}

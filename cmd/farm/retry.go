package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"farm/engine"
	"farm/engine/runner"
)

// retryFlags are the options of `farm retry`.
type retryFlags struct {
	runFlags
	from      string
	untilFail bool
	times     int
	json      bool
}

// untilFailTimes is how often a run is repeated at most until it fails, if nobody says.
const untilFailTimes = 100

func newRetryCommand(a *app) *cobra.Command {
	f := &retryFlags{}
	cmd := &cobra.Command{
		Use:   "retry RUN ID",
		Short: "Run a VM of an earlier run again from the state before a phase, once or until it fails",
		Long: "Boot a new machine from the state that a VM of an earlier run was in before a phase, and run its plan from there to the\n" +
			"end. RUN is the run's id, or last for the last one that had the VM. The state is that of the nearest layer that is kept;\n" +
			"phases between it and the phase run first, and farm says so. The inventory and its options are those of the run, the\n" +
			"files as they are now: a task file that was corrected is run corrected. No layer is changed; one that is gone is made\n" +
			"again where all that it came from is the same.\n\n" +
			"With -n the state is cloned again and again, one machine after the other, and the failure rate is printed with its\n" +
			"interval; with --until-fail no longer than until an attempt does not pass. Of the machines that failed the first is kept,\n" +
			"as --keep says.\n\n" +
			"Exit status: 0 all passed, 1 a test failed, 2 no verdict, or the state is lost, 3 the inventory has the VM no more,\n" +
			"64 usage, 65 bad inventory or task file, 130 interrupted.",
		Example: "  farm retry last debian_12/arm64\n" +
			"  farm retry last debian_12/arm64 --from main --until-fail -n 50\n" +
			"  farm retry 20260102-030405-abc debian_12/arm64 --from init --keep always",
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("times") && f.times < 1 {
				return &usageError{fmt.Errorf("--times is %d, not 1 or more", f.times)}
			}
			return a.retry(cmd.Context(), args[0], args[1], f)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.from, "from", "", "the `phase` before which: "+strings.Join(resumable, ", ")+"; default the one that failed")
	fl.BoolVar(&f.untilFail, "until-fail", false, fmt.Sprintf("repeat until it fails, at most -n times, or %d", untilFailTimes))
	fl.IntVarP(&f.times, "times", "n", 0, "repeat `n` times")
	fl.StringVar(&f.keep, "keep", "", "leave machines running: never, on-failure or always; default on-failure, in CI never")
	fl.DurationVar(&f.keepFor, "keep-for", 30*time.Minute, "how long a machine is kept")
	fl.BoolVar(&f.json, "json", false, "print the outcome as JSON")
	return cmd
}

// repeats is how often the point is cloned at most.
func (f *retryFlags) repeats() int {
	switch {
	case f.times > 0:
		return f.times
	case f.untilFail:
		return untilFailTimes
	}
	return 1
}

func (a *app) retry(ctx context.Context, run, id string, f *retryFlags) (err error) {
	s := &session{app: a, mask: &runner.Mask{}}
	if s.keep, err = f.keepMode(a.getenv); err != nil {
		return err
	}
	if f.keepFor <= 0 {
		return &usageError{fmt.Errorf("--keep-for is %s, not a time above 0", f.keepFor)}
	}
	if n := f.repeats(); n > 1 && s.keep == runner.KeepAlways {
		return &usageError{fmt.Errorf("--keep always would leave up to %d machines running: give never or on-failure", n)}
	}
	if f.from != "" {
		if err := checkPoint("--from", f.from, resumable); err != nil {
			return err
		}
	}
	soft, hard, stop := interrupts(ctx, a.err, runInterrupted, runSwitchesOff)
	defer stop()
	if s.store, err = a.openStore(); err != nil {
		return err
	}
	defer s.store.Close()
	p, err := pastOf(soft, s.store, run, id)
	if err != nil {
		return err
	}
	if s.flags, err = p.options(); err != nil {
		return err
	}
	s.flags.keepFor = f.keepFor
	phase, err := p.phaseOf("--from", f.from, resumable)
	if err != nil {
		return err
	}
	t, err := s.travel(soft, p, p.run.Inventory, phase)
	if err != nil {
		return err
	}
	defer closeAll(s.hosts)
	return t.repeat(soft, hard, f)
}

// retried is what came of a retry, as `farm retry --json` prints it.
type retried struct {
	VM       string    `json:"vm"`
	Run      string    `json:"run"` // that was taken up
	From     string    `json:"from"`
	State    string    `json:"state"`           // that the machines started from: base, clean or init
	Layer    string    `json:"layer,omitempty"` // its key; none where the base had to be made
	First    []string  `json:"first,omitempty"` // phases that ran before From
	Attempts []attempt `json:"attempts"`
	Passed   int       `json:"passed"`
	Failed   int       `json:"failed"`
	// Failures is how often the test fails, of the attempts with a verdict; nil where there was none.
	Failures *rate `json:"failures,omitempty"`
}

// attempt is one machine of a retry.
type attempt struct {
	Run       string        `json:"run"`
	Status    engine.Status `json:"status"`
	Why       string        `json:"why,omitempty"`
	ElapsedMS int64         `json:"elapsed_ms"`
}

// add counts an attempt.
func (r *retried) add(one attempt) {
	r.Attempts = append(r.Attempts, one)
	switch one.Status {
	case engine.OK:
		r.Passed++
	case engine.Failed:
		r.Failed++
	}
	if n := r.Passed + r.Failed; n > 0 {
		all := failureRate(r.Failed, n)
		r.Failures = &all
	}
}

func (r *retried) String() string {
	text := fmt.Sprintf("%s from %s: %d %s, %d passed, %d failed", r.VM, r.From, len(r.Attempts), plural(len(r.Attempts), "attempt"), r.Passed, r.Failed)
	if none := len(r.Attempts) - r.Passed - r.Failed; none > 0 {
		text += fmt.Sprintf(", %d without a verdict", none)
	}
	if r.Failures != nil {
		text += fmt.Sprintf("; failure rate %s", r.Failures)
	}
	return text
}

// repeat makes the attempts and tells what came of them.
func (t *trip) repeat(soft, hard context.Context, f *retryFlags) error {
	n := f.repeats()
	r := &retried{VM: t.vm, Run: t.past.run.ID, From: t.phase, State: t.point.start.State, Layer: t.point.start.Layer.Key, First: t.point.first, Attempts: []attempt{}}
	verdict := error(nil)
	for i := 1; i <= n; i++ {
		if n > 1 {
			fmt.Fprintf(t.err, "farm: attempt %d of %d (%d passed, %d failed)\n", i, n, r.Passed, r.Failed)
		}
		if i > 1 && len(t.point.first) > 0 { // the first attempt may have made the layer
			if err := t.findPoint(soft); err != nil {
				return err
			}
		}
		one, err := t.attempt(soft, hard, i == 1, f.json, n == 1)
		if err != nil {
			return err
		}
		r.add(one)
		if one.Status != engine.OK && exitStatus(verdict) != exitTestFailed {
			verdict = t.exit(one.Status)
		}
		if one.Status == engine.Failed && t.keep == runner.KeepOnFailure {
			t.keep = runner.KeepNever // one is enough to look at
		}
		if one.Status != engine.OK && f.untilFail || one.Status == engine.Interrupted || exitStatus(verdict) == exitBadInput {
			break
		}
	}
	switch {
	case f.json:
		if err := t.printJSON(r); err != nil {
			return err
		}
	case n > 1:
		fmt.Fprintln(t.out, r)
	}
	return verdict
}

// attempt runs the plan once from the point.
func (t *trip) attempt(soft, hard context.Context, first, asJSON, alone bool) (attempt, error) {
	c, err := t.beginRun()
	if err != nil {
		return attempt{}, err
	}
	defer t.alive()
	if first {
		t.collect(soft)
	}
	runner.Run(soft, hard, c)
	t.guestTasks.end()
	one := attempt{Run: t.id}
	t.bus.State(func(s *engine.State) {
		if vm := s.VMs[t.vm]; vm != nil {
			one.Status, one.Why, one.ElapsedMS = vm.Status, vm.Why, vm.Ended.Sub(vm.Started).Milliseconds()
		}
	})
	var summary io.Writer // of one that passed among others nobody wants it
	switch {
	case asJSON && (alone || one.Status != engine.OK):
		summary = t.err
	case alone || one.Status != engine.OK:
		summary = t.out
	}
	_, err = t.conclude(summary)
	return one, err
}
